//! Client and server on a network in memory, whose links are cut, silenced and healed
//! from a seed while clients work. The seam holds if the same seed gives the same
//! run: every byte at the same time, and the same answer to every call.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod faults;
mod regressed;
mod scenario;
mod unlikely;
mod worker;

use std::collections::BTreeSet;

use scenario::{Run, run};

/// Few enough to be run three times in every test run.
const SEEDS: std::ops::Range<u64> = 0..3;

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in SEEDS {
        let (first, second) = (run(seed), run(seed));
        first.assert_worth_comparing();
        for (line, again) in first.journal.iter().zip(&second.journal) {
            assert_eq!(line, again, "seed {seed}");
        }
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_runs() {
    let runs: Vec<Run> = SEEDS.map(run).collect();
    let traces: BTreeSet<_> = runs.iter().map(|run| run.trace).collect();
    let journals: BTreeSet<_> = runs.iter().map(|run| &run.journal).collect();
    assert_eq!((traces.len(), journals.len()), (runs.len(), runs.len()));
}
