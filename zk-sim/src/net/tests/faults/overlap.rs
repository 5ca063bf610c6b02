//! Faults that strike the same link or host at the same time.

use super::super::*;

#[test]
fn the_end_of_one_fault_does_not_end_another_of_its_kind() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.silence("client", "server");
        pair.net.silence("server", "client");
        pair.net.silence_one_way("client", "server");
        pair.net.isolate("client");
        write(&mut near, b"held").await.unwrap();
        let mut reading = Box::pin(read(&mut far, 4));
        pair.net.end_silence("client", "server");
        assert!(hangs(&mut reading).await);
        pair.net.end_isolate("client");
        assert!(hangs(&mut reading).await);
        pair.net.end_silence("client", "server");
        assert!(hangs(&mut reading).await);
        pair.net.end_silence_one_way("client", "server");
        assert_eq!(reading.await.unwrap(), b"held");
    });
}

#[test]
fn an_end_without_a_begin_does_nothing() {
    run(1, async {
        let pair = Pair::new(1).await;
        pair.net.end_blackhole("server");
        pair.net.blackhole("server");
        let mut connecting = pair.client.connect(pair.address);
        assert!(hangs(&mut connecting).await);
        pair.net.end_blackhole("server");
        connecting.await.unwrap();
    });
}

#[test]
fn a_cut_within_silence_refuses_once_the_silence_is_over() {
    run(1, async {
        let pair = Pair::new(1).await;
        pair.net.silence("client", "server");
        pair.net.cut("client", "server");
        let mut connecting = pair.client.connect(pair.address);
        assert!(hangs(&mut connecting).await);
        pair.net.end_silence("client", "server");
        assert_eq!(kind(connecting.await), io::ErrorKind::ConnectionRefused);
        pair.net.end_cut("client", "server");
        pair.client.connect(pair.address).await.unwrap();
    });
}

#[test]
fn of_several_limits_the_worst_rules() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_latency(Duration::ZERO, Duration::ZERO);
        let (mut near, mut far) = pair.connect().await;
        let secs = Duration::from_secs;
        pair.net.slow("client", "server", secs(3));
        pair.net.slow("client", "server", secs(1));
        pair.net.bandwidth("client", "server", 1);
        pair.net.bandwidth("client", "server", 1000);
        let start = pair.client.now();
        write(&mut near, b"xx").await.unwrap();
        assert_reads(&mut far, b"xx").await;
        assert_eq!(pair.client.now().since(start), secs(5));
        pair.net.end_slow("client", "server", secs(3));
        pair.net.end_bandwidth("client", "server", 1);
        write(&mut near, &[0; 1000]).await.unwrap();
        assert_reads(&mut far, &[0; 1000]).await;
        assert_eq!(pair.client.now().since(start), secs(7));
    });
}

#[test]
fn healing_everything_ends_faults_of_every_kind() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        let net = &pair.net;
        for host in ["client", "server"] {
            net.isolate(host);
            net.blackhole(host);
            net.accept_queue_full(host);
            net.refuse(host);
            net.accept_and_close(host);
        }
        net.silence("client", "server");
        net.silence("client", "server");
        net.garble("client", "server");
        net.trickle("client", "server");
        net.slow("client", "server", Duration::from_secs(1000));
        net.bandwidth("client", "server", 1);
        net.dns("server", crate::faults::DnsFault::Hangs);
        let mut resolving = pair.client.resolve("server", PORT);
        assert!(hangs(&mut resolving).await);
        write(&mut near, &[0; 1000]).await.unwrap();
        let garbled = net.garbled();
        net.heal_all();
        let start = pair.client.now();
        read(&mut far, 1000).await.unwrap();
        assert!(pair.client.now().since(start) < Duration::from_millis(4));
        resolving.await.unwrap();
        pair.connect().await;
        for _ in 0..100 {
            write(&mut near, &[0; 10]).await.unwrap();
            assert_reads(&mut far, &[0; 10]).await;
        }
        assert_eq!(pair.net.garbled(), garbled);
    });
}
