//! A FIN, a reset and silence are three things.

use super::super::*;

#[test]
fn a_reader_can_tell_them_apart() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, _far) = pair.connect().await;
        pair.net.silence("client", "server");
        assert!(hangs(&mut Box::pin(read(&mut near, 1))).await);
        pair.net.end_silence("client", "server");
        pair.net.fin("client", "server");
        assert_eof(&mut near).await;
        let (mut near, _far) = pair.connect().await;
        pair.net.cut("client", "server");
        let result = near.read(&mut [0]).await;
        assert_eq!(kind(result), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_fin_ends_both_directions_behind_what_was_written() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"to the server").await.unwrap();
        write(&mut far, b"to the client").await.unwrap();
        pair.net.fin("server", "client");
        assert_reads(&mut far, b"to the server").await;
        assert_reads(&mut near, b"to the client").await;
        assert_eof(&mut near).await;
        assert_eof(&mut far).await;
        // As to a peer that has closed: taken, then answered with a reset.
        write(&mut near, b"x").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let more = write(&mut near, b"y").await;
        assert_eq!(kind(more), io::ErrorKind::BrokenPipe);
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"anew").await.unwrap();
        assert_reads(&mut far, b"anew").await;
    });
}

#[test]
fn a_reset_behind_a_fin_takes_nothing_that_has_arrived() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"before").await.unwrap();
        pair.net.fin("client", "server");
        write(&mut near, b"behind").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let broken = write(&mut near, b"x").await;
        assert_eq!(kind(broken), io::ErrorKind::BrokenPipe);
        assert_reads(&mut far, b"before").await;
        assert_eof(&mut far).await;
    });
}

#[test]
fn a_connection_ended_by_a_fin_is_forgotten_once_dropped() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, far) = pair.connect().await;
        pair.net.fin("client", "server");
        write(&mut near, b"behind the end").await.unwrap();
        drop((near, far));
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
    });
}

#[test]
fn one_way_silence_lets_the_other_way_through_up_to_a_window() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (mut near, mut far) = pair.connect().await;
        pair.net.silence_one_way("client", "server");
        write(&mut near, b"held").await.unwrap();
        write(&mut far, b"once").await.unwrap();
        assert_reads(&mut near, b"once").await;
        // Nobody tells the server that its bytes were read.
        let mut waiting = Box::pin(write(&mut far, b"more"));
        assert!(hangs(&mut waiting).await);
        pair.net.end_silence_one_way("client", "server");
        waiting.await.unwrap();
        assert_reads(&mut near, b"more").await;
        assert_reads(&mut far, b"held").await;
    });
}

#[test]
fn one_way_silence_keeps_the_answer_to_a_connect_from_arriving() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.silence_one_way("server", "client");
        let mut connecting = pair.client.connect(pair.address);
        assert!(hangs(&mut connecting).await);
        accept(&mut *pair.listener).await.unwrap();
        pair.net.end_silence_one_way("server", "client");
        connecting.await.unwrap();
    });
}

#[test]
fn a_forgotten_connection_is_dead_for_good_and_nobody_is_told() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (mut near, mut far) = pair.connect().await;
        write(&mut far, b"here").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(&mut near, b"aw").await.unwrap();
        pair.net.forget("client", "server");
        pair.net.end_forget("client", "server");
        write(&mut near, b"ay").await.unwrap();
        assert!(hangs(&mut Box::pin(write(&mut near, b"full"))).await);
        assert_reads(&mut near, b"here").await;
        assert!(hangs(&mut Box::pin(read(&mut far, 1))).await);
        assert!(hangs(&mut Box::pin(read(&mut near, 1))).await);
        // Neither what closes a connection nor what resets it gets through.
        drop(near);
        pair.net.cut("client", "server");
        assert!(hangs(&mut Box::pin(read(&mut far, 1))).await);
        drop(far);
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
    });
}

#[test]
fn while_a_link_forgets_new_connections_hang() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let millisecond = Duration::from_millis(1);
        // Without jitter they arrive in their order.
        pair.net.set_latency(millisecond, Duration::ZERO);
        let mut early = pair.client.connect(pair.address);
        assert!(poll_once(early.as_mut()).await.is_pending());
        pair.net.forget("client", "server");
        let mut late = pair.client.connect(pair.address);
        assert!(hangs(&mut early).await);
        assert!(hangs(&mut late).await);
        pair.net.end_forget("client", "server");
        let mut near = early.await.unwrap();
        let (mut far, _) = accept(&mut *pair.listener).await.unwrap();
        write(&mut near, b"works").await.unwrap();
        assert_reads(&mut far, b"works").await;
        late.await.unwrap();
    });
}
