use super::*;

#[test]
fn a_writer_waits_for_the_reader_to_make_room() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (mut near, mut far) = pair.connect().await;
        assert_eq!(near.write(b"abcdef").await.unwrap(), 4);
        let mut waiting = Box::pin(write(&mut near, b"ef"));
        assert!(hangs(&mut waiting).await);
        assert_reads(&mut far, b"a").await;
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        assert_reads(&mut far, b"bc").await;
        waiting.await.unwrap();
        assert_reads(&mut far, b"def").await;
    });
}

#[test]
fn the_two_directions_have_windows_of_their_own() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(1);
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"x").await.unwrap();
        write(&mut far, b"y").await.unwrap();
        assert_reads(&mut near, b"y").await;
    });
}

#[test]
fn a_wider_window_lets_writers_go_on() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(1);
        let (mut near, _far) = pair.connect().await;
        let mut waiting = Box::pin(write(&mut near, b"long"));
        assert!(hangs(&mut waiting).await);
        pair.net.set_window(4);
        waiting.await.unwrap();
    });
}

#[test]
fn much_data_passes_through_a_small_window() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(1000);
        let (mut near, mut far) = pair.connect().await;
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writer = pair.client.spawn(
            "writer",
            Box::pin(async move { near.write_all(&sent).await.unwrap() }),
        );
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert!(writer.await);
        assert_eq!(received, expected);
    });
}
