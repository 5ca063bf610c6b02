//! Bytes that are not what was written.

use bytes::Bytes;
use zk_env::OpenMode;

use super::*;

async fn contents(dir: &DataDir, path: &Path) -> Bytes {
    let file = dir
        .disk
        .open(path, OpenMode::Existing)
        .await
        .expect("it is there");
    file.read_at(0, usize::MAX).await.expect("readable")
}

async fn put(dir: &DataDir, path: &Path, bytes: Bytes) {
    let file = dir
        .disk
        .open(path, OpenMode::Create)
        .await
        .expect("writable");
    file.truncate(0).await.expect("writable");
    file.write_at(0, bytes).await.expect("writable");
}

/// A directory with one log of these transactions, and where each record begins and the
/// last one ends.
async fn written(host: &Host, last: i64) -> (DataDir, PathBuf, Bytes, Vec<u64>) {
    let dir = fresh_dir(host).await.expect("a disk that works");
    let mut log = log_of(&dir);
    (1..=last).for_each(|zxid| append(&mut log, zxid));
    log.flush().await.expect("a disk that works");
    let path = dir.log_dir().join("log.1");
    let mut file = LogFile::open(&dir.disk, &path)
        .await
        .expect("readable")
        .expect("it has records");
    let mut offsets = vec![file.position()];
    while file.next().await.expect("undamaged").is_ok() {
        offsets.push(file.position());
    }
    let bytes = contents(&dir, &path).await;
    (dir, path, bytes, offsets)
}

/// S17: whatever is missing of the last record, only that record is gone.
#[test]
fn a_record_torn_at_any_byte_is_dropped_and_nothing_else() {
    on_host(1, async |host| {
        let (dir, path, bytes, offsets) = written(&host, 9).await;
        let (begin, end) = (offsets[8] as usize, offsets[9] as usize);
        for cut in begin..end {
            // The file is that short.
            put(&dir, &path, bytes.slice(..cut)).await;
            expect_history(&recovered(&dir).await.expect("torn"), 8);
        }
        for sector in begin / 512..=(end - 1) / 512 {
            // A sector of it was not written.
            let mut torn = BytesMut::from(&bytes[..]);
            let from = (sector * 512).max(begin);
            torn[from..((sector + 1) * 512).min(end)].fill(0);
            put(&dir, &path, torn.freeze()).await;
            expect_history(&recovered(&dir).await.expect("torn"), 8);
        }
    });
}

/// S18: a flipped bit is found where it is, and no transaction is dropped for it.
#[test]
fn a_flipped_bit_is_reported_with_its_place() {
    on_host(1, async |host| {
        let (dir, path, bytes, offsets) = written(&host, 9).await;
        let end = offsets[9] as usize;
        let mut found = 0;
        for at in 16..end {
            let mut rotten = BytesMut::from(&bytes[..]);
            rotten[at] ^= 1 << (at % 8);
            put(&dir, &path, rotten.freeze()).await;
            let begin = offsets.iter().rfind(|begin| **begin <= at as u64);
            match recover(&dir, HASHING).await {
                Err(StorageError::Damaged { offset, .. }) => {
                    assert_eq!(Some(&offset), begin, "byte {at}");
                    found += 1;
                }
                Err(other) => panic!("byte {at}: {other}"),
                Ok(_) => panic!("byte {at}: not noticed"),
            }
        }
        assert_eq!(found, end - 16);
        // What lies behind the last record was never a transaction.
        for at in [end, end + 11, end + 12, end + 500, bytes.len() - 1] {
            let mut rotten = BytesMut::from(&bytes[..]);
            rotten[at] ^= 1;
            put(&dir, &path, rotten.freeze()).await;
            expect_history(&recovered(&dir).await.expect("padding"), 9);
        }
    });
}

/// What a znode holds may be zeros, sector after sector.
#[test]
fn a_flipped_bit_in_a_record_with_zeros_is_no_torn_end() {
    on_host(1, async |host| {
        let mut txns = vec![txn(1), txn(2), txn(3)];
        txns[2].body = TxnBody::Change(Change::SetData(SetDataTxn {
            path: "/n2".into(),
            data: Some(vec![0; 1500].into()),
            version: 1,
        }));
        let dir = fresh_dir(&host).await.expect("a disk that works");
        let mut log = log_of(&dir);
        for txn in &txns {
            let mut payload = BytesMut::new();
            encode_txn(txn, &mut payload);
            log.append(txn.header.zxid, &payload);
        }
        log.flush().await.expect("a disk that works");
        let path = dir.log_dir().join("log.1");
        let mut file = LogFile::open(&dir.disk, &path)
            .await
            .expect("readable")
            .expect("it has records");
        let mut records = Vec::new();
        while let Ok(record) = file.next().await.expect("undamaged") {
            records.push(record.offset as usize);
        }
        let (begin, end) = (records[2], file.position() as usize);
        let bytes = contents(&dir, &path).await;
        for at in begin..end {
            let mut rotten = BytesMut::from(&bytes[..]);
            rotten[at] ^= 1 << (at % 8);
            put(&dir, &path, rotten.freeze()).await;
            let error = recover(&dir, HASHING).await.expect_err("it was written");
            assert!(
                matches!(error, StorageError::Damaged { offset, .. } if offset == begin as u64),
                "byte {at}: {error}"
            );
        }
        for sector in begin / 512..=(end - 1) / 512 {
            let mut torn = BytesMut::from(&bytes[..]);
            torn[(sector * 512).max(begin)..((sector + 1) * 512).min(end)].fill(0);
            if torn != bytes {
                put(&dir, &path, torn.freeze()).await;
                let recovered = recovered(&dir).await.expect("torn");
                assert_eq!(recovered.last_zxid, Zxid(2));
            }
        }
    });
}

#[test]
fn another_file_under_the_name_of_a_log_is_refused() {
    on_host(1, async |host| {
        let (dir, path, ..) = written(&host, 3).await;
        put(
            &dir,
            &path,
            Bytes::from_static(b"ZKSN\0\0\0\x02\0\0\0\0\0\0\0\0"),
        )
        .await;
        let error = recover(&dir, HASHING).await.expect_err("no log");
        assert!(
            matches!(error, StorageError::Damaged { offset: 0, .. }),
            "{error}"
        );
    });
}

/// S20.
#[test]
fn empty_files_are_removed_and_gaps_refused() {
    on_host(1, async |host| {
        let (dir, path, bytes, offsets) = written(&host, 9).await;
        let next = dir.log_dir().join("log.a");
        for beginning in [
            &b""[..],
            b"ZKLG\0\0",
            &[0; 600],
            b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0",
        ] {
            put(&dir, &next, Bytes::copy_from_slice(beginning)).await;
            expect_history(&recovered(&dir).await.expect("a file just begun"), 9);
            assert_eq!(dir.logs().await.expect("a list").len(), 1);
        }
        let mut log = log_of(&dir);
        append(&mut log, 11);
        log.flush().await.expect("a disk that works");
        let error = recover(&dir, HASHING).await.expect_err("10 is missing");
        assert_eq!(
            error.to_string(),
            "data/version-2/log.b goes on with zxid 0xb, but what is there before it ends with 0x9"
        );
        dir.remove(&dir.log_dir().join("log.b"))
            .await
            .expect("a disk that works");
        // The first file ends early, and there is a second.
        let mut log = log_of(&dir);
        append(&mut log, 10);
        log.flush().await.expect("a disk that works");
        put(&dir, &path, bytes.slice(..offsets[8] as usize + 5)).await;
        let error = recover(&dir, HASHING).await.expect_err("9 is missing");
        assert!(matches!(error, StorageError::Gap { .. }), "{error}");
    });
}

/// Its first sector is gone, and with it what the file is: only in the newest a crash does so.
#[test]
fn a_file_without_a_beginning_is_refused_unless_it_is_the_newest() {
    on_host(1, async |host| {
        let (dir, path, bytes, _) = written(&host, 9).await;
        let mut rotten = BytesMut::from(&bytes[..]);
        rotten[..512].fill(0);
        put(&dir, &path, rotten.clone().freeze()).await;
        let mut log = log_of(&dir);
        append(&mut log, 10);
        log.flush().await.expect("a disk that works");
        let before = files(&dir).await;
        let error = recover(&dir, HASHING).await.expect_err("it had records");
        assert!(
            matches!(&error, StorageError::Damaged { offset: 0, path: at, .. } if *at == path),
            "{error}"
        );
        assert!(files(&dir).await == before, "something was changed");
        dir.remove(&dir.log_dir().join("log.a"))
            .await
            .expect("a disk that works");
        expect_history(&recovered(&dir).await.expect("torn"), 0);
    });
}

/// S19.
#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before_it() {
    on_host(1, async |host| {
        let (dir, ..) = written(&host, 9).await;
        let tree = tree_after(9);
        write_snapshot(&dir, &mut Still(&tree, vec![(SESSION, 6000)]))
            .await
            .expect("a disk that works");
        let path = dir.snap_dir().join("snapshot.9");
        let bytes = contents(&dir, &path).await;
        for at in (4..bytes.len()).step_by(13) {
            let mut rotten = BytesMut::from(&bytes[..]);
            rotten[at] ^= 4;
            put(&dir, &path, rotten.freeze()).await;
            let recovered = recovered(&dir).await.expect("the older one is good");
            expect_history(&recovered, 9);
            assert_eq!(recovered.replayed, 9);
        }
        dir.remove(&dir.snap_dir().join("snapshot.0"))
            .await
            .expect("a disk that works");
        let error = recover(&dir, HASHING).await.expect_err("no other");
        assert!(
            matches!(error, StorageError::NoValidSnapshot { .. }),
            "{error}"
        );
    });
}
