//! The disk as its users see it.

mod crash;
mod journal;
mod trouble;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use zk_env::{Disk, File, OpenMode, disk_contract};

use crate::{Host, Sim, runtime};

/// Runs `test` with a host of a simulation.
fn on_host<F: Future>(seed: u64, test: impl FnOnce(Host) -> F) -> F::Output {
    runtime(seed)
        .unwrap()
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

async fn open(host: &Host, path: &str) -> io::Result<Box<dyn File>> {
    disk(host).open(Path::new(path), OpenMode::Existing).await
}

async fn create(host: &Host, path: &str) -> io::Result<Box<dyn File>> {
    disk(host).open(Path::new(path), OpenMode::CreateNew).await
}

async fn contents(host: &Host, path: &str) -> io::Result<Bytes> {
    open(host, path).await?.read_at(0, usize::MAX).await
}

async fn append(file: &dyn File, bytes: &'static str) -> io::Result<()> {
    file.append(Bytes::from_static(bytes.as_bytes())).await
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("the call fails").kind()
}

#[test]
fn the_disk_keeps_its_contract() {
    on_host(1, async |host| {
        disk_contract::check(&*disk(&host), Path::new("/data/version-2")).await;
    });
}

#[test]
fn relative_paths_start_at_the_root() {
    on_host(1, async |host| {
        let disk = disk(&host);
        disk.create_dir_all(Path::new("a/./b/../c")).await.unwrap();
        assert_eq!(disk.list(Path::new("/a")).await.unwrap(), ["c"]);
        assert_eq!(disk.list(Path::new("")).await.unwrap(), ["a"]);
    });
}

#[test]
fn a_file_is_no_directory_and_the_reverse() {
    on_host(1, async |host| {
        let disk = disk(&host);
        let (dir, file) = (Path::new("dir"), Path::new("file"));
        disk.create_dir_all(dir).await.unwrap();
        disk.open(file, OpenMode::Create).await.unwrap();
        let opened = disk.open(dir, OpenMode::Create).await;
        assert_eq!(kind(opened), io::ErrorKind::IsADirectory);
        let renamed = disk.rename(file, dir).await;
        assert_eq!(kind(renamed), io::ErrorKind::IsADirectory);
        let made = disk.create_dir_all(Path::new("file/below")).await;
        assert_eq!(kind(made), io::ErrorKind::NotADirectory);
    });
}
