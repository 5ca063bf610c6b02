//! Who owns what, as those who own it believe.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_env::sleep_until;
use zk_recipes::{Ownership, OwnershipState};
use zk_sim::runner::Stage;

use super::invariants::{Granted, Held};

/// Where the roll is looked at besides; faults do not know it.
const MONITOR: &str = "monitor";
/// Between two of those looks. Every change of an ownership has a look of its own.
const TICK: Duration = Duration::from_millis(100);

/// What an ownership gives the right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// To be alone.
    Write,
    /// To be one of several: a reader, a lease.
    Share,
}

/// What must hold of those who own at one moment.
type Rule = dyn Fn(&[Held]) -> Result<(), String> + Send + Sync;

/// The ownerships of one lock. It judges them whenever one of them changes, by their own states at
/// that moment: `Held`, with a deadline that has not passed on the boot clock of its host.
pub(crate) struct Roll {
    rule: Box<Rule>,
    is_watched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    granted: Granted,
}

struct Entry {
    host: String,
    right: Right,
    ownership: Ownership,
}

impl Entry {
    fn held(&self) -> Option<Held> {
        let is_held = matches!(self.ownership.current(), OwnershipState::Held { .. });
        is_held.then(|| Held {
            host: self.host.clone(),
            right: self.right,
            token: self.ownership.fencing_token().as_u64(),
        })
    }
}

impl Roll {
    /// Of a lock whose owners follow `rule`.
    pub(crate) fn new(
        rule: impl Fn(&[Held]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            rule: Box::new(rule),
            is_watched: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An ownership that was just granted; it is judged now, and at every change until it is lost.
    pub(crate) fn enter(self: &Arc<Self>, stage: &Stage, right: Right, ownership: &Ownership) {
        self.lock().entries.push(Entry {
            host: stage.host().to_owned(),
            right,
            ownership: ownership.clone(),
        });
        self.judge(stage);
        let mut state = ownership.state();
        let (roll, on) = (Arc::clone(self), stage.clone());
        let follow = async move {
            // It ends with the guard.
            while state.changed().await.is_ok() {
                roll.judge(&on);
                if matches!(*state.borrow_and_update(), OwnershipState::Lost(_)) {
                    return;
                }
            }
        };
        drop(stage.env().spawn("roll", Box::pin(follow)));
    }

    /// Judges at every tick as well, once, whoever asks first.
    pub(crate) fn watch(self: &Arc<Self>, stage: &Stage) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (roll, stage) = (Arc::clone(self), stage.on(MONITOR));
        let env = stage.env();
        let watch = async move {
            let mut timer = stage.env().timer();
            while stage.goes_on() {
                roll.judge(&stage);
                sleep_until(&mut *timer, stage.env().now() + TICK).await;
            }
        };
        drop(env.spawn("roll", Box::pin(watch)));
    }

    /// A machine was killed: what it owned, nobody believes to own any more.
    pub(crate) fn forget(&self, host: &str) {
        let forgotten: Vec<Entry> = {
            let mut state = self.lock();
            let gone = |entry: &mut Entry| entry.host == host;
            state.entries.extract_if(.., gone).collect()
        };
        // Outside the lock: the last handle of a client may go with it.
        drop(forgotten);
    }

    fn judge(&self, stage: &Stage) {
        let (verdict, lost) = {
            let mut state = self.lock();
            let is_lost =
                |entry: &mut Entry| matches!(entry.ownership.current(), OwnershipState::Lost(_));
            let lost: Vec<Entry> = state.entries.extract_if(.., is_lost).collect();
            let held: Vec<Held> = state.entries.iter().filter_map(Entry::held).collect();
            let mut verdict = (self.rule)(&held);
            for owner in held.iter().filter(|held| held.right == Right::Write) {
                verdict = verdict.and_then(|()| state.granted.rises(owner));
            }
            (verdict, lost)
        };
        drop(lost);
        if let Err(why) = verdict {
            stage.fail(why);
        }
    }
}

impl fmt::Debug for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roll")
            .field("entries", &self.lock().entries.len())
            .finish_non_exhaustive()
    }
}
