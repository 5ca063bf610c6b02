//! What the program `ensembles-sim` runs.

use super::Suite;
use crate::catalogue::ENSEMBLE_CATALOGUE;
use crate::faults::mix::{ENSEMBLE_MIXES, drawn_for_ensemble};
use crate::runner::{Ensemble, Run};
use crate::workload;

/// Whole ensembles, three to five voters and up to two observers, under faults; of some the
/// members change meanwhile.
pub const ENSEMBLES: &Suite = &Suite {
    name: "ensembles-sim",
    target: "-p zk-sim --bin ensembles-sim",
    workloads: workload::ENSEMBLE_WORKLOADS,
    draw: workload::drawn_for_ensemble,
    mixes: ENSEMBLE_MIXES,
    mix: drawn_for_ensemble,
    catalogue: ENSEMBLE_CATALOGUE,
    faults: &[
        "accept and close",
        "accept queue full",
        "bandwidth",
        "bit rot",
        "blackhole",
        "clock rate",
        "cut",
        "disk full",
        "disk read fails",
        "disk sync fails",
        "disk write fails",
        "dns empty",
        "dns fails",
        "dns hangs",
        "dns many",
        "dns moved",
        "drop connections",
        "expire session",
        "fin",
        "forget",
        "isolate",
        "kill",
        "kill at",
        "new disk",
        "one-way silence",
        "pause",
        "refuse",
        "restart",
        "silence",
        "slow",
        "slow sync",
        "suspend",
        "trickle",
        "wall jump",
    ],
    bugs: &[
        "server: acks before the log is synced",
        "server: epoch written before the history",
        "server: follows a leader of the past",
    ],
    finish: |run: Run| {
        let ensemble = Ensemble::drawn(run.seed());
        let run = match ensemble.is_dynamic() {
            true => workload::with_operator(run),
            false => run,
        };
        run.ensemble(ensemble)
    },
};
