//! A disk in memory.

mod contents;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::contents::{Contents, Space};
use crate::disk::{Disk, File, Lock, OpenMode};
use crate::env::BoxFuture;

/// [`Disk`] that holds everything in memory, for servers whose data may end with the
/// process. It starts with an empty root directory; clones of the `Arc` are the same disk.
///
/// Syncs cost nothing and keep nothing: there is no crash that this disk survives and the
/// process does not. Every call takes effect within its first poll and is done then.
///
/// *Bound.* What all files hold together, in bytes, is bounded by the capacity; a call that
/// needs more fails with `StorageFull` and changes nothing. The bytes of a file that was
/// removed are free once its last handle is dropped.
#[derive(Debug)]
pub struct MemoryDisk {
    space: Arc<Space>,
    names: Arc<Mutex<Names>>,
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// What there is under each path below the root, which is always there.
#[derive(Debug, Default)]
struct Names(BTreeMap<PathBuf, Entry>);

#[derive(Clone, Debug)]
enum Entry {
    Dir,
    File(Arc<Contents>),
}

impl MemoryDisk {
    /// An empty disk for `capacity_bytes` in all files together.
    pub fn new(capacity_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            space: Arc::new(Space::new(capacity_bytes)),
            names: Arc::default(),
            locked: Arc::default(),
        })
    }

    /// What all files hold together, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.space.used()
    }

    /// Does `work` at the first poll; an error gets the call and the path into its message.
    fn run<T: Send + 'static>(
        &self,
        call: &'static str,
        path: &Path,
        work: impl FnOnce(&mut Names, &Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let names = Arc::clone(&self.names);
        let path = below_root(path);
        Box::pin(async move { named(call, &path, work(&mut lock(&names), &path)) })
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> BoxFuture<io::Result<Box<dyn File>>> {
        let space = Arc::clone(&self.space);
        self.run("open", path, move |names, path| {
            let contents = names.open(path, mode, &space)?;
            let path = path.to_path_buf();
            Ok(Box::new(MemoryFile { contents, path }) as Box<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<io::Result<()>> {
        let to = below_root(to);
        self.run("rename", from, move |names, from| names.rename(from, to))
    }

    fn remove(&self, path: &Path) -> BoxFuture<io::Result<()>> {
        self.run("remove", path, Names::remove)
    }

    fn list(&self, dir: &Path) -> BoxFuture<io::Result<Vec<OsString>>> {
        self.run("list", dir, |names, dir| names.list(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        self.run("create", dir, Names::create_dir_all)
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        self.run("sync", dir, |names, dir| names.check_dir(dir))
    }

    fn lock(&self, path: &Path) -> BoxFuture<io::Result<Box<dyn Lock>>> {
        let (locked, space) = (Arc::clone(&self.locked), Arc::clone(&self.space));
        self.run("lock", path, move |names, path| {
            names.open(path, OpenMode::Create, &space)?;
            let path = path.to_path_buf();
            if !lock(&locked).insert(path.clone()) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(Box::new(MemoryLock { locked, path }) as Box<dyn Lock>)
        })
    }
}

/// A lock that is held.
#[derive(Debug)]
struct MemoryLock {
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        lock(&self.locked).remove(&self.path);
    }
}

impl Names {
    /// Refuses what is no directory.
    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        if is_root(dir) {
            return Ok(());
        }
        match self.0.get(dir) {
            Some(Entry::Dir) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Refuses a name for a file whose directory is not there, or that is a directory's.
    fn check_file_name(&self, path: &Path) -> io::Result<()> {
        let is_dir = is_root(path) || matches!(self.0.get(path), Some(Entry::Dir));
        match path.parent() {
            Some(parent) if !is_dir => self.check_dir(parent),
            Some(_) | None => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn open(
        &mut self,
        path: &Path,
        mode: OpenMode,
        space: &Arc<Space>,
    ) -> io::Result<Arc<Contents>> {
        self.check_file_name(path)?;
        match (self.0.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Entry::File(contents)), _) => Ok(Arc::clone(contents)),
            (Some(Entry::Dir), _) => Err(io::ErrorKind::IsADirectory.into()),
            (None, OpenMode::Existing | OpenMode::ReadOnly) => Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                let contents = Arc::new(Contents::new(Arc::clone(space)));
                let entry = Entry::File(Arc::clone(&contents));
                self.0.insert(path.to_path_buf(), entry);
                Ok(contents)
            }
        }
    }

    /// The contents of a file with this name.
    fn file(&self, path: &Path) -> io::Result<&Entry> {
        match self.0.get(path) {
            Some(file @ Entry::File(_)) => Ok(file),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&mut self, from: &Path, to: PathBuf) -> io::Result<()> {
        let file = self.file(from)?.clone();
        self.check_file_name(&to)?;
        self.0.remove(from);
        self.0.insert(to, file);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.0.remove(path);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.check_dir(dir)?;
        // Paths are ordered by components, so that what lies below is in one piece.
        let below = self.0.range(dir.to_path_buf()..);
        let below = below.take_while(|(path, _)| path.starts_with(dir));
        let inside = below.filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|(path, _)| path.file_name())
            .map(OsString::from)
            .collect())
    }

    fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        for above in dir.ancestors() {
            match self.check_dir(above) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                there => {
                    there?;
                    break;
                }
            }
        }
        for above in dir.ancestors().filter(|above| !is_root(above)) {
            self.0.insert(above.to_path_buf(), Entry::Dir);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path from the root, which is the empty one: absolute and relative paths are the same.
fn below_root(path: &Path) -> PathBuf {
    let mut below = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::ParentDir => drop(below.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    below
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn named<T>(call: &str, path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        let message = format!("cannot {call} /{} in memory: {error}", path.display());
        io::Error::new(error.kind(), message)
    })
}

#[derive(Debug)]
struct MemoryFile {
    contents: Arc<Contents>,
    /// As opened, for messages.
    path: PathBuf,
}

impl MemoryFile {
    fn run<T: Send + 'static>(
        &self,
        call: &'static str,
        work: impl FnOnce(&Contents) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let (contents, path) = (Arc::clone(&self.contents), self.path.clone());
        Box::pin(async move { named(call, &path, work(&contents)) })
    }
}

impl File for MemoryFile {
    fn append(&self, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run("append to", move |contents| contents.append(&bytes))
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run("write", move |contents| contents.write_at(offset, &bytes))
    }

    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<io::Result<Bytes>> {
        self.run("read", move |contents| Ok(contents.read_at(offset, len)))
    }

    fn len(&self) -> BoxFuture<io::Result<u64>> {
        self.run("measure", |contents| Ok(contents.len()))
    }

    fn truncate(&self, len: u64) -> BoxFuture<io::Result<()>> {
        self.run("truncate", move |contents| contents.truncate(len))
    }

    fn sync_data(&self) -> BoxFuture<io::Result<()>> {
        self.run("sync", |_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_contract;

    const ROOM: u64 = 1 << 20;

    async fn create(disk: &MemoryDisk, path: &str) -> Box<dyn File> {
        let opened = disk.open(Path::new(path), OpenMode::CreateNew).await;
        opened.unwrap()
    }

    fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
        result.err().unwrap().kind()
    }

    #[tokio::test]
    async fn the_disk_keeps_its_contract() {
        disk_contract::check(&*MemoryDisk::new(ROOM), Path::new("/data/version-2")).await;
        disk_contract::check(&*MemoryDisk::new(ROOM), Path::new("data")).await;
    }

    #[tokio::test]
    async fn absolute_and_relative_paths_meet_at_the_root() {
        let disk = MemoryDisk::new(ROOM);
        for root in ["/", ".", ""] {
            disk.sync_dir(Path::new(root)).await.unwrap();
        }
        create(&disk, "/log").await;
        assert_eq!(disk.list(Path::new(".")).await.unwrap(), ["log"]);
        let again = disk.open(Path::new("./x/../log"), OpenMode::Existing);
        again.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_refuses_and_keeps_what_it_has() {
        let disk = MemoryDisk::new(8);
        let file = create(&disk, "log").await;
        file.append(Bytes::from_static(b"123456")).await.unwrap();
        for refused in [
            file.append(Bytes::from_static(b"789")).await,
            file.write_at(7, Bytes::from_static(b"89")).await,
            file.write_at(u64::MAX, Bytes::from_static(b"x")).await,
            file.truncate(u64::MAX).await,
        ] {
            assert_eq!(kind(refused), io::ErrorKind::StorageFull);
        }
        assert_eq!(file.read_at(0, 100).await.unwrap(), "123456");
        file.write_at(4, Bytes::from_static(b"abcd")).await.unwrap();
        assert_eq!(disk.used_bytes(), 8);
    }

    #[tokio::test]
    async fn room_is_given_back_by_cutting_removing_and_replacing() {
        let disk = MemoryDisk::new(8);
        let (old, new) = (create(&disk, "old").await, create(&disk, "new").await);
        old.append(Bytes::from_static(b"1234")).await.unwrap();
        new.append(Bytes::from_static(b"5678")).await.unwrap();
        old.truncate(3).await.unwrap();
        assert_eq!(disk.used_bytes(), 7);
        disk.rename(Path::new("new"), Path::new("old"))
            .await
            .unwrap();
        assert_eq!(disk.used_bytes(), 7, "there is still a handle");
        drop(old);
        assert_eq!(disk.used_bytes(), 4);
        disk.remove(Path::new("old")).await.unwrap();
        drop(new);
        assert_eq!(disk.used_bytes(), 0);
    }

    #[tokio::test]
    async fn directories_are_no_files() {
        let disk = MemoryDisk::new(ROOM);
        disk.create_dir_all(Path::new("a/b")).await.unwrap();
        create(&disk, "a/file").await;
        let open = disk.open(Path::new("a/b"), OpenMode::Create).await;
        assert_eq!(kind(open), io::ErrorKind::IsADirectory);
        let over = disk.rename(Path::new("a/file"), Path::new("a/b")).await;
        assert_eq!(kind(over), io::ErrorKind::IsADirectory);
        let removed = disk.remove(Path::new("a/b")).await;
        assert_eq!(kind(removed), io::ErrorKind::IsADirectory);
        let below = disk.create_dir_all(Path::new("a/file/c")).await;
        assert_eq!(kind(below), io::ErrorKind::NotADirectory);
        assert_eq!(disk.list(Path::new("a")).await.unwrap(), ["b", "file"]);
    }
}
