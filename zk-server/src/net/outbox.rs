//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use zk_env::Mono;

/// Bytes and the time from which they may be written.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) due: Mono,
    pub(crate) bytes: Bytes,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// What is in the outbox is written; then the client's remaining input is
    /// swallowed for a moment, because a socket closed over unread input is reset,
    /// and a reset can overtake the last reply.
    Reply,
    /// What is in the outbox is written, and that is all.
    Flush,
    /// At once.
    Abort,
}

/// Filled by whoever holds the server's lock, emptied by the connection's task.
/// Its own lock is only ever taken last.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    end: Option<End>,
    /// Set while the task sleeps. A task that runs looks again before it sleeps,
    /// so it need not be woken for what it put in here itself.
    sleeper: Option<Waker>,
}

impl Outbox {
    /// Adds a parcel, unless more than `limit` bytes wait already: then it returns
    /// false and the connection has to go.
    #[must_use]
    pub(crate) fn push(&self, parcel: Parcel, limit: usize) -> bool {
        let mut state = self.lock();
        if state.bytes > limit {
            return false;
        }
        if state.end.is_none() {
            state.bytes += parcel.bytes.len();
            state.parcels.push_back(parcel);
        }
        wake(state);
        true
    }

    /// Says how the connection ends. [`End::Abort`] prevails over the others, of
    /// which the first one counts.
    pub(crate) fn finish(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() || end == End::Abort {
            state.end = Some(end);
        }
        wake(state);
    }

    /// Has the task look around.
    pub(crate) fn wake(&self) {
        wake(self.lock());
    }

    /// How many bytes wait in here.
    pub(crate) fn len(&self) -> usize {
        self.lock().bytes
    }

    /// How the connection is to end, if it is.
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end
    }

    /// Moves everything to `parcels`, which are empty: how many bytes that is, and
    /// how the connection is to end after them, if it is.
    pub(super) fn take(&self, parcels: &mut VecDeque<Parcel>) -> (usize, Option<End>) {
        let mut state = self.lock();
        state.sleeper = None;
        std::mem::swap(&mut state.parcels, parcels);
        (std::mem::take(&mut state.bytes), state.end)
    }

    /// Leaves `waker` to be woken. False if there is something to look at right
    /// away: parcels, where they are wanted, or another end than the one known.
    #[must_use]
    pub(super) fn sleep(&self, waker: &Waker, known: Option<End>, wants_parcels: bool) -> bool {
        let mut state = self.lock();
        if state.end != known || (wants_parcels && !state.parcels.is_empty()) {
            return false;
        }
        match &mut state.sleeper {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        true
    }

    /// The lock is held for moves only, which cannot panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task without holding its lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let sleeper = state.sleeper.take();
    drop(state);
    if let Some(sleeper) = sleeper {
        sleeper.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    fn parcel(bytes: &'static [u8]) -> Parcel {
        Parcel {
            due: Mono::ZERO,
            bytes: Bytes::from_static(bytes),
        }
    }

    /// Counts its wake-ups.
    #[derive(Default)]
    struct Alarm(AtomicU32);

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_full_outbox_refuses_and_an_emptied_one_takes_again() {
        let (outbox, mut taken) = (Outbox::default(), VecDeque::new());
        assert!(
            outbox.push(parcel(b"abc"), 2),
            "the limit is for what waits already"
        );
        assert!(!outbox.push(parcel(b"d"), 2));
        assert_eq!(outbox.take(&mut taken), (3, None));
        assert_eq!((taken.len(), outbox.len()), (1, 0));
        assert!(outbox.push(parcel(b"d"), 2));
    }

    #[test]
    fn the_first_end_counts_but_an_abort_prevails_and_nothing_follows() {
        let (outbox, mut taken) = (Outbox::default(), VecDeque::new());
        outbox.finish(End::Reply);
        outbox.finish(End::Flush);
        assert!(outbox.push(parcel(b"late"), 9));
        assert_eq!(outbox.take(&mut taken), (0, Some(End::Reply)));
        outbox.finish(End::Abort);
        assert_eq!(outbox.end(), Some(End::Abort));
    }

    #[test]
    fn a_sleeper_is_woken_once_by_each_kind_of_news() {
        let (outbox, alarm) = (Outbox::default(), Arc::new(Alarm::default()));
        let waker = Arc::clone(&alarm).into();
        let news: [&dyn Fn(); 3] = [
            &|| assert!(outbox.push(parcel(b"x"), 9)),
            &|| outbox.finish(End::Flush),
            &|| outbox.wake(),
        ];
        for (index, happens) in news.iter().enumerate() {
            assert!(outbox.sleep(&waker, outbox.end(), false));
            happens();
            happens();
            assert_eq!(alarm.0.load(Ordering::SeqCst) as usize, index + 1);
        }
    }

    #[test]
    fn nobody_sleeps_over_what_came_before() {
        let (outbox, mut taken) = (Outbox::default(), VecDeque::new());
        let waker = Waker::noop();
        assert!(outbox.push(parcel(b"x"), 9));
        assert!(!outbox.sleep(waker, None, true));
        assert!(
            outbox.sleep(waker, None, false),
            "unless it cannot be written anyway"
        );
        outbox.take(&mut taken);
        assert!(outbox.sleep(waker, None, true));
        outbox.finish(End::Abort);
        assert!(!outbox.sleep(waker, None, true));
    }
}
