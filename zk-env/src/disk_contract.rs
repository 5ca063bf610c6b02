//! What every disk must do, run on each of them.

use std::io;
use std::path::Path;
use std::task::Poll;

use bytes::Bytes;

use crate::disk::{Disk, File, OpenMode};

/// Runs all of it in `dir`, which must not exist yet.
pub async fn check(disk: &dyn Disk, dir: &Path) {
    directories_are_made_and_listed(disk, &dir.join("directories")).await;
    open_modes_differ(disk, &dir.join("modes")).await;
    bytes_come_back(disk, &dir.join("bytes")).await;
    truncation_cuts_and_extends(disk, &dir.join("truncate")).await;
    a_rename_replaces_the_target(disk, &dir.join("rename")).await;
    removed_files_live_on_in_handles(disk, &dir.join("remove")).await;
    order_is_that_of_the_first_polls(disk, &dir.join("order")).await;
    dropped_calls_do_nothing_or_all(disk, &dir.join("dropped")).await;
    a_lock_is_for_one_at_a_time(disk, &dir.join("lock")).await;
}

async fn new_file(disk: &dyn Disk, path: &Path) -> Box<dyn File> {
    disk.open(path, OpenMode::CreateNew).await.unwrap()
}

async fn contents(file: &dyn File) -> Bytes {
    file.read_at(0, usize::MAX).await.unwrap()
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("the call fails").kind()
}

async fn directories_are_made_and_listed(disk: &dyn Disk, dir: &Path) {
    let missing = dir.join("a");
    assert_eq!(kind(disk.list(&missing).await), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(&missing).await), io::ErrorKind::NotFound);
    disk.create_dir_all(&dir.join("b/c")).await.unwrap();
    disk.create_dir_all(&dir.join("b/c")).await.unwrap();
    for name in ["z", "a", "m"] {
        new_file(disk, &dir.join(name)).await;
    }
    assert_eq!(disk.list(dir).await.unwrap(), ["a", "b", "m", "z"]);
    assert_eq!(disk.list(&dir.join("b")).await.unwrap(), ["c"]);
    disk.sync_dir(dir).await.unwrap();
    let file = dir.join("a");
    assert_eq!(
        kind(disk.sync_dir(&file).await),
        io::ErrorKind::NotADirectory
    );
    assert_eq!(kind(disk.list(&file).await), io::ErrorKind::NotADirectory);
}

async fn open_modes_differ(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let path = dir.join("log.1");
    let absent = disk.open(&path, OpenMode::Existing).await;
    assert_eq!(kind(absent), io::ErrorKind::NotFound);
    let file = disk.open(&path, OpenMode::Create).await.unwrap();
    file.append(Bytes::from_static(b"kept")).await.unwrap();
    let taken = disk.open(&path, OpenMode::CreateNew).await;
    assert_eq!(kind(taken), io::ErrorKind::AlreadyExists);
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let again = disk.open(&path, mode).await.unwrap();
        assert_eq!(contents(&*again).await, "kept");
    }
    let orphan = disk.open(&dir.join("no/log"), OpenMode::Create).await;
    assert_eq!(kind(orphan), io::ErrorKind::NotFound);
}

async fn bytes_come_back(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let file = new_file(disk, &dir.join("log")).await;
    file.append(Bytes::from_static(b"hello ")).await.unwrap();
    file.append(Bytes::from_static(b"world")).await.unwrap();
    file.sync_data().await.unwrap();
    assert_eq!(file.len().await.unwrap(), 11);
    assert_eq!(file.read_at(6, 3).await.unwrap(), "wor");
    assert_eq!(file.read_at(6, 100).await.unwrap(), "world");
    assert_eq!(file.read_at(11, 1).await.unwrap(), "");
    assert_eq!(file.read_at(1000, 1).await.unwrap(), "");
    file.write_at(0, Bytes::from_static(b"J")).await.unwrap();
    file.write_at(13, Bytes::from_static(b"!")).await.unwrap();
    // A write in the middle does not move the end.
    file.append(Bytes::from_static(b"?")).await.unwrap();
    assert_eq!(contents(&*file).await, "Jello world\0\0!?");
    let both = file.write_at_and_sync(16, Bytes::from_static(b"."));
    both.await.unwrap();
    assert_eq!(contents(&*file).await, "Jello world\0\0!?\0.");
}

async fn truncation_cuts_and_extends(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let file = new_file(disk, &dir.join("log")).await;
    file.append(Bytes::from_static(b"abcdef")).await.unwrap();
    file.truncate(2).await.unwrap();
    file.truncate(4).await.unwrap();
    file.append(Bytes::from_static(b"z")).await.unwrap();
    assert_eq!(contents(&*file).await, "ab\0\0z");
}

async fn a_rename_replaces_the_target(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let (old, new) = (dir.join("epoch"), dir.join("epoch.tmp"));
    for (path, bytes) in [(&old, "1"), (&new, "2")] {
        let file = new_file(disk, path).await;
        file.append(bytes.into()).await.unwrap();
        file.sync_data().await.unwrap();
    }
    disk.rename(&new, &old).await.unwrap();
    disk.sync_dir(dir).await.unwrap();
    assert_eq!(disk.list(dir).await.unwrap(), ["epoch"]);
    let file = disk.open(&old, OpenMode::Existing).await.unwrap();
    assert_eq!(contents(&*file).await, "2");
    let gone = disk.rename(&new, &old).await;
    assert_eq!(kind(gone), io::ErrorKind::NotFound);
}

async fn removed_files_live_on_in_handles(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let path = dir.join("log");
    let file = new_file(disk, &path).await;
    file.append(Bytes::from_static(b"x")).await.unwrap();
    disk.remove(&path).await.unwrap();
    assert_eq!(disk.list(dir).await.unwrap(), [""; 0]);
    assert_eq!(contents(&*file).await, "x");
    assert_eq!(kind(disk.remove(&path).await), io::ErrorKind::NotFound);
}

async fn a_lock_is_for_one_at_a_time(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("lock");
    assert_eq!(kind(disk.lock(&path).await), io::ErrorKind::NotFound);
    disk.create_dir_all(dir).await.unwrap();
    let held = disk.lock(&path).await.unwrap();
    assert_eq!(kind(disk.lock(&path).await), io::ErrorKind::WouldBlock);
    let other = disk.lock(&dir.join("other")).await.unwrap();
    drop(held);
    let again = disk.lock(&path).await.unwrap();
    assert_eq!(kind(disk.lock(&path).await), io::ErrorKind::WouldBlock);
    drop((other, again));
    assert_eq!(disk.list(dir).await.unwrap(), ["lock", "other"]);
}

async fn order_is_that_of_the_first_polls(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let file = new_file(disk, &dir.join("log")).await;
    let bytes: Vec<u8> = (0..2000_u32).flat_map(u32::to_be_bytes).collect();
    let bytes = Bytes::from(bytes);
    let parts = (0..bytes.len())
        .step_by(4)
        .map(|at| bytes.slice(at..at + 4));
    let mut calls: Vec<_> = parts.map(|part| file.append(part)).collect();
    let mut done = vec![false; calls.len()];
    std::future::poll_fn(|cx| {
        for (call, done) in calls.iter_mut().zip(&mut done).filter(|(_, done)| !**done) {
            if let Poll::Ready(result) = call.as_mut().poll(cx) {
                result.unwrap();
                *done = true;
            }
        }
        if done.contains(&false) {
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
    assert!(
        contents(&*file).await == bytes,
        "the bytes are out of order"
    );
}

async fn dropped_calls_do_nothing_or_all(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).await.unwrap();
    let file = new_file(disk, &dir.join("log")).await;
    drop(file.append(Bytes::from_static(b"never polled ")));
    let mut polled = file.append(Bytes::from_static(b"polled "));
    // Whether it has begun is a race between this task and the I/O thread.
    std::future::poll_fn(|cx| Poll::Ready(polled.as_mut().poll(cx).is_ready())).await;
    drop(polled);
    file.append(Bytes::from_static(b"awaited")).await.unwrap();
    let written = contents(&*file).await;
    assert!(written == "polled awaited" || written == "awaited");
}
