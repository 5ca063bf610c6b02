//! A history that is replaced by a snapshot.

use super::*;
use zk_sim::faults::DiskFault;

/// From 25 on: the newest snapshot is in the middle of that file.
const OLD_COMMITTED: usize = 16;
const NEW_SESSION: SessionId = SessionId(77);

/// Another history, up to `zxid`: it has left out much of ours.
fn other_tree(zxid: Zxid) -> DataTree {
    let mut tree = tree_after(4);
    tree.set_last_processed(zxid);
    tree
}

/// Whether the new history is there, and nothing but it; else the old one is, and is whole.
async fn is_replaced(dir: &DataDir, zxid: Zxid) -> bool {
    let recovery = recovered(dir).await.expect("nothing is damaged");
    if recovery.sessions.contains_key(&SESSION) {
        expect_history(&recovery, 40);
        assert_eq!(recovery.committed.len(), OLD_COMMITTED);
        return false;
    }
    assert_eq!(recovery.last_zxid, zxid);
    assert_eq!(recovery.tree.digest(), other_tree(zxid).digest());
    assert_eq!(recovery.sessions.get(&NEW_SESSION), Some(&5000));
    assert_eq!(recovery.committed, [], "of the old history");
    let names = dir.disk.list(&dir.snap_dir()).await.expect("a list");
    assert_eq!(names, [&*format!("snapshot.{:x}", zxid.0)]);
    true
}

async fn install(dir: &DataDir, zxid: Zxid) -> Result<(), StorageError> {
    let tree = other_tree(zxid);
    install_snapshot(dir, zxid, &mut Still(&tree, vec![(NEW_SESSION, 5000)])).await
}

/// Between two old snapshots, with the name of one, and in a later epoch.
const ZXIDS: [Zxid; 3] = [Zxid(30), Zxid(24), Zxid(0x1_0000_0003)];

#[test]
fn a_crash_at_any_step_leaves_the_old_history_or_the_new_one() {
    let (mut old, mut new, mut done) = (0, 0, 0);
    for zxid in ZXIDS {
        for calls in 0..30 {
            for draw in 0..4 {
                on_host(u64::from(calls * 4 + draw), async |host| {
                    let dir = written_dir(&host).await.expect("a disk that works");
                    let installed = cut_after(&host, calls, install(&dir, zxid)).await;
                    let dir = dir_of(&host).await.expect("a disk that works");
                    let is_new = is_replaced(&dir, zxid).await;
                    match installed {
                        Some(installed) => {
                            installed.expect("a disk that works");
                            assert!(is_new, "it was durable");
                            done += 1;
                        }
                        None if is_new => new += 1,
                        None => old += 1,
                    }
                    goes_on(&host, &dir, if is_new { zxid.0 } else { 40 }).await;
                });
            }
        }
    }
    assert!(old > 50 && new > 50 && done > 20, "{old} {new} {done}");
}

/// The recovery that finishes it is interrupted as well.
#[test]
fn a_crash_in_the_recovery_changes_nothing() {
    let mut finished = 0;
    for calls in 6..30 {
        for again in 0..20 {
            on_host(u64::from(calls * 20 + again), async |host| {
                let dir = written_dir(&host).await.expect("a disk that works");
                cut_after(&host, calls, install(&dir, ZXIDS[1])).await;
                let names = dir.disk.list(&dir.snap_dir()).await.expect("a list");
                let is_decided = names.contains(&"replacing.18".into());
                let dir = dir_of(&host).await.expect("a disk that works");
                cut_after(&host, again, recover(&dir, HASHING)).await;
                let dir = dir_of(&host).await.expect("a disk that works");
                let is_new = is_replaced(&dir, ZXIDS[1]).await;
                assert!(is_new || !is_decided);
                finished += usize::from(is_decided);
            });
        }
    }
    assert!(finished > 50, "{finished}");
}

async fn goes_on(host: &Host, dir: &DataDir, last: i64) {
    let mut log = log_of(dir);
    append(&mut log, last + 1);
    log.flush().await.expect("a disk that works");
    crash(host);
    let dir = dir_of(host).await.expect("a disk that works");
    let recovery = recovered(&dir).await.expect("nothing is damaged");
    assert_eq!(recovery.last_zxid, Zxid(last + 1));
    let committed = if last == 40 { OLD_COMMITTED } else { 0 } + 1;
    assert_eq!(recovery.committed.len(), committed);
}

#[test]
fn a_disk_that_fails_leaves_one_of_the_two() {
    for fault in [DiskFault::Full, DiskFault::WriteFails, DiskFault::SyncFails] {
        for seed in 0..10 {
            on_host(seed, async |host| {
                let dir = written_dir(&host).await.expect("a disk that works");
                host.disk_fault(fault);
                let error = install(&dir, ZXIDS[0]).await.expect_err("the disk fails");
                assert!(matches!(error, StorageError::Disk { .. }), "{error}");
                host.end_disk_fault(fault);
                crash(&host);
                let dir = dir_of(&host).await.expect("a disk that works");
                assert!(!is_replaced(&dir, ZXIDS[0]).await, "not even begun");
            });
        }
    }
}

#[test]
fn a_new_snapshot_that_has_rotted_deletes_nothing() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        let path = dir.snap_dir().join("replacing.1e");
        let file = dir.disk.open(&path, OpenMode::Create).await;
        let file = file.expect("a disk that works");
        let written = file.append(Bytes::from_static(b"ZKSN and no more")).await;
        written.expect("a disk that works");
        let before = files(&dir).await;
        let error = recover(&dir, HASHING).await.expect_err("it is none");
        assert!(
            error.to_string().contains("replacing.1e is damaged"),
            "{error}"
        );
        assert!(files(&dir).await == before, "something was changed");
        dir.remove(&path).await.expect("a disk that works");
        expect_history(&recovered(&dir).await.expect("the old history"), 40);
    });
}
