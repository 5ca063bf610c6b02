//! A lock that is held.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use zk_env::Lock;

use super::{State, guard};

/// The system that gave it ends with a crash, and the lock with it.
pub(super) struct SimLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    /// How many crashes there had been when it was taken.
    crashes: u64,
}

impl SimLock {
    pub(super) fn new(state: Arc<Mutex<State>>, path: &Path, crashes: u64) -> Self {
        Self {
            state,
            path: path.to_owned(),
            crashes,
        }
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimLock").field(&self.path).finish()
    }
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = guard(&self.state);
        if state.crashes == self.crashes {
            state.locks.remove(&self.path);
        }
    }
}
