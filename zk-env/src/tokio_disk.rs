//! The real disk, behind one I/O thread.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fs4::TryLockError;

use crate::disk::{Disk, File, Lock, OpenMode};
use crate::env::BoxFuture;
use crate::io_thread::IoThread;

/// [`Disk`] on the file system of this machine.
#[derive(Debug, Default)]
pub(crate) struct TokioDisk(IoThread);

impl Disk for TokioDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> BoxFuture<io::Result<Box<dyn File>>> {
        let path = path.to_path_buf();
        let thread = self.0.clone();
        self.0.run(move || {
            let file = Arc::new(open(&path, mode)?);
            Ok(Box::new(TokioFile { file, path, thread }) as Box<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<io::Result<()>> {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        self.0
            .run(move || named(&from, "rename", fs::rename(&from, to)))
    }

    fn remove(&self, path: &Path) -> BoxFuture<io::Result<()>> {
        let path = path.to_path_buf();
        self.0
            .run(move || named(&path, "remove", fs::remove_file(&path)))
    }

    fn list(&self, dir: &Path) -> BoxFuture<io::Result<Vec<OsString>>> {
        let dir = dir.to_path_buf();
        self.0.run(move || named(&dir, "list", list(&dir)))
    }

    fn create_dir_all(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        let dir = dir.to_path_buf();
        self.0
            .run(move || named(&dir, "create", fs::create_dir_all(&dir)))
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        let dir = dir.to_path_buf();
        self.0.run(move || named(&dir, "sync", sync_dir(&dir)))
    }

    fn lock(&self, path: &Path) -> BoxFuture<io::Result<Box<dyn Lock>>> {
        let path = path.to_path_buf();
        self.0.run(move || {
            let file = open(&path, OpenMode::Create)?;
            named(&path, "lock", lock(&file))?;
            Ok(Box::new(TokioLock(file)) as Box<dyn Lock>)
        })
    }
}

/// The lock is the open file's, so that closing it is the end of it.
#[derive(Debug)]
struct TokioLock(#[expect(dead_code, reason = "held until it is dropped")] fs::File);

impl Lock for TokioLock {}

fn lock(file: &fs::File) -> io::Result<()> {
    fs4::FileExt::try_lock(file).map_err(|error| match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
    })
}

fn open(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(mode != OpenMode::ReadOnly);
    match mode {
        OpenMode::Existing | OpenMode::ReadOnly => {}
        OpenMode::Create => drop(options.create(true).truncate(false)),
        OpenMode::CreateNew => drop(options.create_new(true)),
    }
    named(path, "open", options.open(path))
}

fn list(dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(unix)]
fn write_all_at(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn write_all_at(mut file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(not(windows))]
fn sync_dir(dir: &Path) -> io::Result<()> {
    // A file opens too; its sync would prove nothing about names.
    if !fs::metadata(dir)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    fs::File::open(dir)?.sync_all()
}

#[cfg(windows)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    if fs::metadata(dir)?.is_dir() {
        Ok(())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

/// The same error with the operation and the path in its message.
fn named<T>(path: &Path, operation: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        let message = format!("cannot {operation} {}: {error}", path.display());
        io::Error::new(error.kind(), message)
    })
}

/// [`File`] on a `std` file. Position and contents are touched by the I/O thread
/// alone, which is why seek and read need not be one call.
#[derive(Debug)]
struct TokioFile {
    file: Arc<fs::File>,
    path: PathBuf,
    thread: IoThread,
}

impl TokioFile {
    fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let file = Arc::clone(&self.file);
        let path = self.path.clone();
        self.thread
            .run(move || named(&path, operation, work(&file)))
    }
}

impl File for TokioFile {
    fn append(&self, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run("append to", move |mut file| {
            file.seek(SeekFrom::End(0))?;
            file.write_all(&bytes)
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run("write", move |file| write_all_at(file, &bytes, offset))
    }

    fn write_at_and_sync(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run("write and sync", move |file| {
            write_all_at(file, &bytes, offset)?;
            file.sync_data()
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<io::Result<Bytes>> {
        self.run("read", move |mut file| {
            let there = file.metadata()?.len().saturating_sub(offset);
            let len = there.min(len as u64);
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX))?;
            file.seek(SeekFrom::Start(offset))?;
            file.take(len).read_to_end(&mut bytes)?;
            Ok(bytes.into())
        })
    }

    fn len(&self) -> BoxFuture<io::Result<u64>> {
        self.run("measure", |file| Ok(file.metadata()?.len()))
    }

    fn truncate(&self, len: u64) -> BoxFuture<io::Result<()>> {
        self.run("truncate", move |file| file.set_len(len))
    }

    fn sync_data(&self) -> BoxFuture<io::Result<()>> {
        self.run("sync", fs::File::sync_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_contract;

    /// A directory of its own, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name = format!("zk-env-{:016x}", getrandom::u64().unwrap());
            let dir = std::env::temp_dir().join(name);
            fs::create_dir(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test]
    async fn the_disk_keeps_its_contract() {
        let scratch = Scratch::new();
        disk_contract::check(&TokioDisk::default(), &scratch.0).await;
    }

    #[tokio::test]
    async fn files_of_one_disk_reach_it_by_std_too() {
        let scratch = Scratch::new();
        let disk = TokioDisk::default();
        let path = scratch.0.join("log.1");
        let file = disk.open(&path, OpenMode::Create).await.unwrap();
        // The file holds on to the I/O thread by itself.
        drop(disk);
        file.append(Bytes::from_static(b"data")).await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }

    /// Another disk is like another process: the lock is the file's, not the disk's.
    #[tokio::test]
    async fn a_lock_is_seen_from_other_disks() {
        let scratch = Scratch::new();
        let path = scratch.0.join("lock");
        let held = TokioDisk::default().lock(&path).await.unwrap();
        let error = TokioDisk::default().lock(&path).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        TokioDisk::default().lock(&path).await.unwrap();
    }

    #[tokio::test]
    async fn errors_name_the_call_and_the_path() {
        let scratch = Scratch::new();
        let path = scratch.0.join("absent");
        let disk = TokioDisk::default();
        let error = disk.open(&path, OpenMode::Existing).await.err().unwrap();
        let message = error.to_string();
        assert!(message.starts_with("cannot open "), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
}
