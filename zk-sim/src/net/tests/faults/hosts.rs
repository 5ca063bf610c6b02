//! Faults of a host towards all others.

use super::super::*;

#[test]
fn an_isolated_host_is_silent_towards_everybody_but_itself() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.isolate("server");
        write(&mut near, b"held").await.unwrap();
        assert!(hangs(&mut Box::pin(read(&mut far, 1))).await);
        let stranger = pair.net.env("made later");
        assert!(hangs(&mut stranger.connect(pair.address)).await);
        let own = pair.server.connect(pair.address).await;
        pair.net.end_isolate("server");
        assert_reads(&mut far, b"held").await;
        drop(own.unwrap());
    });
}

#[test]
fn a_blackhole_swallows_connects_alone_until_it_ends() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        let mut under_way = pair.client.connect(pair.address);
        assert!(poll_once(under_way.as_mut()).await.is_pending());
        pair.net.blackhole("server");
        assert!(hangs(&mut under_way).await);
        assert!(hangs(&mut Box::pin(accept(&mut *pair.listener))).await);
        write(&mut near, b"works on").await.unwrap();
        assert_reads(&mut far, b"works on").await;
        let unbound = SocketAddr::new(pair.address.ip(), PORT + 1);
        assert!(hangs(&mut pair.client.connect(unbound)).await);
        pair.net.end_blackhole("server");
        under_way.await.unwrap();
    });
}

#[test]
fn a_full_accept_queue_lets_connects_wait_in_line() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.accept_queue_full("server");
        let mut first = pair.client.connect(pair.address);
        assert!(hangs(&mut first).await);
        let mut second = pair.net.env("second").connect(pair.address);
        assert!(hangs(&mut second).await);
        let unbound = SocketAddr::new(pair.address.ip(), PORT + 1);
        let refused = pair.client.connect(unbound).await;
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        pair.net.end_accept_queue_full("server");
        let streams = (first.await.unwrap(), second.await.unwrap());
        let (_, peer) = accept(&mut *pair.listener).await.unwrap();
        assert_eq!(peer.ip(), pair.net.address("client"));
        let (_, peer) = accept(&mut *pair.listener).await.unwrap();
        assert_eq!(peer.ip(), pair.net.address("second"));
        drop(streams);
    });
}

#[test]
fn a_refusing_host_refuses_although_somebody_listens() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.refuse("server");
        let start = pair.client.now();
        let refused = pair.client.connect(pair.address).await;
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        assert!(pair.client.now() > start, "the refusal takes time");
        write(&mut near, b"works on").await.unwrap();
        assert_reads(&mut far, b"works on").await;
        pair.net.end_refuse("server");
        pair.connect().await;
    });
}

#[test]
fn a_host_that_hangs_up_accepts_and_closes_without_the_listener() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.accept_and_close("server");
        let mut near = pair.client.connect(pair.address).await.unwrap();
        write(&mut near, b"hello").await.unwrap();
        assert_eof(&mut near).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let more = write(&mut near, b"hello?").await;
        assert_eq!(kind(more), io::ErrorKind::BrokenPipe);
        assert!(hangs(&mut Box::pin(accept(&mut *pair.listener))).await);
        drop(near);
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
        pair.net.end_accept_and_close("server");
        pair.connect().await;
    });
}
