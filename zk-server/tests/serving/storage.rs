//! A server with a data directory: what it acknowledges it keeps.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zk_env::{OpenMode, sleep_until};
use zk_proto::record::GetDataRequest;
use zk_proto::{CreateMode, ErrorCode, OpCode, Password, SessionId};
use zk_server::{Server, ServerConfig, ServerConfigBuilder, ServerError, StorageError};
use zk_sim::faults::DiskFault;
use zk_sim::{Host, Sim};

use crate::raw::{Raw, create_request};

const MS: Duration = Duration::from_millis(1);

/// A machine that servers are started on, one after the other.
struct Machine {
    net: Sim,
    host: Host,
}

fn config() -> ServerConfigBuilder {
    ServerConfig::embedded().preallocate(32 << 10)
}

impl Machine {
    fn new(seed: u64) -> Self {
        let net = Sim::new(seed);
        let host = net.host("server");
        Self { net, host }
    }

    async fn try_start(&self, config: ServerConfigBuilder) -> Result<Server, ServerError> {
        let any_address = SocketAddr::from(([0, 0, 0, 0], 2181));
        Server::builder()
            .config(config.client_addr(any_address).build()?)
            .data_dir("data")
            .env(self.host.env())
            .start()
            .await
    }

    async fn start(&self) -> Server {
        self.try_start(config()).await.unwrap()
    }

    async fn connect(&self) -> Raw {
        let env = self.net.env("client");
        let addr = env.resolve("server", 2181).await.unwrap()[0];
        Raw::connect(env, addr).await
    }

    async fn session(&self) -> (Raw, SessionId, Password) {
        let mut raw = self.connect().await;
        let answer = raw.handshake(10_000).await;
        (raw, answer.session_id, answer.password)
    }

    /// The machine loses power and comes back.
    fn crash(&self, server: Server) {
        self.host.kill();
        drop(server);
        assert!(self.host.restart());
    }

    async fn pass(&self, time: Duration) {
        let env = self.net.env("client");
        let mut timer = env.timer();
        sleep_until(&mut *timer, env.now() + time).await;
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        let disk = self.host.env().disk();
        let names = disk.list(Path::new("data/version-2")).await.unwrap();
        let names = names.into_iter().map(|name| name.into_string().unwrap());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_with_tree_sessions_and_zxid() {
    let machine = Machine::new(1);
    let server = machine.start().await;
    let (mut raw, session, password) = machine.session().await;
    raw.create("/kept", b"data", CreateMode::Persistent).await;
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    let zxid = server.counters().last_zxid;
    server.stop().await;
    drop(server);

    let server = machine.start().await;
    assert_eq!(server.counters().last_zxid, zxid);
    // The session has its full timeout again.
    machine.pass(9000 * MS).await;
    let mut again = machine.connect().await;
    let resumed = again.resume(10_000, session, password).await.unwrap();
    assert_eq!(resumed.session_id, session);
    assert!(again.exists("/kept").await && again.exists("/mine").await);
    again.create("/more", b"", CreateMode::Persistent).await;
    assert_eq!(server.counters().last_zxid.0, zxid.0 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_stays_away_expires_after_a_restart() {
    let machine = Machine::new(1);
    let server = machine.start().await;
    let (mut raw, ..) = machine.session().await;
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    machine.crash(server);
    let server = machine.start().await;
    assert_eq!(server.counters().ephemerals, 1);
    machine.pass(10_300 * MS).await;
    assert_eq!(server.counters().ephemerals, 0);
    assert_eq!(server.counters().sessions, 0);
}

/// The heart of it: power may go at any time, with writes of many sessions under way.
#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_loss_of_power_at_any_time() {
    for seed in 0..120 {
        let machine = Machine::new(seed);
        machine
            .host
            .set_disk_latency(Duration::from_micros(200), 2 * MS);
        let small = config().snap_count(20);
        let server = machine.try_start(small.clone()).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(machine.session().await.0);
        }
        let crashed = CancellationToken::new();
        let writing = clients.iter_mut().enumerate().map(|(client, raw)| {
            let crashed = crashed.clone();
            async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let path = format!("/c{client}-{number}");
                    let body = create_request(&path, b"x", CreateMode::Persistent);
                    let (_, bytes) = raw.encode(OpCode::Create, &body);
                    if raw.try_send(&bytes).await.is_err() {
                        break;
                    }
                    // Connections of a machine without power vanish without a word.
                    let answer = crashed.run_until_cancelled(raw.answer()).await;
                    match answer.flatten() {
                        Some(answer) => assert_eq!(answer.header.err, ErrorCode::Ok),
                        None => break,
                    }
                    acknowledged.push(path);
                }
                acknowledged
            }
        });
        let writing: Vec<_> = writing.collect();
        let crashing = async {
            machine
                .pass(MS * (seed as u32 * 7 % 300) + Duration::from_micros(seed * 37))
                .await;
            machine.crash(server);
            crashed.cancel();
        };
        let (acknowledged, ()) = tokio::join!(join_all(writing), crashing);
        machine
            .host
            .set_disk_latency(Duration::ZERO, Duration::ZERO);
        let server = machine.try_start(small).await.unwrap();
        let (mut raw, ..) = machine.session().await;
        for path in acknowledged.iter().flatten() {
            assert!(
                raw.exists(path).await,
                "seed {seed}: {path} was acknowledged"
            );
        }
        drop(server);
    }
}

async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn one_sync_is_for_all_that_have_waited() {
    let machine = Machine::new(3);
    let _server = machine.start().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(machine.session().await.0);
    }
    machine.host.set_disk_latency(Duration::ZERO, 100 * MS);
    let began = machine.net.elapsed();
    let writing = clients
        .iter_mut()
        .enumerate()
        .map(|(client, raw)| async move {
            let path = format!("/c{client}");
            raw.create(&path, b"", CreateMode::Persistent).await;
        });
    join_all(writing.collect()).await;
    let took = machine.net.elapsed() - began;
    // One sync may have been under way for the first of them.
    assert!(took >= 100 * MS && took < 250 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_its_sessions_writes_and_not_for_those_of_others() {
    let machine = Machine::new(4);
    let server = machine.start().await;
    let (mut writer, ..) = machine.session().await;
    let (mut other, ..) = machine.session().await;
    writer.create("/a", b"old", CreateMode::Persistent).await;
    machine.host.set_disk_latency(Duration::ZERO, 500 * MS);
    let set = zk_proto::record::SetDataRequest {
        path: "/a".into(),
        data: Some(b"new"[..].into()),
        version: -1,
    };
    let get = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let began = machine.net.elapsed();
    writer.request(OpCode::SetData, &set).await;
    writer.request(OpCode::GetData, &get).await;
    machine.pass(50 * MS).await;
    let answer = other.call(OpCode::GetData, &get).await;
    let read: zk_proto::record::GetDataResponse = answer.body();
    assert_eq!(read.data.as_deref(), Some(&b"old"[..]));
    assert!(machine.net.elapsed() - began < 200 * MS);
    assert!(writer.ping_first().await, "a ping does not wait");
    writer.answer().await.unwrap();
    let answer = writer.answer().await.unwrap();
    let read: zk_proto::record::GetDataResponse = answer.body();
    assert_eq!(read.data.as_deref(), Some(&b"new"[..]));
    assert!(machine.net.elapsed() - began >= 500 * MS);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_stops_the_server_and_nothing_acknowledged_is_lost() {
    for fault in [DiskFault::Full, DiskFault::WriteFails, DiskFault::SyncFails] {
        let machine = Machine::new(5);
        let server = machine.start().await;
        let (mut raw, ..) = machine.session().await;
        raw.create("/a", b"", CreateMode::Persistent).await;
        machine.host.disk_fault(fault);
        let body = create_request("/b", &[7; 60_000], CreateMode::Persistent);
        raw.request(OpCode::Create, &body).await;
        assert!(raw.answer().await.is_none(), "{fault:?}: acknowledged");
        let failure = server.failed().await;
        let ServerError::Storage(StorageError::Disk { .. }) = &failure else {
            panic!("{failure}");
        };
        assert!(
            failure.to_string().contains("data/version-2/log."),
            "{failure}"
        );
        assert!(server.restart().await.is_err(), "half of it may be durable");
        server.stop().await;
        assert_eq!(server.tasks().await, 0);
        drop(server);
        machine.host.end_disk_fault(fault);
        let _server = machine.start().await;
        let (mut raw, ..) = machine.session().await;
        assert!(raw.exists("/a").await);
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_taken_and_old_ones_deleted() {
    let machine = Machine::new(6);
    let often = config().snap_count(20).autopurge(Duration::from_secs(1), 3);
    let server = machine.try_start(often.clone()).await.unwrap();
    let (mut raw, ..) = machine.session().await;
    for number in 0..200 {
        raw.create(&format!("/n{number}"), b"x", CreateMode::Persistent)
            .await;
    }
    machine.pass(Duration::from_secs(2)).await;
    assert_eq!(machine.names("snapshot.").await.len(), 3);
    assert!(machine.names("log.").await.len() <= 5);
    server.restart().await.unwrap();
    machine.crash(server);
    let server = machine.try_start(often).await.unwrap();
    let (mut raw, ..) = machine.session().await;
    for number in 0..200 {
        assert!(raw.exists(&format!("/n{number}")).await);
    }
    drop(server);
}

/// S12.
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_costs_nothing() {
    let machine = Machine::new(7);
    let server = machine.try_start(config().snap_count(10)).await.unwrap();
    let (mut raw, ..) = machine.session().await;
    let disk = machine.host.env().disk();
    // Something is in the way of every snapshot.
    for zxid in 1..40 {
        let path = format!("data/version-2/snapshot.{zxid:x}.tmp");
        disk.create_dir_all(Path::new(&path)).await.unwrap();
    }
    for number in 0..30 {
        raw.create(&format!("/n{number}"), b"x", CreateMode::Persistent)
            .await;
    }
    machine.pass(Duration::from_secs(1)).await;
    assert!(server.failure().is_none());
    let finished = machine.names("snapshot.").await;
    let finished = finished.iter().filter(|name| !name.ends_with(".tmp"));
    assert_eq!(finished.collect::<Vec<_>>(), ["snapshot.0"]);
    assert!(raw.exists("/n29").await);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_is_refused_and_named() {
    let machine = Machine::new(8);
    let server = machine.start().await;
    let (mut raw, ..) = machine.session().await;
    for number in 0..20 {
        raw.create(&format!("/n{number}"), &[9; 300], CreateMode::Persistent)
            .await;
    }
    server.stop().await;
    drop(server);
    let disk = machine.host.env().disk();
    let log = disk
        .open(Path::new("data/version-2/log.1"), OpenMode::Existing)
        .await
        .unwrap();
    log.write_at(3000, bytes::Bytes::from_static(b"?"))
        .await
        .unwrap();
    let error = machine.try_start(config()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("data/version-2/log.1 is damaged at byte "),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_directory_is_begun_with_only_if_allowed() {
    let machine = Machine::new(9);
    let strict = config().autocreate(false);
    let refused = machine.try_start(strict.clone()).await.unwrap_err();
    assert!(matches!(
        refused,
        ServerError::Storage(StorageError::NotInitialized)
    ));
    let disk = machine.host.env().disk();
    disk.open(Path::new("data/initialize"), OpenMode::CreateNew)
        .await
        .unwrap();
    let server = machine.try_start(strict.clone()).await.unwrap();
    let (mut raw, ..) = machine.session().await;
    raw.create("/a", b"", CreateMode::Persistent).await;
    machine.crash(server);
    let _server = machine.try_start(strict).await.unwrap();
    assert!(
        disk.open(Path::new("data/initialize"), OpenMode::Existing)
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_belongs_to_one_server_until_it_is_dropped() {
    let machine = Machine::new(9);
    let server = machine.start().await;
    let other_port = SocketAddr::from(([0, 0, 0, 0], 2182));
    let start_other = async || {
        Server::builder()
            .config(config().client_addr(other_port).build()?)
            .data_dir("data")
            .env(machine.host.env())
            .start()
            .await
    };
    for _ in 0..2 {
        let began = machine.net.elapsed();
        let error = start_other().await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("data is in use by another server"),
            "{error}"
        );
        let waited = machine.net.elapsed() - began;
        assert!(waited >= 3000 * MS && waited < 4000 * MS, "{waited:?}");
        // It may be started again, and has its tree.
        server.stop().await;
    }
    server.restart().await.unwrap();
    // Not stopped: its tasks end by themselves, and the other one waits for that.
    drop(server);
    let other = start_other().await.unwrap();
    // What ends without a word leaves no lock behind.
    machine.crash(other);
    start_other().await.unwrap();
}
