//! What a run amounts to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::FailpointCount;
use crate::history::At;

use super::Run;

/// Why a run has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who found it: an invariant, a checker, a workload, `panic`, `liveness`, …
    pub found_by: String,
    /// When.
    pub at: At,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found_by, at, what } = self;
        write!(f, "{found_by}, {:.3} s: {what}", at.as_secs_f64())
    }
}

/// Calls that left their callers in doubt, and what the server's log says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
pub struct Doubts {
    /// They took effect.
    pub applied: u64,
    /// They did not.
    pub not_applied: u64,
}

/// What a run amounts to. All of it but the two real times is the same whenever the
/// run is repeated.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The run's seed.
    pub seed: u64,
    /// Its workloads.
    pub workloads: Vec<&'static str>,
    /// What is wrong, if anything.
    pub violation: Option<Violation>,
    /// A hash over every delivery on the network and every call and its outcome.
    pub trace: u64,
    /// How long it took in the simulation.
    pub simulated: Duration,
    /// Calls that were recorded.
    pub operations: u64,
    /// Requests on the wire, whoever made them; without pings and the like.
    pub requests: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Rare places in the code under test that were reached.
    pub places: BTreeMap<&'static str, u64>,
    /// Failpoints that were come to.
    pub failpoints: BTreeMap<&'static str, FailpointCount>,
    /// Ids of the catalogue of failures that were reached.
    pub catalogue: BTreeMap<&'static str, u64>,
    /// How outcomes unknown to clients were resolved.
    pub doubts: Doubts,
    /// Time of the processor that it took, checkers included.
    pub took: Duration,
    /// Of which in checkers and invariants.
    pub in_checkers: Duration,
}

impl Verdict {
    /// That of a run of which nothing is known yet.
    pub(super) fn new(run: &Run) -> Self {
        Self {
            seed: run.seed,
            workloads: run.made().iter().map(|w| w.name()).collect(),
            ..Self::default()
        }
    }

    /// How many faults struck.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }
}
