//! A disk that forgets what was not synced when its host crashes, fails when it is
//! told to, and takes its time.

mod contents;
mod file;
mod file_lock;
mod settings;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_env::{BoxFuture, Disk, EnvRng, File, Lock, OpenMode};

use crate::clock::TrueTime;
use crate::faults::DiskFault;

use file::SimFile;
use file_lock::SimLock;
use settings::{Call, Settings, Trouble};
use tree::{Node, Tree, lock, normal};

/// [`Disk`] in memory. A call takes effect when it is first polled, or not at all, and
/// answers once the disk has come to it.
///
/// A sync that takes time has made things durable at its beginning or does so at its
/// end: a crash in between finds either.
pub(crate) struct SimDisk {
    time: Arc<TrueTime>,
    state: Arc<Mutex<State>>,
}

struct State {
    tree: Tree,
    settings: Settings,
    rng: EnvRng,
    /// Locks that are held.
    locks: BTreeSet<PathBuf>,
    /// How often the host has crashed. Handles from before a crash are dead.
    crashes: u64,
    /// When the disk has served all calls so far.
    free_at: Duration,
}

/// A bit that has flipped, see [`Host::rot`](crate::Host::rot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotten {
    /// The file, from the root on.
    pub path: PathBuf,
    /// The byte.
    pub offset: u64,
    /// The bit in it, 0 being the lowest.
    pub bit: u8,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("SimDisk")
            .field("settings", &state.settings)
            .field("crashes", &state.crashes)
            .finish_non_exhaustive()
    }
}

impl SimDisk {
    pub(crate) fn new(time: Arc<TrueTime>, mut rng: EnvRng) -> Self {
        Self {
            time,
            state: Arc::new(Mutex::new(State {
                tree: Tree::new(&mut rng),
                settings: Settings::default(),
                rng,
                locks: BTreeSet::new(),
                crashes: 0,
                free_at: Duration::ZERO,
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host has crashed: durable is all that is left.
    pub(crate) fn crash(&self) {
        let mut state = self.lock();
        let State { tree, rng, .. } = &mut *state;
        tree.crash(rng);
        state.locks.clear();
        state.crashes += 1;
        state.free_at = Duration::ZERO;
    }

    /// Nothing is left.
    pub(crate) fn replace(&self) {
        let mut state = self.lock();
        state.tree = Tree::new(&mut state.rng);
    }

    pub(crate) fn begin(&self, how: DiskFault) {
        self.lock().settings.faults.push(how);
    }

    pub(crate) fn end(&self, how: DiskFault) {
        remove(&mut self.lock().settings.faults, how);
    }

    pub(crate) fn begin_slow_sync(&self, takes: Duration) {
        self.lock().settings.slow_syncs.push(takes);
    }

    pub(crate) fn end_slow_sync(&self, takes: Duration) {
        remove(&mut self.lock().settings.slow_syncs, takes);
    }

    pub(crate) fn set_errors(&self, permille: u32) {
        self.lock().settings.errors = permille.into();
    }

    pub(crate) fn set_latency(&self, call: Duration, sync: Duration) {
        let settings = &mut self.lock().settings;
        settings.call_latency = call;
        settings.sync_latency = sync;
    }

    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.lock().settings.capacity = Some(bytes);
    }

    /// Flips any durable bit.
    pub(crate) fn rot(&self) -> Option<Rotten> {
        let mut state = self.lock();
        let State { tree, rng, .. } = &mut *state;
        let sizes = tree.kept_files().map(|(_, node)| lock(node).kept_len());
        let mut number = rng.below(sizes.sum::<usize>() as u64) as usize;
        let bit = rng.below(8) as u8;
        for (path, node) in tree.kept_files() {
            let mut contents = lock(node);
            if number < contents.kept_len() {
                contents.rot(number, bit);
                let (path, offset) = (path.clone(), number as u64);
                return Some(Rotten { path, offset, bit });
            }
            number -= contents.kept_len();
        }
        None
    }

    /// A call that does `work` on the names.
    fn call<T: Send + 'static>(
        &self,
        call: Call,
        path: &Path,
        work: impl FnOnce(&mut State, &Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let (time, state) = (Arc::clone(&self.time), Arc::clone(&self.state));
        let path = normal(path);
        Box::pin(async move {
            let turn = begin(&time, &state, call, None, |state| work(state, &path))?;
            turn.end(&time, &state).await
        })
    }
}

fn remove<T: PartialEq>(items: &mut Vec<T>, item: T) {
    if let Some(index) = items.iter().position(|other| *other == item) {
        items.remove(index);
    }
}

fn guard(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that has had its effect and is to be answered.
struct Turn<T> {
    answer: io::Result<T>,
    /// When, unless now.
    due: Option<Duration>,
    crashes: u64,
}

/// Lets a call have its effect, unless its handle is older than the last crash.
fn begin<T>(
    time: &TrueTime,
    state: &Mutex<State>,
    call: Call,
    opened: Option<u64>,
    work: impl FnOnce(&mut State) -> io::Result<T>,
) -> io::Result<Turn<T>> {
    let now = time.now();
    let mut state = guard(state);
    if opened.is_some_and(|crashes| crashes != state.crashes) {
        return Err(crashed());
    }
    let answer = work(&mut state);
    Ok(Turn {
        answer,
        due: state.enqueue(call, now),
        crashes: state.crashes,
    })
}

impl<T> Turn<T> {
    async fn end(self, time: &TrueTime, state: &Mutex<State>) -> io::Result<T> {
        if let Some(due) = self.due {
            tokio::time::sleep_until(time.instant(due)).await;
            if guard(state).crashes != self.crashes {
                return Err(crashed());
            }
        }
        self.answer
    }
}

fn crashed() -> io::Error {
    io::Error::other("the host has crashed since the file was opened")
}

impl State {
    /// Gives a call its place in line; when it is answered, unless now.
    fn enqueue(&mut self, call: Call, now: Duration) -> Option<Duration> {
        let due = self.free_at.max(now) + self.settings.takes(call);
        self.free_at = due;
        (due > now).then_some(due)
    }

    fn trouble(&mut self, call: Call, path: &Path) -> io::Result<()> {
        match self.settings.trouble(call, &mut self.rng) {
            Some(trouble) => Err(trouble.error(path)),
            None => Ok(()),
        }
    }

    /// Bytes that the files may still grow.
    fn room(&self) -> u64 {
        let files = || {
            self.tree
                .files()
                .map(|node| lock(node).shown().len() as u64)
        };
        self.settings.room(|| files().sum())
    }

    fn open_or_create(&mut self, path: &Path, mode: OpenMode) -> io::Result<Node> {
        match self.tree.open(path, mode)? {
            Some(node) => {
                self.trouble(Call::Read, path)?;
                Ok(node)
            }
            None => {
                self.trouble(Call::Write, path)?;
                self.expect_room(path)?;
                Ok(self.tree.create(path.to_owned(), &mut self.rng))
            }
        }
    }

    /// A new name needs some space too.
    fn expect_room(&self, path: &Path) -> io::Result<()> {
        match self.room() {
            0 => Err(Trouble::NoSpace.error(path)),
            _ => Ok(()),
        }
    }
}

impl Trouble {
    fn error(self, path: &Path) -> io::Error {
        match self {
            Self::InputOutput => {
                io::Error::other(format!("{}: input/output error", path.display()))
            }
            Self::NoSpace => tree::error(io::ErrorKind::StorageFull, path),
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> BoxFuture<io::Result<Box<dyn File>>> {
        let (time, shared) = (Arc::clone(&self.time), Arc::clone(&self.state));
        self.call(Call::Write, path, move |state, path| {
            let node = state.open_or_create(path, mode)?;
            let file = SimFile::new(time, shared, path, node, state.crashes);
            Ok(Box::new(file) as Box<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<io::Result<()>> {
        let to = normal(to);
        self.call(Call::Write, from, move |state, from| {
            state.trouble(Call::Write, from)?;
            state.tree.rename(from, &to, &mut state.rng)
        })
    }

    fn remove(&self, path: &Path) -> BoxFuture<io::Result<()>> {
        self.call(Call::Write, path, |state, path| {
            state.trouble(Call::Write, path)?;
            state.tree.remove(path, &mut state.rng)
        })
    }

    fn list(&self, dir: &Path) -> BoxFuture<io::Result<Vec<OsString>>> {
        self.call(Call::Read, dir, |state, dir| {
            state.trouble(Call::Read, dir)?;
            state.tree.list(dir)
        })
    }

    fn create_dir_all(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        self.call(Call::Write, dir, |state, dir| {
            state.trouble(Call::Write, dir)?;
            if state.tree.expect_dir(dir).is_err() {
                state.expect_room(dir)?;
            }
            state.tree.create_dir_all(dir, &mut state.rng)
        })
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<io::Result<()>> {
        self.call(Call::Sync, dir, |state, dir| {
            state.tree.expect_dir(dir)?;
            let trouble = state.trouble(Call::Sync, dir);
            let State { tree, rng, .. } = state;
            match trouble {
                Ok(()) => tree.sync_dir(dir, rng),
                Err(_) => tree.fail_sync_dir(dir, rng),
            }
            trouble
        })
    }

    fn lock(&self, path: &Path) -> BoxFuture<io::Result<Box<dyn Lock>>> {
        let shared = Arc::clone(&self.state);
        self.call(Call::Write, path, move |state, path| {
            state.open_or_create(path, OpenMode::Create)?;
            if !state.locks.insert(path.to_owned()) {
                return Err(tree::error(io::ErrorKind::WouldBlock, path));
            }
            let lock = SimLock::new(shared, path, state.crashes);
            Ok(Box::new(lock) as Box<dyn Lock>)
        })
    }
}
