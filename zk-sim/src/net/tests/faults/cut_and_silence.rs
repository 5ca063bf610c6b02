use super::super::*;

#[test]
fn a_cut_resets_both_ends_and_refuses_new_connections() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"lost").await.unwrap();
        pair.net.cut("client", "server");
        let start = pair.client.now();
        for stream in [&mut near, &mut far] {
            assert_eq!(kind(read(stream, 1).await), io::ErrorKind::ConnectionReset);
            assert_eq!(
                kind(write(stream, b"x").await),
                io::ErrorKind::ConnectionReset
            );
        }
        assert_eq!(pair.client.now(), start, "the reset is there at once");
        let refused = pair.client.connect(pair.address).await;
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        assert!(pair.client.now() > start, "the refusal takes time");
    });
}

#[test]
fn a_cut_wakes_those_who_wait() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        let mut connecting = pair.client.connect(pair.address);
        let (mut reading, mut byte) = (Vec::new(), [0]);
        let mut read_far = Box::pin(far.read(&mut byte));
        let mut read_near = Box::pin(near.read_to_end(&mut reading));
        assert!(poll_once(read_far.as_mut()).await.is_pending());
        assert!(poll_once(read_near.as_mut()).await.is_pending());
        assert!(poll_once(connecting.as_mut()).await.is_pending());
        pair.net.cut("server", "client");
        assert_eq!(kind(read_far.await), io::ErrorKind::ConnectionReset);
        assert_eq!(kind(read_near.await), io::ErrorKind::ConnectionReset);
        assert_eq!(kind(connecting.await), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn after_a_cut_heals_only_new_connections_work() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut old, _far) = pair.connect().await;
        pair.net.cut("client", "server");
        pair.net.heal("client", "server");
        assert_eq!(
            kind(read(&mut old, 1).await),
            io::ErrorKind::ConnectionReset
        );
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"again").await.unwrap();
        assert_reads(&mut far, b"again").await;
    });
}

#[test]
fn faults_concern_two_hosts_alone() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.cut("client", "other");
        pair.net.silence("other", "server");
        write(&mut near, b"fine").await.unwrap();
        assert_reads(&mut far, b"fine").await;
        let mut hanging = pair.net.env("other").connect(pair.address);
        assert!(hangs(&mut hanging).await);
    });
}

#[test]
fn silence_holds_bytes_until_it_heals() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"in flight ").await.unwrap();
        pair.net.silence("client", "server");
        write(&mut near, b"held").await.unwrap();
        let mut byte = [0];
        assert!(hangs(&mut Box::pin(far.read(&mut byte))).await);
        let healed = pair.client.now();
        pair.net.heal("client", "server");
        assert_reads(&mut far, b"in flight held").await;
        assert!(pair.client.now().since(healed) >= Duration::from_millis(1));
        write(&mut far, b"as before").await.unwrap();
        assert_reads(&mut near, b"as before").await;
    });
}

#[test]
fn what_had_arrived_can_be_read_in_silence() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"arrived").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        pair.net.silence("client", "server");
        assert_reads(&mut far, b"arrived").await;
    });
}

#[test]
fn silence_hides_a_close_and_stops_writers_at_the_window() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (near, mut far) = pair.connect().await;
        pair.net.silence("client", "server");
        drop(near);
        write(&mut far, b"full").await.unwrap();
        assert!(hangs(&mut Box::pin(write(&mut far, b"more"))).await);
        let mut byte = [0];
        assert!(hangs(&mut Box::pin(far.read(&mut byte))).await);
        pair.net.heal("client", "server");
        assert_eof(&mut far).await;
    });
}

#[test]
fn a_connect_hangs_in_silence_and_resumes_after_it() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.silence("client", "server");
        let mut connecting = pair.client.connect(pair.address);
        assert!(hangs(&mut connecting).await);
        pair.net.heal("client", "server");
        connecting.await.unwrap();
        accept(&mut *pair.listener).await.unwrap();
    });
}

#[test]
fn a_cut_ends_silence() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, _far) = pair.connect().await;
        pair.net.silence("client", "server");
        write(&mut near, b"held").await.unwrap();
        pair.net.cut("client", "server");
        pair.net.heal("client", "server");
        assert_eq!(
            kind(read(&mut near, 1).await),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(pair.net.with(|world| world.in_flight()), 0);
    });
}
