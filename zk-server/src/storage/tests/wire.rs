//! Snapshots that are sent to a learner.

use bytes::Bytes;
use proptest::prelude::*;
use zk_env::OpenMode;

use super::fuzzy::{Moving, history, seen};
use super::*;
use crate::storage::snapshot_format::SnapshotError;

const LIMIT: usize = 1 << 20;

/// What goes over the wire, and the zxid that was returned.
fn sent(source: &mut dyn SnapshotSource) -> (Bytes, Zxid) {
    let mut wire = Vec::new();
    let runtime = runtime(1).expect("a runtime");
    let zxid = runtime.block_on(send_snapshot(source, &mut wire, || ()));
    (wire.into(), zxid.expect("memory takes it"))
}

fn reader(zxid: Zxid) -> WireSnapshotReader {
    WireSnapshotReader::new(zxid, HASHING, LIMIT)
}

/// A small tree with sessions, several ACLs and data, as it is sent.
fn sample() -> (Bytes, Moving) {
    let mut moving = Moving::new(history(3, 40), 40);
    let tree = std::mem::replace(&mut moving.tree, DataTree::new(HASHING));
    let bytes = sent(&mut Still(&tree, vec![(SESSION, 6000), (SessionId(-1), 4)])).0;
    moving.tree = tree;
    (bytes, moving)
}

#[test]
fn the_wire_has_the_body_of_the_file_and_the_signature() {
    let tree = tree_after(30);
    let sessions = vec![(SESSION, 6000)];
    let (wire, zxid) = sent(&mut Still(&tree, sessions.clone()));
    assert_eq!(zxid, Zxid(30));
    let file = on_host(1, async |host| {
        let dir = dir_of(&host).await.expect("a disk that works");
        let written = write_snapshot(&dir, &mut Still(&tree, sessions)).await;
        written.expect("a disk that works");
        let path = dir.snap_dir().join("snapshot.1e");
        let file = dir.disk.open(&path, OpenMode::Existing).await;
        let file = file.expect("it was written");
        file.read_at(0, usize::MAX).await.expect("readable")
    });
    // Header, and three seals with what they are of.
    let body = &file[16..file.len() - 13 - 33 - 21];
    let signature = b"\0\0\0\x0aBenWasHere";
    assert_eq!(wire, [body, &signature[..]].concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_chunks_give_the_same_tree_and_leave_what_follows(
        sizes in prop::collection::vec(1_usize..100_000, 1..20),
        behind in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let (wire, moving) = sample();
        let stream = [&wire[..], &behind].concat();
        let (mut reader, mut input) = (reader(Zxid(40)), BytesMut::new());
        let (mut sizes, mut rest) = (sizes.iter().cycle(), &stream[..]);
        let snapshot = loop {
            let size = (*sizes.next().expect("endless")).min(rest.len());
            input.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            if let Some(snapshot) = reader.feed(&mut input).expect("our own") {
                break snapshot;
            }
            prop_assert!(!rest.is_empty(), "it was all there");
        };
        prop_assert_eq!([&input[..], rest].concat(), behind);
        prop_assert_eq!(seen(&snapshot.tree), seen(&moving.tree));
        prop_assert_eq!(snapshot.tree.digest(), moving.tree.digest());
        prop_assert_eq!(snapshot.tree.last_processed(), Zxid(40));
        prop_assert_eq!(snapshot.sessions, [(SESSION, 6000), (SessionId(-1), 4)]);
        let error = reader.feed(&mut input).expect_err("it was handed out");
        prop_assert!(matches!(error, SnapshotError::Over));
    }

    #[test]
    fn no_garbage_is_a_snapshot(bytes in prop::collection::vec(0_u8..3, 0..300)) {
        let mut input = BytesMut::from(&bytes[..]);
        prop_assert!(!matches!(reader(Zxid(1)).feed(&mut input), Ok(Some(_))));
    }
}

#[test]
fn byte_by_byte_and_never_before_the_end() {
    let tree = tree_after(12);
    let (wire, _) = sent(&mut Still(&tree, vec![(SESSION, 6000)]));
    let (mut reader, mut input) = (reader(Zxid(12)), BytesMut::new());
    for (at, byte) in (1..).zip(&wire) {
        input.extend_from_slice(&[*byte]);
        let is_over = reader.feed(&mut input).expect("our own").is_some();
        assert_eq!(is_over, at == wire.len(), "{at}");
    }
}

/// Nothing waits that cannot become an item, whatever a length announces.
#[test]
fn lengths_are_bounded_and_counts_reserve_nothing() {
    let numbers = |numbers: &[i32]| -> BytesMut {
        let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
        bytes.collect()
    };
    let limit = i32::try_from(LIMIT).expect("small");
    for (wire, expected) in [
        (numbers(&[-1]), "a negative number of entries"),
        (numbers(&[0, -7]), "a negative number of entries"),
        (numbers(&[0, 0, -5]), "a negative number of entries"),
        (
            numbers(&[0, 0, limit + 1]),
            "a path, data or an ACL of more than 1048576 bytes",
        ),
        (
            numbers(&[0, 0, 0, limit + 1]),
            "a path, data or an ACL of more than 1048576 bytes",
        ),
        (
            numbers(&[0, 1, 0, 1, 1, 31, limit + 1]),
            "a path, data or an ACL of more than 1048576 bytes",
        ),
        (
            numbers(&[0, 0, 1, 0x2f00_0000, 0x0b00_0000]),
            "it does not end with the signature of one",
        ),
    ] {
        let mut input = wire;
        let error = reader(Zxid(1)).feed(&mut input).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    for endless in [
        numbers(&[i32::MAX]),
        numbers(&[0, i32::MAX, 0, 1, i32::MAX]),
    ] {
        let mut input = endless;
        let more = reader(Zxid(1)).feed(&mut input).expect("so far");
        assert!(more.is_none());
    }
    // A list whose entries are short, but too many.
    let mut input = numbers(&[0, 1, 0, 1, i32::MAX]);
    for _ in 0..LIMIT / 12 + 1 {
        input.extend_from_slice(&numbers(&[31, 0, 0]));
    }
    let error = reader(Zxid(1)).feed(&mut input).expect_err("too long");
    assert!(matches!(error, SnapshotError::TooLong(LIMIT)), "{error}");
}

#[test]
fn a_wrong_signature_and_a_broken_tree_are_refused() {
    let tree = tree_after(3);
    let (wire, _) = sent(&mut Still(&tree, Vec::new()));
    let mut wrong = BytesMut::from(&wire[..]);
    let last = wrong.len() - 1;
    wrong[last] = b'f';
    let error = reader(Zxid(3)).feed(&mut wrong).expect_err("not Ben");
    assert!(matches!(error, SnapshotError::Signature), "{error}");
    // Nothing is checked but that it is a tree, so that most flipped bits are believed.
    let mut refused = 0;
    for at in 0..wire.len() {
        let mut rotten = BytesMut::from(&wire[..]);
        rotten[at] ^= 1;
        refused += usize::from(!matches!(reader(Zxid(3)).feed(&mut rotten), Ok(Some(_))));
    }
    assert!(refused > 50, "{refused}");
}

/// What happens while it is sent comes afterwards, as a learner gets it.
#[test]
fn what_followed_mends_a_tree_that_changed_while_it_was_sent() {
    for seed in 0..20 {
        let mut moving = Moving::new(history(seed, 120), 50);
        let (wire, zxid) = sent(&mut moving);
        assert_eq!(zxid, Zxid(50));
        assert!(moving.applied > 60, "nothing happened meanwhile");
        let mut input = BytesMut::from(&wire[..]);
        let snapshot = reader(zxid).feed(&mut input).expect("our own");
        let mut tree = snapshot.expect("all of it").tree;
        let mut watches = Watches::new(HASHING);
        for txn in &moving.txns[50..] {
            let _ = apply(txn.clone(), &mut tree, &mut watches, &mut NoWatchers);
        }
        moving.go_on(usize::MAX);
        assert_eq!(seen(&tree), seen(&moving.tree));
    }
}
