//! A small write-ahead journal, to see that the disk punishes the careless only.

use std::collections::BTreeSet;

use super::*;

/// When a record counts as written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Once it is synced, and the file's name is.
    Synced,
    /// Once its write has been answered.
    Written,
    /// Once it is synced, whether or not the file's name is.
    NameForgotten,
}

/// Eight bytes of number and eight that say it again, so that a torn one shows.
fn record(number: u64) -> Bytes {
    let number = number.to_be_bytes();
    Bytes::from([number, number.map(|byte| !byte)].concat())
}

/// The whole records at the beginning of what is left.
fn recover(bytes: &[u8]) -> u64 {
    let expected = (0..).map(record);
    let is_whole = |(chunk, record): &(&[u8], Bytes)| *chunk == &record[..];
    bytes.chunks(16).zip(expected).take_while(is_whole).count() as u64
}

/// How many records were acknowledged, and how many of them are there after a crash.
fn run(seed: u64, care: Care) -> (u64, u64) {
    on_host(seed, async |host| {
        let journal = create(&host, "journal").await.unwrap();
        if care != Care::NameForgotten {
            disk(&host).sync_dir(Path::new("")).await.unwrap();
        }
        let mut rng = host.env().rng("journal");
        let records = 1 + rng.below(200);
        for number in 0..records {
            journal.append(record(number)).await.unwrap();
            if care != Care::Written {
                journal.sync_data().await.unwrap();
            }
        }
        // One under way, not acknowledged.
        journal.append(record(records)).await.unwrap();
        crash(&host);
        let left = contents(&host, "journal").await.unwrap_or_default();
        (records, recover(&left))
    })
}

#[test]
fn a_journal_that_syncs_never_loses_a_record() {
    let mut kept_unacknowledged = BTreeSet::new();
    for seed in 0..300 {
        let (acknowledged, left) = run(seed, Care::Synced);
        assert!(
            left >= acknowledged,
            "seed {seed}: {left} of {acknowledged}"
        );
        kept_unacknowledged.insert(left > acknowledged);
    }
    assert_eq!(kept_unacknowledged, BTreeSet::from([false, true]));
}

#[test]
fn a_journal_that_does_not_sync_loses_some() {
    let lost = |seed: &u64| {
        let (acknowledged, left) = run(*seed, Care::Written);
        left < acknowledged
    };
    let losses = (0..300).filter(lost).count();
    assert!((150..300).contains(&losses), "{losses}");
}

#[test]
fn a_journal_whose_name_is_not_synced_may_be_gone() {
    let gone = |seed: &u64| run(*seed, Care::NameForgotten).1 == 0;
    let losses = (0..300).filter(gone).count();
    assert!((50..250).contains(&losses), "{losses}");
}
