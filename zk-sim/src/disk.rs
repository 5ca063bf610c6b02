//! A disk that never fails and forgets nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use zk_env::BoxFuture;
use zk_env::{Disk, File, OpenMode};

type Contents = Arc<Mutex<Vec<u8>>>;

/// [`Disk`] in memory: every call takes effect at once and a sync does nothing,
/// since nothing here can be lost. What a crash does to unsynced data is not
/// its subject. Space has no bound but the test's own memory.
#[derive(Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Tree>>);

/// Paths are kept from the root on, without `.` and `..`.
#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Contents>,
    /// Without the root, which is always there.
    dirs: BTreeSet<PathBuf>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    parts
}

impl SimDisk {
    /// Runs `work` at the first poll.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tree) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let tree = Arc::clone(&self.0);
        Box::pin(async move { work(&mut lock(&tree)) })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> BoxFuture<io::Result<Box<dyn File>>> {
        let path = normal(path);
        self.run(move |tree| {
            let file = SimFile(tree.open(path, mode)?);
            Ok(Box::new(file) as Box<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<io::Result<()>> {
        let (from, to) = (normal(from), normal(to));
        self.run(move |tree| tree.rename(&from, to))
    }

    fn remove(&self, path: &Path) -> BoxFuture<io::Result<()>> {
        let path = normal(path);
        self.run(move |tree| match tree.files.remove(&path) {
            Some(_) => Ok(()),
            None => Err(tree.no_file(&path)),
        })
    }

    fn list(&self, dir: &Path) -> BoxFuture<io::Result<Vec<OsString>>> {
        let dir = normal(dir);
        self.run(move |tree| tree.list(&dir))
    }

    fn create_dir_all(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        let dir = normal(dir);
        self.run(move |tree| tree.create_dir_all(&dir))
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        let dir = normal(dir);
        self.run(move |tree| tree.expect_dir(&dir))
    }
}

impl Tree {
    fn is_dir(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.dirs.contains(path)
    }

    fn expect_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_dir(path) {
            Ok(())
        } else if self.files.contains_key(path) {
            Err(error(io::ErrorKind::NotADirectory, path))
        } else {
            Err(error(io::ErrorKind::NotFound, path))
        }
    }

    /// Why `path`, at which there is no file, cannot be used as one.
    fn no_file(&self, path: &Path) -> io::Error {
        if self.is_dir(path) {
            error(io::ErrorKind::IsADirectory, path)
        } else {
            error(io::ErrorKind::NotFound, path)
        }
    }

    fn open(&mut self, path: PathBuf, mode: OpenMode) -> io::Result<Contents> {
        if let Some(contents) = self.files.get(&path) {
            return match mode {
                OpenMode::Existing | OpenMode::Create => Ok(Arc::clone(contents)),
                OpenMode::CreateNew => Err(error(io::ErrorKind::AlreadyExists, &path)),
            };
        }
        if mode == OpenMode::Existing || self.is_dir(&path) {
            return Err(self.no_file(&path));
        }
        self.expect_parent(&path)?;
        let contents = Contents::default();
        self.files.insert(path, Arc::clone(&contents));
        Ok(contents)
    }

    fn expect_parent(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |dir| self.expect_dir(dir))
    }

    fn rename(&mut self, from: &Path, to: PathBuf) -> io::Result<()> {
        self.expect_parent(&to)?;
        if self.is_dir(&to) {
            return Err(error(io::ErrorKind::IsADirectory, &to));
        }
        let Some(contents) = self.files.remove(from) else {
            return Err(self.no_file(from));
        };
        self.files.insert(to, contents);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.expect_dir(dir)?;
        let paths = self.files.keys().chain(&self.dirs);
        let mut names: Vec<OsString> = paths
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| path.file_name().map(OsString::from))
            .collect();
        names.sort();
        Ok(names)
    }

    fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        for path in dir.ancestors() {
            if self.files.contains_key(path) {
                return Err(error(io::ErrorKind::NotADirectory, path));
            }
        }
        let missing = dir.ancestors().filter(|path| !path.as_os_str().is_empty());
        self.dirs.extend(missing.map(Path::to_path_buf));
        Ok(())
    }
}

fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

#[derive(Debug)]
struct SimFile(Contents);

impl SimFile {
    /// Runs `work` at the first poll.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<u8>) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let contents = Arc::clone(&self.0);
        Box::pin(async move { work(&mut lock(&contents)) })
    }
}

impl File for SimFile {
    fn append(&self, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run(move |contents| {
            contents.extend_from_slice(&bytes);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.run(move |contents| {
            let start = position(offset)?;
            let end = start.checked_add(bytes.len()).ok_or_else(too_large)?;
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[start..end].copy_from_slice(&bytes);
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<io::Result<Bytes>> {
        self.run(move |contents| {
            let start = position(offset)?.min(contents.len());
            let end = start.saturating_add(len).min(contents.len());
            Ok(Bytes::copy_from_slice(&contents[start..end]))
        })
    }

    fn len(&self) -> BoxFuture<io::Result<u64>> {
        self.run(|contents| Ok(contents.len() as u64))
    }

    fn truncate(&self, len: u64) -> BoxFuture<io::Result<()>> {
        self.run(move |contents| {
            contents.resize(position(len)?, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> BoxFuture<io::Result<()>> {
        self.run(|_| Ok(()))
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::from(io::ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_env::disk_contract;

    #[tokio::test]
    async fn the_disk_keeps_its_contract() {
        disk_contract::check(&SimDisk::default(), Path::new("/data/version-2")).await;
    }

    #[tokio::test]
    async fn relative_paths_start_at_the_root() {
        let disk = SimDisk::default();
        disk.create_dir_all(Path::new("a/./b/../c")).await.unwrap();
        assert_eq!(disk.list(Path::new("/a")).await.unwrap(), ["c"]);
        assert_eq!(disk.list(Path::new("")).await.unwrap(), ["a"]);
    }

    #[tokio::test]
    async fn a_file_is_no_directory_and_the_reverse() {
        let disk = SimDisk::default();
        let (dir, file) = (Path::new("dir"), Path::new("file"));
        disk.create_dir_all(dir).await.unwrap();
        disk.open(file, OpenMode::Create).await.unwrap();
        let opened = disk.open(dir, OpenMode::Create).await;
        assert_eq!(opened.err().unwrap().kind(), io::ErrorKind::IsADirectory);
        let renamed = disk.rename(file, dir).await;
        assert_eq!(renamed.err().unwrap().kind(), io::ErrorKind::IsADirectory);
        let made = disk.create_dir_all(Path::new("file/below")).await;
        assert_eq!(made.err().unwrap().kind(), io::ErrorKind::NotADirectory);
    }
}
