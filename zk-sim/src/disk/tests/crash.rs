//! What a crash leaves of names.

use std::collections::BTreeSet;

use super::*;

/// Over many seeds, what a crash leaves: contents by name, of files that are there.
fn survivors<F: Future>(work: impl Fn(Host) -> F) -> BTreeSet<Vec<(String, String)>> {
    let survivor = |seed| {
        on_host(seed, async |host| {
            work(host.clone()).await;
            crash(&host);
            let mut left = Vec::new();
            for name in ["a", "b", "dir/c"] {
                if let Ok(bytes) = contents(&host, name).await {
                    left.push((name.to_owned(), String::from_utf8(bytes.into()).unwrap()));
                }
            }
            left
        })
    };
    (0..400).map(survivor).collect()
}

fn left(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, bytes): &(&str, &str)| ((*name).to_owned(), (*bytes).to_owned());
    files.iter().map(owned).collect()
}

/// A file whose contents are durable; its name is when its directory is synced.
async fn synced_file(host: &Host, path: &str, bytes: &'static str) {
    let file = create(host, path).await.unwrap();
    append(&*file, bytes).await.unwrap();
    file.sync_data().await.unwrap();
}

async fn sync_root(host: &Host) {
    disk(host).sync_dir(Path::new("")).await.unwrap();
}

#[test]
fn what_was_synced_survives() {
    let survivors = survivors(async |host| {
        disk(&host).create_dir_all(Path::new("dir")).await.unwrap();
        synced_file(&host, "a", "1").await;
        synced_file(&host, "dir/c", "3").await;
        sync_root(&host).await;
        disk(&host).sync_dir(Path::new("dir")).await.unwrap();
    });
    let all = left(&[("a", "1"), ("dir/c", "3")]);
    assert_eq!(survivors, BTreeSet::from([all]));
}

#[test]
fn new_names_survive_in_any_combination() {
    let survivors = survivors(async |host| {
        synced_file(&host, "a", "1").await;
        synced_file(&host, "b", "2").await;
    });
    let (a, b) = (("a", "1"), ("b", "2"));
    let expected = [left(&[]), left(&[a]), left(&[b]), left(&[a, b])];
    assert_eq!(survivors, BTreeSet::from(expected));
}

#[test]
fn a_file_is_lost_with_its_directory() {
    let survivors = survivors(async |host| {
        disk(&host).create_dir_all(Path::new("dir")).await.unwrap();
        synced_file(&host, "dir/c", "3").await;
        disk(&host).sync_dir(Path::new("dir")).await.unwrap();
    });
    let expected = [left(&[]), left(&[("dir/c", "3")])];
    assert_eq!(survivors, BTreeSet::from(expected));
}

#[test]
fn a_removed_file_may_come_back() {
    let survivors = survivors(async |host| {
        synced_file(&host, "a", "1").await;
        sync_root(&host).await;
        disk(&host).remove(Path::new("a")).await.unwrap();
    });
    let expected = [left(&[]), left(&[("a", "1")])];
    assert_eq!(survivors, BTreeSet::from(expected));
}

#[test]
fn a_rename_leaves_the_old_file_or_the_new_one() {
    let survivors = survivors(async |host| {
        synced_file(&host, "a", "old").await;
        synced_file(&host, "b", "new").await;
        sync_root(&host).await;
        let (from, to) = (Path::new("b"), Path::new("a"));
        disk(&host).rename(from, to).await.unwrap();
    });
    let expected = [
        left(&[("a", "old"), ("b", "new")]),
        left(&[("a", "new"), ("b", "new")]),
        left(&[("a", "new")]),
    ];
    assert_eq!(survivors, BTreeSet::from(expected));
}

/// The new file in its former place may be durable before the rename is.
#[test]
fn a_renamed_file_is_not_lost_to_one_that_takes_its_place() {
    let survivors = survivors(async |host| {
        synced_file(&host, "a", "first").await;
        sync_root(&host).await;
        let (from, to) = (Path::new("a"), Path::new("b"));
        disk(&host).rename(from, to).await.unwrap();
        synced_file(&host, "a", "second").await;
    });
    let has_first = |files: &Vec<(String, String)>| files.iter().any(|(_, bytes)| bytes == "first");
    assert!(survivors.iter().all(has_first), "{survivors:?}");
    assert!(survivors.contains(&left(&[("a", "second"), ("b", "first")])));
}

/// The same seed and calls leave the same.
#[test]
fn crashes_repeat() {
    let survivor = |seed| {
        on_host(seed, async |host| {
            let file = create(&host, "a").await.unwrap();
            sync_root(&host).await;
            for _ in 0..100 {
                append(
                    &*file,
                    "some bytes, a good many of them, over several sectors",
                )
                .await
                .unwrap();
            }
            crash(&host);
            contents(&host, "a").await.unwrap()
        })
    };
    let all: BTreeSet<Bytes> = (0..20).map(survivor).collect();
    assert!(all.len() > 5);
    assert_eq!(all, (0..20).map(survivor).collect());
}

#[test]
fn handles_from_before_the_crash_are_dead() {
    on_host(1, async |host| {
        let file = create(&host, "a").await.unwrap();
        append(&*file, "1").await.unwrap();
        let polled_late = append(&*file, "2");
        crash(&host);
        assert!(polled_late.await.is_err());
        assert!(file.read_at(0, 1).await.is_err());
        assert!(file.sync_data().await.is_err());
    });
}

#[test]
fn a_lock_ends_with_a_crash_and_leaves_later_ones_alone() {
    on_host(1, async |host| {
        let path = Path::new("lock");
        let before = disk(&host).lock(path).await.unwrap();
        let error = disk(&host).lock(path).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        crash(&host);
        let after = disk(&host).lock(path).await.unwrap();
        drop(before);
        assert!(disk(&host).lock(path).await.is_err());
        drop(after);
        assert!(disk(&host).lock(path).await.is_ok());
    });
}
