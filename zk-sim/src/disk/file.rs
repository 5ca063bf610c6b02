//! An open file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use zk_env::{BoxFuture, File};

use crate::clock::TrueTime;

use super::contents::Contents;
use super::settings::{Call, Trouble};
use super::tree::{Node, lock};
use super::{State, begin, guard};

pub(super) struct SimFile {
    time: Arc<TrueTime>,
    state: Arc<Mutex<State>>,
    /// The name it was opened by, for errors.
    path: PathBuf,
    node: Node,
    /// How many crashes there had been when it was opened.
    crashes: u64,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimFile").field(&self.path).finish()
    }
}

impl SimFile {
    pub(super) fn new(
        time: Arc<TrueTime>,
        state: Arc<Mutex<State>>,
        path: &Path,
        node: Node,
        crashes: u64,
    ) -> Self {
        Self {
            time,
            state,
            path: path.to_owned(),
            node,
            crashes,
        }
    }

    /// A call that does `work` on the contents.
    fn call<T: Send + 'static>(
        &self,
        call: Call,
        work: impl FnOnce(&mut State, &Node, &Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let (time, state) = (Arc::clone(&self.time), Arc::clone(&self.state));
        let (path, node) = (self.path.clone(), Arc::clone(&self.node));
        let opened = Some(self.crashes);
        Box::pin(async move {
            let work = |state: &mut State| work(state, &node, &path);
            let turn = begin(&time, &state, call, opened, work)?;
            turn.end(&time, &state).await
        })
    }
}

impl File for SimFile {
    fn append(&self, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.call(Call::Write, move |state, node, path| {
            let end = lock(node).shown().len();
            write(state, node, path, end, &bytes)
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        self.call(Call::Write, move |state, node, path| {
            write(state, node, path, position(offset)?, &bytes)
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<io::Result<Bytes>> {
        self.call(Call::Read, move |state, node, path| {
            state.trouble(Call::Read, path)?;
            let contents = lock(node);
            let shown = contents.shown();
            let start = position(offset)?.min(shown.len());
            let end = start.saturating_add(len).min(shown.len());
            Ok(Bytes::copy_from_slice(&shown[start..end]))
        })
    }

    fn len(&self) -> BoxFuture<io::Result<u64>> {
        self.call(Call::Read, |state, node, path| {
            state.trouble(Call::Read, path)?;
            Ok(lock(node).shown().len() as u64)
        })
    }

    fn truncate(&self, len: u64) -> BoxFuture<io::Result<()>> {
        self.call(Call::Write, move |state, node, path| {
            state.trouble(Call::Write, path)?;
            let former = lock(node).shown().len() as u64;
            if state.room() < len.saturating_sub(former) {
                return Err(Trouble::NoSpace.error(path));
            }
            lock(node).truncate(position(len)?, &mut state.rng);
            Ok(())
        })
    }

    fn sync_data(&self) -> BoxFuture<io::Result<()>> {
        let (time, state) = (Arc::clone(&self.time), Arc::clone(&self.state));
        let (path, node) = (self.path.clone(), Arc::clone(&self.node));
        let opened = Some(self.crashes);
        Box::pin(async move {
            let mut is_late = false;
            let turn = begin(&time, &state, Call::Sync, opened, |state| {
                sync_trouble(state, &node, &path)?;
                is_late = state.is_late_sync();
                if !is_late {
                    lock(&node).sync(&mut state.rng);
                }
                Ok(())
            })?;
            turn.end(&time, &state).await?;
            if is_late {
                let mut state = guard(&state);
                lock(&node).sync(&mut state.rng);
            }
            Ok(())
        })
    }
}

/// Writes all of `bytes`, or any part of them and fails.
fn write(
    state: &mut State,
    node: &Node,
    path: &Path,
    offset: usize,
    bytes: &[u8],
) -> io::Result<()> {
    let end = offset.checked_add(bytes.len()).ok_or_else(too_large)?;
    let grows = end.saturating_sub(lock(node).shown().len()) as u64;
    let trouble = if state.room() < grows {
        Err(Trouble::NoSpace.error(path))
    } else {
        state.trouble(Call::Write, path)
    };
    let len = match &trouble {
        Ok(()) => bytes.len(),
        Err(_) => state.part(node, offset, bytes.len()),
    };
    let contents: &mut Contents = &mut lock(node);
    if len > 0 {
        contents.write(offset, &bytes[..len], &mut state.rng);
    }
    trouble
}

/// Fails the sync if that is its lot, with what this does to the contents.
fn sync_trouble(state: &mut State, node: &Node, path: &Path) -> io::Result<()> {
    let trouble = state.trouble(Call::Sync, path);
    let is_full = lock(node).has_unsynced() && state.settings.allocates_in_vain(&mut state.rng);
    let trouble = match trouble {
        Ok(()) if is_full => Err(Trouble::NoSpace.error(path)),
        trouble => trouble,
    };
    if trouble.is_err() {
        lock(node).fail_sync(&mut state.rng);
    }
    trouble
}

impl State {
    /// How many of `len` bytes are written from `offset` on before the write fails.
    fn part(&mut self, node: &Node, offset: usize, len: usize) -> usize {
        let part = self.rng.below(len as u64 + 1) as usize;
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let most = lock(node).shown().len().saturating_add(room);
        part.min(most.saturating_sub(offset))
    }

    /// Whether a sync that takes time does its work at the end.
    fn is_late_sync(&mut self) -> bool {
        !self.settings.takes(Call::Sync).is_zero() && self.rng.below(2) == 0
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::from(io::ErrorKind::FileTooLarge)
}
