//! Names and what they stand for: as calls see them, and as a crash would leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zk_env::{EnvRng, OpenMode};

use super::contents::{Contents, Odds};

/// A file, which lives as long as a name or a handle.
pub(super) type Node = Arc<Mutex<Contents>>;

#[derive(Clone, Debug)]
enum Entry {
    File(Node),
    Dir,
}

/// All names, twice. A change that was not synced may be durable or not, name by name;
/// that is drawn when it is made. A name never becomes durable half.
///
/// Paths are kept from the root on, without `.` and `..`. The root is always there.
#[derive(Debug, Default)]
pub(super) struct Tree {
    shown: BTreeMap<PathBuf, Entry>,
    kept: BTreeMap<PathBuf, Entry>,
    /// Names that a sync of their directory has to make durable.
    unsynced: BTreeSet<PathBuf>,
    odds: Odds,
}

pub(super) fn normal(path: &Path) -> PathBuf {
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

pub(super) fn error(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

impl Tree {
    pub(super) fn new(rng: &mut EnvRng) -> Self {
        Self {
            odds: Odds::draw(rng),
            ..Self::default()
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || matches!(self.shown.get(path), Some(Entry::Dir))
    }

    fn file(&self, path: &Path) -> Option<&Node> {
        match self.shown.get(path)? {
            Entry::File(node) => Some(node),
            Entry::Dir => None,
        }
    }

    pub(super) fn expect_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_dir(path) {
            Ok(())
        } else if self.shown.contains_key(path) {
            Err(error(io::ErrorKind::NotADirectory, path))
        } else {
            Err(error(io::ErrorKind::NotFound, path))
        }
    }

    fn expect_parent(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |dir| self.expect_dir(dir))
    }

    /// Why `path`, at which there is no file, cannot be used as one.
    fn no_file(&self, path: &Path) -> io::Error {
        if self.is_dir(path) {
            error(io::ErrorKind::IsADirectory, path)
        } else {
            error(io::ErrorKind::NotFound, path)
        }
    }

    /// Every file that has a name.
    pub(super) fn files(&self) -> impl Iterator<Item = &Node> {
        self.shown.values().filter_map(|entry| match entry {
            Entry::File(node) => Some(node),
            Entry::Dir => None,
        })
    }

    /// Every file whose name would survive a crash, in the order of the names.
    pub(super) fn kept_files(&self) -> impl Iterator<Item = (&PathBuf, &Node)> {
        self.kept.iter().filter_map(|(path, entry)| match entry {
            Entry::File(node) => Some((path, node)),
            Entry::Dir => None,
        })
    }

    /// The file at `path`, or the right to make it.
    pub(super) fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Option<Node>> {
        if let Some(node) = self.file(path) {
            return match mode {
                OpenMode::Existing | OpenMode::ReadOnly | OpenMode::Create => {
                    Ok(Some(Arc::clone(node)))
                }
                OpenMode::CreateNew => Err(error(io::ErrorKind::AlreadyExists, path)),
            };
        }
        if matches!(mode, OpenMode::Existing | OpenMode::ReadOnly) || self.is_dir(path) {
            return Err(self.no_file(path));
        }
        self.expect_parent(path)?;
        Ok(None)
    }

    pub(super) fn create(&mut self, path: PathBuf, rng: &mut EnvRng) -> Node {
        let node = Arc::new(Mutex::new(Contents::new(rng)));
        let entry = Entry::File(Arc::clone(&node));
        self.set(path, Some(entry), rng);
        node
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, rng: &mut EnvRng) -> io::Result<()> {
        self.expect_parent(to)?;
        if self.is_dir(to) {
            return Err(error(io::ErrorKind::IsADirectory, to));
        }
        let Some(node) = self.file(from).cloned() else {
            return Err(self.no_file(from));
        };
        if from != to {
            // The new name is there before the old one may be lost.
            self.shown.remove(from);
            self.set(to.to_owned(), Some(Entry::File(node)), rng);
            self.set(from.to_owned(), None, rng);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, rng: &mut EnvRng) -> io::Result<()> {
        if self.file(path).is_none() {
            return Err(self.no_file(path));
        }
        self.set(path.to_owned(), None, rng);
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.expect_dir(dir)?;
        let below = self.shown.keys().filter(|path| path.parent() == Some(dir));
        let names = below.filter_map(|path| path.file_name().map(OsString::from));
        Ok(names.collect())
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path, rng: &mut EnvRng) -> io::Result<()> {
        let is_file = |path: &&Path| self.file(path).is_some();
        if let Some(file) = dir.ancestors().find(is_file) {
            return Err(error(io::ErrorKind::NotADirectory, file));
        }
        let missing = dir.ancestors().filter(|path| !self.is_dir(path));
        let missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        for path in missing.into_iter().rev() {
            self.set(path, Some(Entry::Dir), rng);
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path, rng: &mut EnvRng) {
        for path in self.unsynced_in(dir) {
            self.keep(&path);
        }
        self.odds = Odds::draw(rng);
    }

    /// Makes some names durable and forgets that the others are not.
    pub(super) fn fail_sync_dir(&mut self, dir: &Path, rng: &mut EnvRng) {
        for path in self.unsynced_in(dir) {
            if self.odds.win(rng) {
                self.keep(&path);
            }
            self.unsynced.remove(&path);
        }
    }

    fn unsynced_in(&self, dir: &Path) -> Vec<PathBuf> {
        let inside = |path: &&PathBuf| path.parent() == Some(dir);
        self.unsynced.iter().filter(inside).cloned().collect()
    }

    /// What is durable is all that is left; what lies below a lost directory is lost.
    pub(super) fn crash(&mut self, rng: &mut EnvRng) {
        let mut left = BTreeMap::new();
        // Directories sort before what lies in them.
        for (path, entry) in std::mem::take(&mut self.kept) {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            if dir.is_none_or(|dir| matches!(left.get(dir), Some(Entry::Dir))) {
                left.insert(path, entry);
            }
        }
        self.kept = left.clone();
        self.shown = left;
        self.unsynced.clear();
        self.odds = Odds::draw(rng);
        for node in self.files() {
            lock(node).crash(rng);
        }
    }

    fn set(&mut self, path: PathBuf, entry: Option<Entry>, rng: &mut EnvRng) {
        match entry {
            Some(entry) => self.shown.insert(path.clone(), entry),
            None => self.shown.remove(&path),
        };
        self.unsynced.insert(path.clone());
        if self.odds.win(rng) {
            self.keep(&path);
        }
    }

    /// Makes what is at `path` durable. A file that loses its durable name to this and
    /// has another one gets that: a rename does not lose the file.
    fn keep(&mut self, path: &Path) {
        self.unsynced.remove(path);
        let displaced = match self.shown.get(path) {
            Some(entry) => self.kept.insert(path.to_owned(), entry.clone()),
            None => self.kept.remove(path),
        };
        if let Some(Entry::File(node)) = displaced
            && !holds(&self.kept, &node)
            && let Some(other) = name_of(&self.shown, &node)
        {
            self.keep(&other);
        }
    }
}

pub(super) fn lock(node: &Node) -> std::sync::MutexGuard<'_, Contents> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(names: &BTreeMap<PathBuf, Entry>, node: &Node) -> bool {
    name_of(names, node).is_some()
}

fn name_of(names: &BTreeMap<PathBuf, Entry>, node: &Node) -> Option<PathBuf> {
    let is_it = |entry: &Entry| matches!(entry, Entry::File(other) if Arc::ptr_eq(other, node));
    let mut names = names.iter();
    names
        .find(|(_, entry)| is_it(entry))
        .map(|(path, _)| path.clone())
}
