//! Transactions that are forgotten.

use super::fuzzy::{Moving, history};
use super::*;

#[test]
fn a_log_is_truncated_to_exactly_one_transaction_or_not_at_all() {
    on_host(1, async |host| {
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut log = log_of(&dir);
        for zxid in 1..=30 {
            append(&mut log, zxid);
            if zxid % 10 == 0 {
                log.roll().await.expect("a disk that works");
            }
        }
        for missing in [-1, 31, 1 << 32] {
            assert!(!truncate_log(&dir, Zxid(missing)).await.expect("readable"));
        }
        assert!(truncate_log(&dir, Zxid(14)).await.expect("readable"));
        crash(&host);
        let dir = dir_of(&host).await.expect("a disk that works");
        expect_history(&recovered(&dir).await.expect("a prefix"), 14);
        let mut log = log_of(&dir);
        append(&mut log, 15);
        log.flush().await.expect("a disk that works");
        expect_history(&recovered(&dir).await.expect("it goes on"), 15);
    });
}

/// What the snapshot of a transaction has, the log need not have.
#[test]
fn a_snapshot_of_exactly_that_transaction_will_do() {
    on_host(1, async |host| {
        let dir = dir_of(&host).await.expect("a disk that works");
        let tree = tree_after(20);
        let sessions = vec![(SESSION, 6000)];
        install_snapshot(&dir, Zxid(20), &mut Still(&tree, sessions))
            .await
            .expect("a disk that works");
        assert!(!truncate_log(&dir, Zxid(21)).await.expect("readable"));
        let mut log = log_of(&dir);
        (21..=30).for_each(|zxid| append(&mut log, zxid));
        log.flush().await.expect("a disk that works");
        snapshot_of(&dir, &tree_after(27))
            .await
            .expect("a disk that works");
        assert!(!truncate_log(&dir, Zxid(19)).await.expect("readable"));
        expect_history(&recovered(&dir).await.expect("untouched"), 30);
        assert!(truncate_log(&dir, Zxid(20)).await.expect("readable"));
        let recovered = recovered(&dir).await.expect("the snapshot");
        expect_history(&recovered, 20);
        assert_eq!(recovered.committed, []);
    });
}

#[test]
fn at_zero_everything_goes() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        assert!(
            truncate_log(&dir, Zxid::ZERO)
                .await
                .expect("a disk that works")
        );
        crash(&host);
        let dir = dir_of(&host).await.expect("a disk that works");
        let recovered = recovered(&dir).await.expect("nothing");
        expect_history(&recovered, 0);
        assert_eq!(recovered.committed, []);
        let names = dir.disk.list(&dir.snap_dir()).await.expect("a list");
        assert_eq!(names, ["snapshot.0"]);
    });
}

/// Purged, or replaced: the log may have transactions that no snapshot leads to.
#[test]
fn without_a_way_from_an_older_snapshot_nothing_is_changed() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        for old in ["snapshot.0", "snapshot.c"] {
            let path = dir.snap_dir().join(old);
            dir.remove(&path).await.expect("a disk that works");
        }
        let before = files(&dir).await;
        for zxid in [5, 12, 23] {
            assert!(!truncate_log(&dir, Zxid(zxid)).await.expect("readable"));
        }
        assert!(files(&dir).await == before, "something was changed");
        assert!(truncate_log(&dir, Zxid(25)).await.expect("readable"));
        expect_history(&recovered(&dir).await.expect("a prefix"), 25);
    });
}

/// A crash half-way would meet the gap.
#[test]
fn with_a_gap_that_a_later_snapshot_has_hidden_nothing_is_changed() {
    on_host(1, async |host| {
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut log = log_of(&dir);
        (1..=10).for_each(|zxid| append(&mut log, zxid));
        log.roll().await.expect("a disk that works");
        snapshot_of(&dir, &tree_after(12))
            .await
            .expect("a disk that works");
        (13..=20).for_each(|zxid| append(&mut log, zxid));
        log.flush().await.expect("a disk that works");
        let before = files(&dir).await;
        assert!(!truncate_log(&dir, Zxid(8)).await.expect("readable"));
        assert!(files(&dir).await == before, "something was changed");
        let recovery = recovered(&dir).await.expect("no gap behind 12");
        let zxids: Vec<_> = recovery.committed.iter().map(|(zxid, _)| zxid.0).collect();
        assert_eq!(zxids, Vec::from_iter(13..=20), "what is behind the gap");
        assert!(truncate_log(&dir, Zxid(12)).await.expect("readable"));
        let recovery = recovered(&dir).await.expect("the snapshot");
        expect_history(&recovery, 12);
        assert_eq!(recovery.committed, [], "they end before the snapshot");
    });
}

/// A snapshot may have caught what came after its name.
#[test]
fn a_snapshot_with_something_later_in_it_does_not_stay() {
    on_host(1, async |host| {
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut moving = Moving::new(history(4, 120), 50);
        let mut log = log_of(&dir);
        for txn in &moving.txns {
            let mut payload = BytesMut::new();
            encode_txn(txn, &mut payload);
            log.append(txn.header.zxid, &payload);
        }
        log.flush().await.expect("a disk that works");
        let zxid = write_snapshot(&dir, &mut moving).await;
        assert_eq!(zxid.expect("a disk that works"), Zxid(50));
        assert!(moving.applied > 56, "nothing happened meanwhile");
        assert!(truncate_log(&dir, Zxid(55)).await.expect("readable"));
        let recovered = recovered(&dir).await.expect("a prefix");
        assert_eq!(recovered.last_zxid, Zxid(55));
        let expected = Moving::new(std::mem::take(&mut moving.txns), 55);
        assert_eq!(recovered.tree.digest(), expected.tree.digest());
        assert_eq!(recovered.digest_mismatch, None);
    });
}

#[test]
fn a_crash_at_any_step_leaves_what_was_there_or_less_and_no_gap() {
    let mut lasts = std::collections::BTreeSet::new();
    for zxid in [0, 5, 24, 30] {
        for calls in 0..50 {
            for draw in 0..2 {
                on_host(u64::from(calls * 2 + draw), async |host| {
                    let dir = written_dir(&host).await.expect("a disk that works");
                    let done = cut_after(&host, calls, truncate_log(&dir, Zxid(zxid))).await;
                    let dir = dir_of(&host).await.expect("a disk that works");
                    let recovery = recovered(&dir).await.expect("nothing is damaged");
                    let last = recovery.last_zxid.0;
                    expect_history(&recovery, last);
                    match done {
                        Some(ref done) => {
                            assert!(*done.as_ref().expect("a disk that works"));
                            assert_eq!(last, zxid);
                        }
                        None => assert!((zxid..=40).contains(&last), "{last}"),
                    }
                    assert!(zxid > 0 || last == 0 || last == 40, "{last}");
                    lasts.insert((zxid, last, done.is_some()));
                    assert!(truncate_log(&dir, Zxid(zxid)).await.expect("again"));
                    expect_history(&recovered(&dir).await.expect("a prefix"), zxid);
                });
            }
        }
    }
    for state in [
        (0, 40, false),
        (0, 0, false),
        (0, 0, true),
        (5, 40, false),
        (5, 5, true),
    ] {
        assert!(lasts.contains(&state), "{state:?} of {lasts:?}");
    }
    assert!(
        lasts.contains(&(5, 36, false)),
        "half of the files: {lasts:?}"
    );
}
