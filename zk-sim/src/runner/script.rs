//! What everybody in a run shares: the phase, who made progress, the first failure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Sim;
use crate::history::{At, Recorder};
use tokio::sync::{Notify, watch};

use super::servers::Servers;
use super::{Phase, Violation};

/// A worker of a workload, and how often it was started before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkerId {
    pub(super) workload: &'static str,
    pub(super) host: Arc<str>,
    pub(super) start: u32,
}

/// What a worker has done since its progress was last asked for.
#[derive(Default)]
struct Work {
    units: u64,
    /// The last unit ever.
    last: Option<At>,
    /// What that was.
    what: String,
}

pub(super) struct Script {
    pub(super) sim: Sim,
    pub(super) connect_string: String,
    pub(super) servers: Servers,
    pub(super) recorder: Recorder,
    phase: watch::Sender<Phase>,
    failed: watch::Sender<bool>,
    /// Somebody has made progress for the first time since it was last asked for.
    moved: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    violation: Option<Violation>,
    /// By workload and host.
    work: BTreeMap<(&'static str, Arc<str>), Work>,
}

impl Script {
    pub(super) fn new(sim: Sim, servers: Servers, recorder: Recorder) -> Self {
        Self {
            sim,
            connect_string: servers.connect_string(),
            servers,
            recorder,
            phase: watch::Sender::new(Phase::WarmUp),
            failed: watch::Sender::new(false),
            moved: Notify::new(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) async fn wait_for(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = phases.wait_for(|current| *current >= phase).await;
    }

    /// The first failure counts.
    pub(super) fn fail(&self, found_by: &str, what: String) {
        let at = self.sim.elapsed();
        self.lock().violation.get_or_insert_with(|| Violation {
            found_by: found_by.to_owned(),
            at,
            what,
        });
        self.failed.send_replace(true);
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.lock().violation.clone()
    }

    /// Waits for the first failure.
    pub(super) async fn failed(&self) {
        let mut failed = self.failed.subscribe();
        let _ = failed.wait_for(|failed| *failed).await;
    }

    /// This worker has to make progress.
    pub(super) fn expect_progress(&self, worker: &WorkerId) {
        let who = (worker.workload, Arc::clone(&worker.host));
        self.lock().work.entry(who).or_default();
    }

    pub(super) fn progress(&self, worker: Option<&WorkerId>, what: &str) {
        let Some(worker) = worker else {
            return;
        };
        let now = self.sim.elapsed();
        let mut state = self.lock();
        let who = (worker.workload, Arc::clone(&worker.host));
        let work = state.work.entry(who).or_default();
        work.units += 1;
        work.last = Some(now);
        what.clone_into(&mut work.what);
        if work.units == 1 {
            self.moved.notify_one();
        }
    }

    /// Waits until every worker has made progress from now on.
    pub(super) async fn all_progress(&self) {
        self.lock()
            .work
            .values_mut()
            .for_each(|work| work.units = 0);
        while !self.idle().is_empty() {
            self.moved.notified().await;
        }
    }

    /// The workers without progress since it was last asked for.
    pub(super) fn idle(&self) -> Vec<String> {
        let state = self.lock();
        let idle = state.work.iter().filter(|(_, work)| work.units == 0);
        idle.map(|((workload, host), work)| format!("{workload} on {host} ({work})"))
            .collect()
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(at) => write!(f, "last {} at {:.3} s", self.what, at.as_secs_f64()),
            None => f.write_str("never any"),
        }
    }
}
