//! What lies between two peers, in one direction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use super::pipe::Pipe;

/// How it is with a link at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// Nothing arrives, and nothing is lost.
    pub(super) is_held: bool,
    /// How much later than it was written a byte arrives.
    pub(super) delay: Duration,
}

/// The way of everything that one peer sends to another, over all their connections.
#[derive(Debug, Default)]
pub(super) struct Link {
    condition: Mutex<Condition>,
    /// The connections that there are; those that have ended are forgotten with the next
    /// one.
    pipes: Mutex<Vec<Weak<Pipe>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn condition(&self) -> Condition {
        *lock(&self.condition)
    }

    /// One direction of a new connection.
    pub(super) fn new_pipe(self: &Arc<Self>) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::new(Arc::clone(self)));
        let mut pipes = lock(&self.pipes);
        pipes.retain(|pipe| pipe.strong_count() > 0);
        pipes.push(Arc::downgrade(&pipe));
        pipe
    }

    /// Both ends of every connection look again at how it is.
    pub(super) fn change(&self, change: impl FnOnce(&mut Condition)) {
        change(&mut lock(&self.condition));
        wake(self.pipes().iter().flat_map(|pipe| pipe.take_wakers()));
    }

    /// Both ends of every connection fail.
    pub(super) fn reset(&self) {
        wake(self.pipes().iter().flat_map(|pipe| pipe.reset()));
    }

    fn pipes(&self) -> Vec<Arc<Pipe>> {
        lock(&self.pipes).iter().filter_map(Weak::upgrade).collect()
    }
}

fn wake(wakers: impl Iterator<Item = Waker>) {
    wakers.for_each(Waker::wake);
}
