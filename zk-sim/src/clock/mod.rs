//! The clocks of one host, and the timers that wait on them.

mod reading;
mod time;
mod timer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;

use zk_env::{Boot, Mono};

use reading::{Reading, TRUE_RATE};

pub(crate) use time::TrueTime;
pub(crate) use timer::SimTimer;

/// What lies further ahead is never waited for: a paused runtime with nothing else
/// to do would jump to it.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Monotonic, boot and wall clock of a host. Shared by its environment and timers.
pub(crate) struct Clock {
    time: Arc<TrueTime>,
    state: Mutex<State>,
}

struct State {
    reading: Reading,
    /// Rates that faults have set, the youngest last; it counts.
    rates: Vec<u32>,
    /// The rate without faults.
    rate: u32,
    /// Those who wait, in the order in which their deadlines come.
    waiting: BTreeMap<(Mono, TimerId), Waker>,
    next_timer: u64,
    alarm: Option<AbortHandle>,
    /// The alarm's waker, and the time that it is set to.
    armed: Option<(Waker, Option<Duration>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TimerId(u64);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.lock().reading).finish()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if let Some(alarm) = self.lock().alarm.take() {
            alarm.abort();
        }
    }
}

impl Clock {
    pub(crate) fn new(time: Arc<TrueTime>) -> Self {
        Self {
            time,
            state: Mutex::new(State {
                reading: Reading::new(),
                rates: Vec::new(),
                rate: TRUE_RATE,
                waiting: BTreeMap::new(),
                next_timer: 0,
                alarm: None,
                armed: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mono(&self) -> Mono {
        let now = self.time.now();
        self.lock().reading.mono(now)
    }

    pub(crate) fn boot(&self) -> Boot {
        let now = self.time.now();
        self.lock().reading.boot(now)
    }

    pub(crate) fn wall(&self) -> SystemTime {
        let now = self.time.now();
        self.lock().reading.wall(now)
    }

    /// A timer that is never ready until it is set.
    pub(crate) fn timer(self: &Arc<Self>) -> SimTimer {
        let mut state = self.lock();
        let id = TimerId(state.next_timer);
        state.next_timer += 1;
        SimTimer::new(Arc::clone(self), id)
    }

    /// Changes the clocks, then lets the alarm look again.
    fn change(&self, change: impl FnOnce(&mut State, Duration)) {
        let now = self.time.now();
        let mut state = self.lock();
        change(&mut state, now);
        let armed = state.armed.take();
        drop(state);
        if let Some((waker, _)) = armed {
            waker.wake();
        }
    }

    /// The rate while no fault sets another, in thousandths.
    pub(crate) fn set_rate(&self, permille: u32) {
        self.change(|state, now| {
            state.rate = permille.max(1);
            state.apply_rate(now);
        });
    }

    pub(crate) fn begin_rate(&self, permille: u32) {
        self.change(|state, now| {
            state.rates.push(permille);
            state.apply_rate(now);
        });
    }

    pub(crate) fn end_rate(&self, permille: u32) {
        self.change(|state, now| {
            let last = state.rates.iter().rposition(|rate| *rate == permille);
            if let Some(index) = last {
                state.rates.remove(index);
                state.apply_rate(now);
            }
        });
    }

    pub(crate) fn suspend(&self) {
        self.change(|state, now| state.reading.suspend(now));
    }

    pub(crate) fn wake(&self) {
        self.change(|state, now| state.reading.wake(now));
    }

    pub(crate) fn jump(&self, by: Duration) {
        self.change(|state, _| state.reading.jump(by));
    }

    pub(crate) fn jump_boot(&self, by: Duration) {
        self.change(|state, _| state.reading.jump_boot(by));
    }

    pub(crate) fn jump_wall(&self, ms: i64) {
        self.change(|state, _| state.reading.jump_wall(ms));
    }
}

impl State {
    fn apply_rate(&mut self, now: Duration) {
        let rate = self.rates.last().copied().unwrap_or(self.rate);
        self.reading.set_rate(now, rate);
    }
}
