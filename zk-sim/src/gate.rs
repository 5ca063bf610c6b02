//! The gate that every task of a host is polled through.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;

use zk_env::{BoxFuture, EnvRng, TaskHandle};

use crate::clock::TrueTime;

/// How often a task yields at a poll, in thousandths; the same for all hosts.
pub(crate) type Yields = Arc<AtomicU32>;

/// The tasks of a host, and whether they run.
pub(crate) struct Gate {
    time: Arc<TrueTime>,
    yields: Yields,
    /// Tasks are polled: the host is up and nothing stops it. Follows `state`.
    is_open: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// How many pauses and suspends last.
    stops: u32,
    /// How many kills last.
    kills: u32,
    tasks: BTreeMap<TaskId, Arc<Slot>>,
    next_task: u64,
    /// Tasks that were to be polled while the gate was closed, in that order.
    woken: Vec<(Arc<Slot>, Waker)>,
    rng: EnvRng,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TaskId(u64);

/// The place of a task. The gate can empty it without the runtime.
struct Slot {
    name: &'static str,
    since: Duration,
    future: Mutex<Option<BoxFuture<()>>>,
    /// Set once the runtime has the task.
    abort: OnceLock<AbortHandle>,
    /// The task killed its own host: its future goes when this poll is over.
    is_doomed: AtomicBool,
    /// Its waker is among [`State::woken`].
    is_woken: AtomicBool,
}

/// A task of a census.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it was called when it was spawned.
    pub name: &'static str,
    /// Since when, in simulated time.
    pub age: Duration,
    /// Whether its host is paused or suspended.
    pub is_paused: bool,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Gate")
            .field("stops", &state.stops)
            .field("kills", &state.kills)
            .field("tasks", &state.tasks.len())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub(crate) fn new(time: Arc<TrueTime>, yields: Yields, rng: EnvRng) -> Self {
        Self {
            time,
            yields,
            is_open: AtomicBool::new(true),
            state: Mutex::new(State {
                stops: 0,
                kills: 0,
                tasks: BTreeMap::new(),
                next_task: 0,
                woken: Vec::new(),
                rng,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.lock().kills == 0
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Runs `future` as a task of the host; drops it at once if the host is down.
    pub(crate) fn spawn(self: &Arc<Self>, name: &'static str, future: BoxFuture<()>) -> TaskHandle {
        if !self.is_up() {
            drop(future);
            return stillborn();
        }
        let slot = Arc::new(Slot {
            name,
            since: self.time.now(),
            future: Mutex::new(Some(future)),
            abort: OnceLock::new(),
            is_doomed: AtomicBool::new(false),
            is_woken: AtomicBool::new(false),
        });
        let id = self.enter(&slot);
        let handle = tokio::spawn(Gated {
            gate: Arc::clone(self),
            id,
            slot: Arc::clone(&slot),
        });
        slot.abort.get_or_init(|| handle.abort_handle());
        TaskHandle::new(handle)
    }

    fn enter(&self, slot: &Arc<Slot>) -> TaskId {
        let mut state = self.lock();
        let id = TaskId(state.next_task);
        state.next_task += 1;
        state.tasks.insert(id, Arc::clone(slot));
        id
    }

    /// Nothing is polled until as many [`Gate::release`] have come.
    pub(crate) fn stop(&self) {
        self.lock().stops += 1;
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// Ends one [`Gate::stop`]; with the last, tasks that were woken meanwhile run.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.stops = state.stops.saturating_sub(1);
        let woken = self.open_if_free(&mut state);
        drop(state);
        for (slot, waker) in woken {
            slot.is_woken.store(false, Ordering::Relaxed);
            waker.wake();
        }
    }

    fn open_if_free(&self, state: &mut State) -> Vec<(Arc<Slot>, Waker)> {
        if state.stops > 0 || state.kills > 0 {
            return Vec::new();
        }
        self.is_open.store(true, Ordering::Relaxed);
        std::mem::take(&mut state.woken)
    }

    /// The host is down, until as many [`Gate::revive`] have come: no task is spawned
    /// or polled any more. Whether it was up.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        state.kills += 1;
        self.is_open.store(false, Ordering::Relaxed);
        state.kills == 1
    }

    /// Drops what every task has left to do, without running it, in the order in
    /// which they were spawned.
    pub(crate) fn drop_tasks(&self) {
        let mut state = self.lock();
        let tasks = std::mem::take(&mut state.tasks);
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        drop(woken);
        for slot in tasks.values() {
            slot.empty();
        }
        for slot in tasks.values() {
            if let Some(abort) = slot.abort.get() {
                abort.abort();
            }
        }
    }

    /// Ends one [`Gate::close`]; whether the host is up now.
    pub(crate) fn revive(&self) -> bool {
        let mut state = self.lock();
        state.kills = state.kills.saturating_sub(1);
        // Nobody was woken: there are no tasks.
        self.open_if_free(&mut state);
        state.kills == 0
    }

    /// Those that have not ended, in the order in which they were spawned.
    pub(crate) fn tasks(&self) -> Vec<Task> {
        let (now, is_paused) = (self.time.now(), !self.is_open());
        let census = |slot: &Arc<Slot>| Task {
            name: slot.name,
            age: now.saturating_sub(slot.since),
            is_paused,
        };
        self.lock().tasks.values().map(census).collect()
    }

    /// Whether this poll is to be put off.
    fn yields(&self) -> bool {
        match self.yields.load(Ordering::Relaxed) {
            0 => false,
            permille => self.lock().rng.below(1000) < u64::from(permille),
        }
    }

    /// Lets the task run once the gate is open again.
    fn remember(&self, slot: &Arc<Slot>, waker: &Waker) {
        let mut state = self.lock();
        if state.kills == 0 && !slot.is_woken.swap(true, Ordering::Relaxed) {
            state.woken.push((Arc::clone(slot), waker.clone()));
        }
    }
}

/// A task that has ended without a poll.
fn stillborn() -> TaskHandle {
    let handle = tokio::spawn(std::future::pending());
    handle.abort();
    TaskHandle::new(handle)
}

impl Slot {
    fn empty(&self) {
        let future = match self.future.try_lock() {
            Ok(mut future) => future.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            // It is being polled, by the thread that asks.
            Err(TryLockError::WouldBlock) => {
                self.is_doomed.store(true, Ordering::Relaxed);
                None
            }
        };
        drop(future);
    }
}

/// What the runtime polls.
struct Gated {
    gate: Arc<Gate>,
    id: TaskId,
    slot: Arc<Slot>,
}

impl Future for Gated {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.gate.is_open() {
            self.gate.remember(&self.slot, cx.waker());
            return Poll::Pending;
        }
        if self.gate.yields() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut future = lock(&self.slot.future);
        // Emptied by a kill, after which the runtime drops the task.
        let Some(running) = future.as_mut() else {
            return Poll::Pending;
        };
        let poll = running.as_mut().poll(cx);
        if poll.is_ready() || self.slot.is_doomed.load(Ordering::Relaxed) {
            let ended = future.take();
            drop(future);
            drop(ended);
        }
        poll
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        let ended = self.gate.lock().tasks.remove(&self.id);
        drop(ended);
        self.slot.empty();
    }
}
