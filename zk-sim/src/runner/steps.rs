//! The invariants of a run look at each step as it is taken.

use std::sync::{Arc, Mutex, PoisonError};

use super::script::Script;
use super::server::Log;
use super::{Invariant, Run};
use crate::checkers::invariants;
use crate::history::Step;

/// From here on the first step that an invariant objects to ends the run.
pub(super) fn watch(run: &Run, script: &Arc<Script>, log: &Log) {
    let own = run.invariants.iter().map(|make| make());
    let invariants: Vec<Box<dyn Invariant>> = invariants::of(run.ensemble.is_some())
        .into_iter()
        .chain(own)
        .collect();
    let invariants = Mutex::new(invariants);
    // The script owns the recorder, which keeps this.
    let script_to_fail = Arc::downgrade(script);
    let look = Arc::new(move |step: &Step<'_>| {
        let mut invariants = invariants.lock().unwrap_or_else(PoisonError::into_inner);
        for invariant in invariants.iter_mut() {
            if let Err(what) = invariant.step(step)
                && let Some(script) = script_to_fail.upgrade()
            {
                script.fail(invariant.name(), what);
            }
        }
    });
    script.recorder.listener().set(look.clone());
    log.listener().set(look);
}
