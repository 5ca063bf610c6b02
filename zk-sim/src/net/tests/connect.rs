use super::*;

#[test]
fn addresses_agree_at_both_ends() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let near = pair.client.connect(pair.address).await.unwrap();
        let (_far, peer) = accept(&mut *pair.listener).await.unwrap();
        let own = pair.server.resolve("client", 0).await.unwrap()[0].ip();
        assert_eq!(peer.ip(), own);
        assert_ne!(peer.port(), 0);
        drop(near);
    });
}

#[test]
fn a_port_nobody_listens_on_refuses_after_a_round_trip() {
    run(1, async {
        let pair = Pair::new(1).await;
        let start = pair.client.now();
        let address = SocketAddr::new(pair.address.ip(), PORT + 1);
        let refused = pair.client.connect(address).await;
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        assert!(pair.client.now().since(start) >= Duration::from_millis(2));
    });
}

#[test]
fn an_address_without_a_host_is_unreachable() {
    run(1, async {
        let pair = Pair::new(1).await;
        let start = pair.client.now();
        let address = SocketAddr::from(([192, 0, 2, 1], PORT));
        let result = pair.client.connect(address).await;
        assert_eq!(kind(result), io::ErrorKind::HostUnreachable);
        assert!(pair.client.now() > start, "the answer takes time");
        let unanswered = SocketAddr::from(([192, 0, 2, 2], PORT));
        assert!(hangs(&mut pair.client.connect(unanswered)).await);
    });
}

#[test]
fn a_connect_waits_for_a_place_in_the_accept_queue() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_accept_queue(2);
        let first = pair.client.connect(pair.address).await.unwrap();
        let second = pair.client.connect(pair.address).await.unwrap();
        let mut given_up = pair.client.connect(pair.address);
        let mut third = pair.client.connect(pair.address);
        assert!(hangs(&mut given_up).await);
        assert!(hangs(&mut third).await);
        // The place of one who no longer waits goes to the next.
        drop(given_up);
        let (_far, _) = accept(&mut *pair.listener).await.unwrap();
        let third = third.await.unwrap();
        let mut fourth = pair.client.connect(pair.address);
        assert!(hangs(&mut fourth).await);
        pair.net.set_accept_queue(3);
        drop((first, second, third, fourth.await.unwrap()));
    });
}

#[test]
fn those_who_wait_for_a_place_are_refused_when_the_listener_goes() {
    run(1, async {
        let pair = Pair::new(1).await;
        pair.net.set_accept_queue(0);
        let mut waiting = pair.client.connect(pair.address);
        assert!(hangs(&mut waiting).await);
        drop(pair.listener);
        assert_eq!(kind(waiting.await), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connect_dropped_before_it_arrives_leaves_nothing() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let mut connect = pair.client.connect(pair.address);
        assert!(poll_once(connect.as_mut()).await.is_pending());
        drop(connect);
        assert!(hangs(&mut Box::pin(accept(&mut *pair.listener))).await);
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
    });
}

#[test]
fn a_connect_dropped_before_the_answer_shows_as_closed() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let mut connect = pair.client.connect(pair.address);
        assert!(poll_once(connect.as_mut()).await.is_pending());
        let (mut far, _) = accept(&mut *pair.listener).await.unwrap();
        drop(connect);
        assert_eof(&mut far).await;
    });
}

#[test]
fn binding_checks_port_and_address() {
    run(1, async {
        let pair = Pair::new(1).await;
        let bind = |address: SocketAddr| pair.server.bind(address);
        let again = bind(SocketAddr::from(([0, 0, 0, 0], PORT))).await;
        assert_eq!(kind(again), io::ErrorKind::AddrInUse);
        let foreign = pair.server.resolve("client", PORT).await.unwrap()[0];
        assert_eq!(kind(bind(foreign).await), io::ErrorKind::AddrNotAvailable);
        let any = SocketAddr::new(pair.address.ip(), 0);
        let (a, b) = (bind(any).await.unwrap(), bind(any).await.unwrap());
        let ports = [a, b].map(|listener| listener.local_addr().unwrap().port());
        assert!(ports[0] != 0 && ports[0] != ports[1]);
    });
}

#[test]
fn loopback_belongs_to_the_host() {
    run(1, async {
        let pair = Pair::new(1).await;
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut listener = pair.server.bind(loopback).await.unwrap();
        let local = listener.local_addr().unwrap();
        let near = pair.server.connect(local).await.unwrap();
        let (_far, peer) = accept(&mut *listener).await.unwrap();
        assert!(peer.ip().is_loopback());
        let outside = SocketAddr::new(pair.address.ip(), local.port());
        for address in [local, outside] {
            let refused = pair.client.connect(address).await;
            assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        }
        drop(near);
    });
}
