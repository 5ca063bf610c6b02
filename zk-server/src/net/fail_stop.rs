//! What a panic does to the server, or a disk that fails: it stops for good.
//!
//! A panic under the lock may leave tree, sessions and watches half changed. Nobody
//! can tell what may still be said in their name, so nothing more is said at all:
//! every connection is closed and none is accepted. The same goes for the ticker and
//! the acceptor, without which a server is only half alive. A panic elsewhere in a
//! connection's task ends that connection alone.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;

use super::shell::{Serving, Shell};
use crate::error::ServerError;
use crate::storage::StorageError;

/// The server's state under its lock.
pub(crate) struct Held<'s> {
    shell: &'s Shell,
    serving: MutexGuard<'s, Serving>,
    stage: &'static str,
    /// The lock was taken by a destructor, after a panic somewhere else.
    was_panicking: bool,
}

impl Deref for Held<'_> {
    type Target = Serving;

    fn deref(&self) -> &Serving {
        &self.serving
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Serving {
        &mut self.serving
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.shell.fail(&mut self.serving, self.stage);
        }
    }
}

/// A task the server cannot live without.
pub(crate) struct Vital {
    pub(crate) shell: Arc<Shell>,
    pub(crate) stage: &'static str,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shell.fail(&mut self.shell.lock(), self.stage);
        }
    }
}

impl Shell {
    /// The state, to be looked at.
    pub(crate) fn lock(&self) -> Held<'_> {
        self.lock_for("looking at the state")
    }

    /// The state, for what `stage` says; a bug planted under this name panics here.
    pub(crate) fn lock_for(&self, stage: &'static str) -> Held<'_> {
        // A failure has been noted by whoever panicked; what it left is not used.
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let held = Held {
            shell: self,
            serving,
            stage,
            was_panicking: thread::panicking(),
        };
        let is_planted = self.probe.has_planted(stage) && !held.was_panicking;
        assert!(!is_planted, "planted while {stage}");
        held
    }

    fn fail(&self, serving: &mut Serving, stage: &'static str) {
        if serving.failed.is_none() {
            tracing::error!(stage, "the server has panicked and serves nobody any more");
            self.stop_for_good(serving, ServerError::Failed { stage });
        }
    }

    /// Nobody can tell any more what is durable, so that nothing may be acknowledged.
    pub(crate) fn storage_failed(&self, error: StorageError) {
        let mut serving = self.lock_for("giving up storage");
        if serving.failed.is_none() {
            tracing::error!(%error, "the server cannot store any more and serves nobody");
            self.stop_for_good(&mut serving, error.into());
        }
    }

    fn stop_for_good(&self, serving: &mut Serving, why: ServerError) {
        self.probe.reached("server: failed");
        serving.failed = Some(why);
        serving.abort_all();
        self.end_disturbances();
        self.broken.cancel();
    }

    /// Why the server has stopped for good, if it has.
    pub(crate) fn failure(&self) -> Option<ServerError> {
        self.lock().failed.clone()
    }
}
