//! A thousand reconnects in a row under load: no reply out of order, no watch and
//! no session lost; tasks and file descriptors as before, memory flat.
//!
//! A binary of its own, because it counts what the whole process holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use zk_client::{Client, CreateMode, Error, Watcher};
use zk_server::Server;

const RECONNECTS: usize = 1_000;
/// After these the process has all its buffers.
const WARM: usize = 100;
/// What 900 more reconnects may cost.
const MAX_GROWTH: u64 = 2 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reconnects_under_load_lose_nothing() {
    let server = Server::start().await.unwrap();
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let files_before = open_files();

    let client = Client::builder(&server.connect_string())
        .session_timeout(Duration::from_secs(30))
        .reconnect_backoff(Duration::from_millis(1), Duration::from_millis(5))
        .connect()
        .await
        .unwrap();
    let session = client.session_id();
    client.create("/load", b"", CreateMode::Ephemeral).await.unwrap();
    client.create("/watched", b"", CreateMode::Persistent).await.unwrap();

    let should_stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let load = tokio::spawn(load(client.clone(), Arc::clone(&should_stop), Arc::clone(&answered)));

    let watcher = Watcher::new();
    let mut warm = 0;
    for round in 0..RECONNECTS {
        reconnect_under_watch(&server, &client, &watcher, &answered).await;
        if round + 1 == WARM {
            warm = resident_bytes();
        }
    }
    let growth = resident_bytes().saturating_sub(warm);

    should_stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    assert_eq!(client.session_id(), session, "the session survived");
    let stat = client.exists("/load", None).await.unwrap().expect("the ephemeral survived");
    assert_eq!(stat.ephemeral_owner, session);
    println!("{} requests answered, {growth} bytes more after {RECONNECTS} reconnects than after {WARM}", answered.load(Ordering::Relaxed));
    assert!(growth <= MAX_GROWTH, "memory grew by {growth} bytes");

    client.close().await.unwrap();
    drop(client);
    settle("tasks", tasks_before as u64, || Handle::current().metrics().num_alive_tasks() as u64).await;
    settle("open files", files_before, open_files).await;
}

/// One round: a watch is left, the connection dropped, the znode changed, and the
/// event must come.
async fn reconnect_under_watch(server: &Server, client: &Client, watcher: &Watcher, answered: &AtomicU64) {
    retry(|| client.get_data("/watched", watcher)).await;
    let mut state = client.state();
    state.mark_unchanged();
    let before = answered.load(Ordering::Relaxed);
    assert!(server.drop_connections() > 0, "there was a connection to drop");
    state.changed().await.unwrap();
    // It queues until the connection is back, behind the watch's restoration.
    retry(|| client.set_data("/watched", b"x", None)).await;
    let event = watcher.next().await.unwrap();
    assert_eq!(event.path, "/watched");
    assert!(!event.is_session_expired(), "the session expired");
    // The load goes on before the next cut.
    while answered.load(Ordering::Relaxed) == before {
        tokio::task::yield_now().await;
    }
}

async fn retry<T, F: Future<Output = Result<T, Error>>>(operation: impl Fn() -> F) -> T {
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(Error::ConnectionLost { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Keeps 32 writes in flight and checks that their replies come in order: versions
/// of the replies that succeed only ever rise.
async fn load(client: Client, should_stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    let mut pipeline = VecDeque::new();
    let mut version = -1;
    while !should_stop.load(Ordering::Relaxed) || !pipeline.is_empty() {
        while pipeline.len() < 32 && !should_stop.load(Ordering::Relaxed) {
            pipeline.push_back(client.set_data("/load", b"payload", None));
        }
        match pipeline.pop_front().expect("just filled").await {
            Ok(stat) => {
                assert!(stat.version > version, "version {} after {version}", stat.version);
                version = stat.version;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::ConnectionLost { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until a count is back where it was.
async fn settle(what: &str, expected: u64, count: impl Fn() -> u64) {
    for _ in 0..100_000 {
        if count() <= expected {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} {what} are left, there were {expected}", count());
}

#[cfg(target_os = "linux")]
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Only Linux tells without `unsafe`.
#[cfg(not(target_os = "linux"))]
fn open_files() -> u64 {
    0
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> u64 {
    0
}
