//! Storage on a simulated disk.

mod crash;
mod damage;
mod failed_sync;
mod fuzzy;
mod install;
mod read_log;
mod truncate;
mod wire;
mod zoo_cfg;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use zk_env::{Disk, OpenMode};
use zk_proto::{Acl, SessionId, Xid, Zxid};
use zk_sim::{Host, Sim, runtime};

use super::*;
use crate::pipeline::apply;
use crate::tree::{DataTree, EphemeralType, NoWatchers, SeededState, Watches};
use crate::txn::{Change, CreateTxn, SetDataTxn, Txn, TxnBody, TxnHeader, encode_txn};

const HASHING: SeededState = SeededState(9);
const SESSION: SessionId = SessionId(5);
const SETTINGS: LogSettings = LogSettings {
    preallocate: 8192,
    force_sync: true,
};

/// Runs `test` with a host of a simulation.
fn on_host<F: Future>(seed: u64, test: impl FnOnce(Host) -> F) -> F::Output {
    runtime(seed)
        .expect("a runtime")
        .block_on(async { test(Sim::new(seed).host("host")).await })
}

/// The machine loses power and comes back.
fn crash(host: &Host) {
    host.kill();
    assert!(host.restart());
}

fn disk(host: &Host) -> Arc<dyn Disk> {
    host.env().disk()
}

async fn dir_of(host: &Host) -> Result<DataDir, StorageError> {
    DataDir::open(disk(host), Path::new("data"), Path::new("data")).await
}

/// A directory with a snapshot of nothing.
async fn fresh_dir(host: &Host) -> Result<DataDir, StorageError> {
    let dir = dir_of(host).await?;
    let tree = DataTree::new(HASHING);
    write_snapshot(&dir, &mut Still(&tree, Vec::new())).await?;
    Ok(dir)
}

fn log_of(dir: &DataDir) -> TxnLog {
    TxnLog::new(Arc::clone(&dir.disk), dir.log_dir(), SETTINGS)
}

/// The transaction with this zxid of an endless history: a session, then znodes that are
/// created and now and then written to.
fn txn(zxid: i64) -> Txn {
    let header = TxnHeader {
        client: SESSION,
        cxid: Xid(zxid as i32),
        zxid: Zxid(zxid),
        time_ms: 1000 + zxid,
    };
    let data = |len: usize| Some(vec![zxid as u8 | 1; len].into_boxed_slice());
    let body = match zxid {
        1 => TxnBody::CreateSession { timeout_ms: 6000 },
        zxid if zxid % 3 == 0 => TxnBody::Change(Change::SetData(SetDataTxn {
            path: format!("/n{}", zxid - 1).into(),
            data: data(700),
            version: 1,
        })),
        zxid => TxnBody::Change(Change::Create(CreateTxn {
            path: format!("/n{zxid}").into(),
            data: data(zxid as usize % 50),
            acl: Arc::from([Acl::open()]),
            ephemeral: if zxid % 5 == 0 {
                EphemeralType::Normal(SESSION)
            } else {
                EphemeralType::Void
            },
            parent_cversion: zxid as i32,
            reply_stat: false,
        })),
    };
    Txn {
        header,
        body,
        digest: None,
    }
}

/// The tree after `last`.
fn tree_after(last: i64) -> DataTree {
    let mut tree = DataTree::new(HASHING);
    let mut watches = Watches::new(HASHING);
    for zxid in 1..=last {
        let _ = apply(txn(zxid), &mut tree, &mut watches, &mut NoWatchers);
    }
    tree
}

fn append(log: &mut TxnLog, zxid: i64) {
    let mut payload = BytesMut::new();
    encode_txn(&txn(zxid), &mut payload);
    log.append(Zxid(zxid), &payload);
}

async fn recovered(dir: &DataDir) -> Result<Recovered, StorageError> {
    match recover(dir, HASHING).await? {
        Recovery::Data(recovered) => Ok(*recovered),
        Recovery::Empty => panic!("there was a snapshot"),
    }
}

/// What was recovered is exactly the history up to `last`.
#[track_caller]
fn expect_history(recovered: &Recovered, last: i64) {
    assert_eq!(recovered.last_zxid, Zxid(last));
    assert_eq!(recovered.tree.digest(), tree_after(last).digest());
    assert_eq!(recovered.sessions.len(), usize::from(last > 0));
    assert_eq!(recovered.digest_mismatch, None);
}

#[test]
fn what_was_flushed_is_recovered_from_every_file() {
    on_host(1, async |host| {
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut log = log_of(&dir);
        for zxid in 1..=60 {
            append(&mut log, zxid);
            if zxid % 7 == 0 {
                log.flush().await.expect("a disk that works");
            }
            if zxid % 20 == 0 {
                log.roll().await.expect("a disk that works");
            }
        }
        assert_eq!(dir.logs().await.expect("a list").len(), 3);
        let recovered = recovered(&dir).await.expect("what was written");
        expect_history(&recovered, 60);
        assert_eq!(recovered.committed.len(), 60);
        assert_eq!(recovered.sessions[&SESSION], 6000);
    });
}

#[test]
fn a_directory_begins_empty_and_never_with_a_log_alone() {
    on_host(1, async |host| {
        let dir = dir_of(&host).await.expect("a disk that works");
        assert!(matches!(recover(&dir, HASHING).await, Ok(Recovery::Empty)));
        let mut log = log_of(&dir);
        append(&mut log, 1);
        log.flush().await.expect("a disk that works");
        let error = recover(&dir, HASHING).await.expect_err("no snapshot");
        assert!(matches!(error, StorageError::NoSnapshot { .. }), "{error}");
    });
}

#[test]
fn purging_keeps_three_snapshots_and_what_they_need() {
    on_host(1, async |host| {
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut log = log_of(&dir);
        for zxid in 1..=50 {
            append(&mut log, zxid);
            if zxid % 10 == 0 {
                log.roll().await.expect("a disk that works");
                let tree = tree_after(zxid);
                let sessions = vec![(SESSION, 6000)];
                write_snapshot(&dir, &mut Still(&tree, sessions))
                    .await
                    .expect("a disk that works");
            }
        }
        // Of 0, 10, …, 50 the last three stay, and logs from 21 on: 30 is in it.
        assert_eq!(purge(&dir, 1).await.expect("a disk that works"), 3 + 2);
        let snapshots = dir.snapshots().await.expect("a list");
        let zxids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.zxid.0).collect();
        assert_eq!(zxids, [50, 40, 30]);
        expect_history(&recovered(&dir).await.expect("what is left"), 50);
        for snapshot in &snapshots[..2] {
            dir.remove(&snapshot.path).await.expect("a disk that works");
        }
        expect_history(&recovered(&dir).await.expect("the log has it"), 50);
    });
}

#[test]
fn epochs_are_replaced_in_one_step() {
    for seed in 0..100 {
        on_host(seed, async |host| {
            let dir = dir_of(&host).await.expect("a disk that works");
            assert_eq!(dir.accepted_epoch().await.expect("readable"), None);
            dir.set_accepted_epoch(7).await.expect("a disk that works");
            let write = dir.set_accepted_epoch(8);
            let polls = (seed % 6) as usize;
            poll_some(write, polls).await;
            crash(&host);
            let dir = dir_of(&host).await.expect("a disk that works");
            let epoch = dir.accepted_epoch().await.expect("one of them");
            assert!(matches!(epoch, Some(7 | 8)), "{epoch:?}");
        });
    }
}

/// A directory with 40 transactions in four files, and snapshots of 0, 12, 24 and 36.
async fn written_dir(host: &Host) -> Result<DataDir, StorageError> {
    let dir = fresh_dir(host).await?;
    let mut log = log_of(&dir);
    for zxid in 1..=40 {
        append(&mut log, zxid);
        if zxid % 12 == 0 {
            log.roll().await?;
            snapshot_of(&dir, &tree_after(zxid)).await?;
        }
    }
    log.flush().await?;
    Ok(dir)
}

async fn snapshot_of(dir: &DataDir, tree: &DataTree) -> Result<Zxid, StorageError> {
    write_snapshot(dir, &mut Still(tree, vec![(SESSION, 6000)])).await
}

/// Does `work` on a disk whose every call takes a millisecond, and cuts the power after
/// `calls` of them. Whether it was over by then.
async fn cut_after<T>(host: &Host, calls: u32, work: impl Future<Output = T>) -> Option<T> {
    let call = std::time::Duration::from_millis(1);
    host.set_disk_latency(call, call);
    let mut timer = host.env().timer();
    let until = host.env().now() + call * calls;
    let done = tokio::select! {
        biased;
        () = zk_env::sleep_until(&mut *timer, until) => None,
        done = work => Some(done),
    };
    crash(host);
    host.set_disk_latency(std::time::Duration::ZERO, std::time::Duration::ZERO);
    done
}

/// Every file with its contents.
async fn files(dir: &DataDir) -> Vec<(PathBuf, Bytes)> {
    let mut files = Vec::new();
    let names = dir.disk.list(&dir.snap_dir()).await.expect("a list");
    for name in names {
        let path = dir.snap_dir().join(name);
        let file = dir.disk.open(&path, OpenMode::Existing).await;
        let file = file.expect("listed");
        let contents = file.read_at(0, usize::MAX).await.expect("readable");
        files.push((path, contents));
    }
    files
}

/// Polls a future this often, then drops it.
async fn poll_some<F: Future>(future: F, polls: usize) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let once =
            std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready()));
        if once.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}
