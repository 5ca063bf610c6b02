//! The log, read for others while it is written.

use super::*;

async fn zxids(dir: &DataDir, from: i64, through: i64, max_bytes: Option<u64>) -> Option<Vec<i64>> {
    let read = read_log(dir, Zxid(from), Zxid(through), max_bytes).await;
    let txns = read.expect("readable")?;
    for (zxid, payload) in &txns {
        let mut expected = BytesMut::new();
        encode_txn(&txn(zxid.0), &mut expected);
        assert_eq!(*payload, expected);
    }
    Some(txns.iter().map(|(zxid, _)| zxid.0).collect())
}

#[test]
fn from_the_newest_that_is_not_newer_up_to_the_last_that_is_asked_for() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        for (from, through) in [(1, 40), (5, 12), (12, 13), (13, 36), (37, 37), (40, 40)] {
            let expected = Some(Vec::from_iter(from..=through));
            assert_eq!(zxids(&dir, from, through, None).await, expected);
        }
        assert_eq!(zxids(&dir, 38, 1000, None).await, Some(vec![38, 39, 40]));
        assert_eq!(zxids(&dir, 50, 60, None).await, Some(vec![40]));
        assert_eq!(zxids(&dir, 0, 40, None).await, None, "not so far back");
        let epoch = 1 << 32;
        let read = zxids(&dir, epoch, epoch + 5, None).await;
        assert_eq!(read, Some(vec![40]), "a learner that has more");
    });
}

#[test]
fn no_more_bytes_than_are_worth_it() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        let len = |zxid| {
            let mut payload = BytesMut::new();
            encode_txn(&txn(zxid), &mut payload);
            payload.len() as u64
        };
        let behind: u64 = (6..=20).map(len).sum();
        let expected = Some(Vec::from_iter(5..=20));
        assert_eq!(zxids(&dir, 5, 20, Some(behind)).await, expected);
        assert_eq!(zxids(&dir, 5, 20, Some(behind - 1)).await, None);
        assert_eq!(zxids(&dir, 5, 5, Some(0)).await, Some(vec![5]));
    });
}

#[test]
fn nothing_is_skipped_silently() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        dir.remove(&dir.log_dir().join("log.d"))
            .await
            .expect("it works");
        assert_eq!(zxids(&dir, 5, 40, None).await, None);
        assert_eq!(zxids(&dir, 13, 40, None).await, None);
        assert_eq!(zxids(&dir, 5, 12, None).await, Some(Vec::from_iter(5..=12)));
        assert_eq!(zxids(&dir, 30, 33, None).await, Some(vec![30, 31, 32, 33]));
        // Damage in the middle of what is wanted, and behind it.
        let path = dir.log_dir().join("log.19");
        let file = dir.disk.open(&path, OpenMode::Existing).await;
        let file = file.expect("it is there");
        file.write_at(1200, Bytes::from_static(&[9; 40]))
            .await
            .expect("it works");
        let intact = zxids(&dir, 25, 36, None).await.expect("its beginning");
        assert!(intact.len() < 12, "{intact:?}");
        assert_eq!(zxids(&dir, 25, 40, None).await, None, "37 does not follow");
    });
}

/// At any moment of a flush, and with what a crash has left.
#[test]
fn what_is_being_written_behind_it_does_not_matter() {
    for seed in 0..60 {
        on_host(seed, async |host| {
            let dir = fresh_dir(&host).await.expect("a disk that works");
            let mut log = log_of(&dir);
            (1..=10).for_each(|zxid| append(&mut log, zxid));
            log.flush().await.expect("a disk that works");
            (11..=30).for_each(|zxid| append(&mut log, zxid));
            poll_some(log.flush(), (seed % 4) as usize).await;
            if seed % 2 == 0 {
                crash(&host);
            }
            let dir = dir_of(&host).await.expect("a disk that works");
            let before = files(&dir).await;
            let expected = Some(Vec::from_iter(3..=10));
            assert_eq!(zxids(&dir, 3, 10, None).await, expected);
            assert!(files(&dir).await == before, "something was changed");
        });
    }
}

#[test]
fn the_newest_snapshot_that_was_finished_is_weighed() {
    on_host(1, async |host| {
        let dir = written_dir(&host).await.expect("a disk that works");
        let len = |files: &[(PathBuf, Bytes)], name: &str| {
            let named = files.iter().find(|(path, _)| path.ends_with(name));
            named.map(|(_, contents)| contents.len() as u64)
        };
        let files = files(&dir).await;
        let bytes = newest_snapshot_bytes(&dir).await.expect("readable");
        assert_eq!(bytes, len(&files, "snapshot.24"));
        // Apache did not come to its end.
        let path = dir.snap_dir().join("snapshot.24");
        let file = dir.disk.open(&path, OpenMode::Existing).await;
        let file = file.expect("it is there");
        file.truncate(700).await.expect("a disk that works");
        let bytes = newest_snapshot_bytes(&dir).await.expect("readable");
        assert_eq!(bytes, len(&files, "snapshot.18"));
    });
}
