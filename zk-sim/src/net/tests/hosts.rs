use super::*;
use zk_env::OpenMode;

fn first(env: &dyn Env, name: &str) -> u64 {
    env.rng(name).next_u64()
}

#[test]
fn names_resolve_and_literals_answer_themselves() {
    run(1, async {
        let pair = Pair::new(1).await;
        let client = &pair.client;
        let found = client.resolve("localhost", 7).await.unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse().unwrap()]);
        let found = client.resolve("[::1]", 7).await.unwrap();
        assert_eq!(found, ["[::1]:7".parse().unwrap()]);
        assert_ne!(
            client.resolve("client", 7).await.unwrap(),
            client.resolve("server", 7).await.unwrap()
        );
        let unknown = client.resolve("nowhere", 7).await;
        assert_eq!(kind(unknown), io::ErrorKind::NotFound);
    });
}

#[test]
fn random_streams_belong_to_seed_host_and_name() {
    run(1, async {
        let net = Sim::new(1);
        let a = first(&*net.env("a"), "task");
        assert_ne!(a, first(&*net.env("b"), "task"));
        assert_ne!(a, first(&*net.env("a"), "other"));
        assert_ne!(a, first(&*Sim::new(2).env("a"), "task"));
        // No two components of a host share a stream.
        assert_ne!(a, first(&*net.env("a"), "task"));
        // Other hosts and other draws before it do not matter.
        let another = Sim::new(1);
        first(&*another.env("b"), "task");
        assert_eq!(a, first(&*another.env("a"), "task"));
    });
}

#[test]
fn a_host_keeps_its_disk_and_address() {
    run(1, async {
        let net = Sim::new(1);
        let path = std::path::Path::new("/myid");
        let disk = net.env("a").disk();
        disk.open(path, OpenMode::CreateNew).await.unwrap();
        let again = net.env("a").disk();
        again.open(path, OpenMode::Existing).await.unwrap();
        let other = net.env("b").disk().open(path, OpenMode::Existing).await;
        assert_eq!(kind(other), io::ErrorKind::NotFound);
    });
}

#[test]
fn the_network_leaves_no_task_behind() {
    run(1, async {
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = alive();
        let mut pair = Pair::new(1).await;
        let streams = pair.connect().await;
        assert!(alive() > before);
        drop((pair, streams));
        // Two turns: one to run the abort, one to be sure.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(alive(), before);
    });
}

/// The machine's clock is past the due time, the network's is not.
#[test]
fn outside_its_runtime_the_network_stands_still() {
    let runtime = runtime(1).unwrap();
    let (net, mut streams) = runtime.block_on(async {
        let mut pair = Pair::new(1).await;
        let mut streams = pair.connect().await;
        write(&mut streams.0, b"due later").await.unwrap();
        (pair.net, streams)
    });
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(20) {}
    assert_eq!(net.deliveries(), 0);
    runtime.block_on(assert_reads(&mut streams.1, b"due later"));
    assert_eq!(net.deliveries(), 1);
}
