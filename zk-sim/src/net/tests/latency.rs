use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn latency_moves_only_the_virtual_clock() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_latency(HOUR, Duration::ZERO);
        let client = Arc::clone(&pair.client);
        let start = (client.now(), client.boot_now(), client.wall());
        let (mut near, mut far) = pair.connect().await;
        assert_eq!(client.now().since(start.0), 2 * HOUR, "a round trip");
        write(&mut near, b"ping").await.unwrap();
        assert_reads(&mut far, b"ping").await;
        assert_eq!(client.now().since(start.0), 3 * HOUR);
        assert_eq!(client.boot_now().since(start.1), 3 * HOUR);
        assert_eq!(client.wall(), start.2 + 3 * HOUR);
        assert_eq!(pair.server.now(), client.now());
    });
}

#[test]
fn latency_between_two_hosts_leaves_the_others_alone() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let net = pair.net.clone();
        net.set_latency(Duration::from_millis(1), Duration::ZERO);
        net.set_latency_between("far away", "server", HOUR, Duration::ZERO);
        let start = pair.client.now();
        let near = pair.connect().await;
        assert_eq!(pair.client.now().since(start), Duration::from_millis(2));
        let start = pair.client.now();
        let away = net.env("far away").connect(pair.address).await.unwrap();
        assert_eq!(pair.client.now().since(start), 2 * HOUR);
        drop((near, away));
    });
}

#[test]
fn jitter_delays_but_does_not_reorder() {
    run(5, async {
        let mut pair = Pair::new(5).await;
        pair.net.set_latency(Duration::ZERO, HOUR);
        let (mut near, mut far) = pair.connect().await;
        let start = pair.client.now();
        for byte in 0..100 {
            write(&mut near, &[byte]).await.unwrap();
        }
        assert_eq!(pair.client.now(), start, "writing takes no time");
        let mut arrivals = Vec::new();
        for byte in 0..100 {
            assert_reads(&mut far, &[byte]).await;
            arrivals.push(pair.client.now());
        }
        arrivals.dedup();
        assert!(arrivals.len() > 1);
        assert!(pair.client.now().since(start) <= HOUR + Duration::from_millis(1));
    });
}

#[test]
fn within_a_host_no_time_passes() {
    run(1, async {
        let pair = Pair::new(1).await;
        let start = pair.server.now();
        let mut near = pair.server.connect(pair.address).await.unwrap();
        let mut listener = pair.listener;
        let (mut far, _) = accept(&mut *listener).await.unwrap();
        write(&mut near, b"x").await.unwrap();
        assert_reads(&mut far, b"x").await;
        assert_eq!(pair.server.now(), start);
    });
}
