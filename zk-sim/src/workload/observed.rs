//! What workers saw of a thing they share, for the linearizability checker.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use crate::checkers::linearizability::{
    Budget, Operation, Operations, Spec, Verdict, check, explanation,
};
use crate::history::At;
use crate::runner::Stage;

/// Steps of a search; far more than a run needs, and less than a second's.
const STEPS: u64 = 500_000;

/// Operations of all workers, with their times.
#[derive(Debug)]
pub(super) struct Observed<Op, Ret>(Mutex<Vec<Option<Operation<Op, Ret>>>>);

impl<Op, Ret> Default for Observed<Op, Ret> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Op: Clone + Debug, Ret: Clone + Debug> Observed<Op, Ret> {
    /// This is asked now. It is told before, as a host may be killed while it waits.
    pub(super) fn begin(&self, op: Op, invoked: At) -> usize {
        self.with(|seen| {
            seen.push(Some(Operation {
                process: 0,
                op,
                invoked,
                returned: None,
            }));
            seen.len() - 1
        })
    }

    /// It was answered.
    pub(super) fn returned(&self, operation: usize, at: At, ret: Ret) {
        self.with(|seen| {
            if let Some(operation) = &mut seen[operation] {
                operation.returned = Some((at, ret));
            }
        });
    }

    /// It did not take effect before this.
    pub(super) fn not_before(&self, operation: usize, at: At) {
        self.with(|seen| {
            if let Some(operation) = &mut seen[operation] {
                operation.invoked = at;
            }
        });
    }

    /// It did not and will not take effect.
    pub(super) fn not_applied(&self, operation: usize) {
        self.with(|seen| seen[operation] = None);
    }

    /// Everything so far.
    pub(super) fn operations(&self) -> Operations<Op, Ret> {
        self.with(|seen| seen.iter().flatten().cloned().collect())
    }

    fn with<R>(&self, visit: impl FnOnce(&mut Vec<Option<Operation<Op, Ret>>>) -> R) -> R {
        visit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fails the run if there is no order in which `spec` explains every answer. What
    /// cannot be decided within the steps is noted and no failure.
    pub(super) fn verify<S>(&self, stage: &Stage, what: &str, spec: &S)
    where
        S: Spec<Op = Op, Ret = Ret>,
        S::State: Debug,
    {
        let operations = self.operations();
        let probe = stage.env().probe();
        match check(spec, &operations, &mut Budget::steps(STEPS)) {
            Verdict::Linearizable(_) => probe.reached("workload: history found linearizable"),
            Verdict::Violation(violation) => {
                let why = explanation(&operations, &violation);
                stage.fail(format!("{what} is not linearizable: {why}"));
            }
            Verdict::Undecided(_) => probe.reached("workload: history not decided in time"),
        }
    }
}
