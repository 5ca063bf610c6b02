//! Timers on the monotonic clock of a host.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use zk_env::{Mono, Timer};

use super::{Clock, FAR, State, TimerId, TrueTime};

/// A [`Timer`] whose deadline is in the host's own time, however fast that passes.
pub(crate) struct SimTimer {
    clock: Arc<Clock>,
    id: TimerId,
    deadline: Mono,
    /// The deadline under which the clock has this waker. It may be earlier than ours:
    /// a timer is moved away far more often than it fires, and being woken for nothing
    /// costs less than telling the clock each time.
    waits_for: Option<(Mono, Waker)>,
}

impl SimTimer {
    pub(super) fn new(clock: Arc<Clock>, id: TimerId) -> Self {
        Self {
            clock,
            id,
            deadline: Mono::MAX,
            waits_for: None,
        }
    }
}

impl Timer for SimTimer {
    fn reset(&mut self, deadline: Mono) {
        self.deadline = deadline;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.clock.time.now();
        let mut state = self.clock.lock();
        let mono = state.reading.mono(now);
        let is_due = mono >= self.deadline;
        let waits = !is_due && self.deadline.since(mono) < FAR;
        if waits && self.will_be_woken(mono, cx.waker()) {
            return Poll::Pending;
        }
        let former = self.waits_for.take();
        let former = former.and_then(|(at, _)| state.waiting.remove(&(at, self.id)));
        let mut alarm = None;
        if waits {
            self.waits_for = Some((self.deadline, cx.waker().clone()));
            alarm = state.wait((self.deadline, self.id), cx.waker(), now);
            if state.alarm.is_none() {
                let task = Alarm::new(&self.clock);
                state.alarm = Some(tokio::spawn(task).abort_handle());
            }
        }
        // Wakers may run foreign drops.
        drop(state);
        drop(former);
        if let Some(alarm) = alarm {
            alarm.wake();
        }
        if is_due {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl SimTimer {
    /// Whether the clock wakes `waker` no later than at the deadline, and has not done
    /// so yet.
    fn will_be_woken(&self, now: Mono, waker: &Waker) -> bool {
        self.waits_for
            .as_ref()
            .is_some_and(|(at, known)| now < *at && *at <= self.deadline && known.will_wake(waker))
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        if let Some((at, _)) = self.waits_for {
            let waker = self.clock.lock().waiting.remove(&(at, self.id));
            // After the lock has been let go: a waker may run foreign drops.
            drop(waker);
        }
    }
}

impl State {
    /// Notes who waits; the alarm, if it is set too late for that.
    fn wait(&mut self, key: (Mono, TimerId), waker: &Waker, now: Duration) -> Option<Waker> {
        self.waiting.insert(key, waker.clone());
        let due = self.reading.when(key.0, now)?;
        let (_, set_to) = self.armed.as_ref()?;
        if set_to.is_some_and(|set_to| set_to <= due) {
            return None;
        }
        self.armed.take().map(|(alarm, _)| alarm)
    }

    /// Those whose deadline has come.
    fn expired(&mut self, now: Duration) -> Vec<Waker> {
        let mono = self.reading.mono(now);
        let mut expired = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= mono
        {
            expired.push(first.remove());
        }
        expired
    }
}

/// The task that wakes those whose deadline has come. A timer that is moved away or
/// dropped lets it come for nothing rather than be set anew each time. Ends with
/// the clock.
pub(super) struct Alarm {
    clock: Weak<Clock>,
    time: Arc<TrueTime>,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new(clock: &Arc<Clock>) -> Self {
        Self {
            clock: Arc::downgrade(clock),
            time: Arc::clone(&clock.time),
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
        }
    }

    /// Wakes who is due; when to come again.
    fn ring(&self, clock: &Clock, alarm: &Waker) -> Option<Duration> {
        let now = self.time.now();
        let mut state = clock.lock();
        let expired = state.expired(now);
        let first = state
            .waiting
            .first_key_value()
            .map(|((first, _), _)| *first);
        let due = first.and_then(|first| state.reading.when(first, now));
        state.armed = Some((alarm.clone(), due));
        drop(state);
        expired.into_iter().for_each(Waker::wake);
        due
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(clock) = self.clock.upgrade() else {
                return Poll::Ready(());
            };
            let Some(due) = self.ring(&clock, cx.waker()) else {
                return Poll::Pending;
            };
            drop(clock);
            let due = self.time.instant(due);
            self.sleep.as_mut().reset(due);
            ready!(self.sleep.as_mut().poll(cx));
        }
    }
}
