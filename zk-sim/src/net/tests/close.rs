use super::*;

#[test]
fn a_dropped_stream_ends_after_what_was_written() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"last words").await.unwrap();
        drop(near);
        assert_reads(&mut far, b"last words").await;
        assert_eof(&mut far).await;
        assert_eof(&mut far).await;
    });
}

#[test]
fn shutdown_closes_one_direction() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"request").await.unwrap();
        near.shutdown().await.unwrap();
        let more = write(&mut near, b"more").await;
        assert_eq!(kind(more), io::ErrorKind::BrokenPipe);
        assert_reads(&mut far, b"request").await;
        assert_eof(&mut far).await;
        write(&mut far, b"reply").await.unwrap();
        assert_reads(&mut near, b"reply").await;
    });
}

#[test]
fn bytes_for_a_dropped_stream_are_answered_with_a_reset() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (near, mut far) = pair.connect().await;
        drop(near);
        assert_eof(&mut far).await;
        write(&mut far, b"too late").await.unwrap();
        // The reset needs a round trip, and nobody reads meanwhile.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let result = write(&mut far, b"really").await;
        assert_eq!(kind(result), io::ErrorKind::BrokenPipe);
        assert_eof(&mut far).await;
    });
}

#[test]
fn a_writer_waiting_for_room_learns_of_the_reset() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (near, mut far) = pair.connect().await;
        write(&mut far, b"full").await.unwrap();
        let mut waiting = Box::pin(write(&mut far, b"more"));
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        // Its four bytes arrive nowhere.
        drop(near);
        assert_eq!(kind(waiting.await), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_dropped_listener_closes_those_it_has_not_accepted() {
    run(1, async {
        let pair = Pair::new(1).await;
        let mut near = pair.client.connect(pair.address).await.unwrap();
        drop(pair.listener);
        assert_eof(&mut near).await;
        let refused = pair.client.connect(pair.address).await;
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        let anywhere = SocketAddr::from(([0, 0, 0, 0], PORT));
        pair.server.bind(anywhere).await.unwrap();
    });
}

#[test]
fn closed_connections_are_forgotten() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        for _ in 0..10 {
            let (mut near, far) = pair.connect().await;
            write(&mut near, b"unread").await.unwrap();
            drop((near, far));
        }
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
        assert_eq!(pair.net.with(|world| world.in_flight()), 0);
    });
}
