//! A thousand reconnects in a row, under load. Counting file descriptors and
//! memory takes a process of its own: the test runs itself again in one, and lends
//! it this process's server.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use zk_client::{Client, CreateMode, EventType, RetryPolicy, Watcher};
use zk_tests::target::{connect, repetitions};
use zk_tests::wait::{eventually, next_event, until_connected, within};
use zk_tests::{Cut, Proxy, Target};

const CHILD: &str = "reconnect::soak::child";

#[test]
fn a_thousand_reconnects_lose_nothing_and_leak_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let target = runtime.block_on(Target::start());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env("ZK_TEST_CONNECT", target.host())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr),
    );
    assert!(
        child.status.success() && out.contains("1 passed"),
        "{out}\n{err}"
    );
}

/// What a process holds.
#[derive(Debug)]
struct Census {
    tasks: usize,
    /// Absent where the system does not tell.
    descriptors: Option<usize>,
    resident_bytes: Option<u64>,
}

impl Census {
    fn take() -> Self {
        Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            descriptors: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
            resident_bytes: resident_bytes(Path::new("/proc/self/status")),
        }
    }
}

fn resident_bytes(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Pipelines writes and reads until told to stop. Every answer must be the one to
/// its own request: versions rise in the order of the calls.
async fn load(client: &Client, stop: &AtomicBool, answered: &AtomicU64) {
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        client.ready().await.unwrap();
        let writes: Vec<_> = (0..8)
            .map(|n| client.set_data("/load", [n; 100], None))
            .collect();
        let read = client.get_data("/load", None);
        for write in join_all(writes).await.into_iter().flatten() {
            assert!(last < Some(write.version), "{last:?} {write:?}");
            last = Some(write.version);
            answered.fetch_add(1, Ordering::Relaxed);
        }
        if let Ok((_, stat)) = read.await {
            assert!(last <= Some(stat.version), "{last:?} {stat:?}");
            last = Some(stat.version);
        }
    }
}

#[tokio::test]
#[ignore = "the other half of a_thousand_reconnects_lose_nothing_and_leak_nothing"]
async fn child() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let writer = target.client().await;
    let (min, max) = (Duration::from_millis(2), Duration::from_millis(200));
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.reconnect_backoff(min, max)).await;
    for path in ["/load", "/watched"] {
        writer
            .create(path, b"", CreateMode::Persistent)
            .await
            .unwrap();
    }
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let (id, epoch) = (client.session_id(), client.epoch());
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let (rounds, first) = (repetitions(1000, 120), repetitions(100, 20));

    let reconnects = async {
        let mut censuses = Vec::new();
        let watcher = Watcher::new();
        for round in 0..rounds {
            // Armed before the cut, the change made around it, heard after it.
            client
                .retrying(RetryPolicy::new(100).with_backoff(min, max))
                .run(|client| client.get_data("/watched", &watcher))
                .await
                .unwrap();
            let before = proxy.accepted();
            proxy.cut(if round % 2 == 0 { Cut::Reset } else { Cut::Fin });
            writer.set_data("/watched", b"x", None).await.unwrap();
            let event = next_event(&watcher).await;
            assert_eq!(
                event.event_type,
                EventType::NodeDataChanged,
                "round {round}"
            );
            eventually("the next connection", async || proxy.accepted() > before).await;
            until_connected(&client).await;
            assert_eq!((client.session_id(), client.epoch()), (id, epoch));
            assert_eq!(watcher.try_next(), None);
            if round + 1 == first || round + 1 == rounds {
                eventually("one connection", async || proxy.open() == 1).await;
                censuses.push(Census::take());
            }
        }
        stop.store(true, Ordering::Relaxed);
        censuses
    };
    let (censuses, ()) = tokio::join!(reconnects, load(&client, &stop, &answered));
    let [early, late] = &censuses[..] else {
        panic!("{censuses:?}");
    };
    println!(
        "{rounds} reconnects, {} writes answered: {censuses:?}",
        answered.load(Ordering::Relaxed)
    );
    assert!(
        answered.load(Ordering::Relaxed) > rounds as u64,
        "no load to speak of"
    );
    assert!(client.exists("/mine", None).await.unwrap().is_some());
    assert_eq!(
        (early.tasks, early.descriptors),
        (late.tasks, late.descriptors)
    );
    if let (Some(early), Some(late)) = (early.resident_bytes, late.resident_bytes) {
        assert!(late <= early + (2 << 20), "{early} bytes, then {late}");
    }
    within("the close", client.close()).await.unwrap();
}
