//! What the program `recipes-sim` runs.

use std::sync::Arc;
use std::time::Duration;

use zk_env::EnvRng;
use zk_sim::cli::Suite;
use zk_sim::faults::FaultKind;
use zk_sim::faults::mix::{self, MIXES};
use zk_sim::runner::{Run, Workload};
use zk_sim::workload::Entry;

use super::catalogue::CATALOGUE;
use super::workload::{
    Candidates, Claims, Contenders, Counters, Gate, Group, Leases, Members, Queue,
    ReadersAndWriters, Tampered, Watching,
};

/// The clients of a workload that is named; a seed draws two workloads of two to four each, or one.
const HOSTS: usize = 3;
/// Everybody is connected by then, and there are lines to stand in.
const WARM_UP: Duration = Duration::from_secs(8);
/// A workload of a run has this many clients at least, and not more than that.
const SIZES: (usize, usize) = (2, 4);

/// A workload for so many hosts.
type Make = fn(usize) -> Arc<dyn Workload>;

macro_rules! workloads {
    ($($name:literal, $about:literal, $make:path;)*) => {
        /// The workloads, by name.
        pub const WORKLOADS: &[Entry] = &[$(Entry {
            name: $name,
            about: $about,
            make: || Arc::new($make(HOSTS)),
        }),*];
        const MAKES: &[Make] = &[$(|hosts| Arc::new($make(hosts))),*];
    };
}

workloads! {
    "mutex", "a mutex, by those who wait for ever, for a while or not at all", Contenders::new;
    "tampered", "a mutex in a directory that somebody tampers with", Tampered::new;
    "read-write lock", "readers, writers and downgrades", ReadersAndWriters::new;
    "semaphore", "leases of a semaphore that is resized", Leases::new;
    "leader", "leaders who hand over, resign or are cut off", Candidates::new;
    "double barrier", "parties whose members die, give up or come late", Members::new;
    "barrier", "a barrier set and removed while others arrive", Gate::new;
    "watching", "a subtree and a document that are watched", Watching::new;
    "group", "members who join, leave, and are cut off", Group::new;
    "counter", "counters with and without witnesses", Counters::new;
    "queue", "a simple queue whose consumers die", Queue::new;
    "claims", "a queue whose consumers die, stall and give back", Claims::new;
}

/// What a seed runs unless told otherwise: two workloads, seldom one; two to eight clients in all.
pub fn drawn(seed: u64) -> Vec<Arc<dyn Workload>> {
    // Not the values that others draw from the same seed.
    let mut rng = EnvRng::from_seed(seed ^ 0x7265_6369_7065_7321);
    let mut makes = MAKES.to_vec();
    rng.shuffle(&mut makes);
    let count = if rng.below(8) == 0 { 1 } else { 2 };
    let choices = (SIZES.1 - SIZES.0 + 1) as u64;
    let mut hosts = || SIZES.0 + usize::try_from(rng.below(choices)).unwrap_or_default();
    makes
        .into_iter()
        .take(count)
        .map(|make| make(hosts()))
        .collect()
}

/// Recipes under simulation.
pub const RECIPES: &Suite = &Suite {
    name: "recipes-sim",
    target: "-p zk-tests --bin recipes-sim",
    workloads: WORKLOADS,
    draw: drawn,
    mixes: MIXES,
    mix: mix::drawn,
    catalogue: CATALOGUE,
    faults: &[
        "accept and close",
        "blackhole",
        "clock rate",
        "cut",
        "drop connections",
        "fin",
        "forget",
        "isolate",
        "kill",
        "one-way silence",
        "pause",
        "refuse",
        "restart",
        "silence",
        "slow",
        "suspend",
        "wall jump",
    ],
    bugs: &[
        "recipes: epoch not checked",
        "recipes: abandoned place not deleted",
        "recipes: not looked again after waiting",
        "recipes: predecessor not watched",
        "recipes: proof that never lapses",
        "recipes: unknown write repeated",
    ],
    finish: |run: Run| {
        let run = run.warm_up(WARM_UP);
        run.faults_if(|fault| may_strike(&fault.kind))
    },
};

/// Deadlines hold on what sessions are promised, so nobody ends one by force, but where somebody
/// tampers; and disks have nothing of the clients'.
const fn may_strike(fault: &FaultKind) -> bool {
    !matches!(
        fault,
        FaultKind::ExpireSession { .. }
            | FaultKind::DiskError { .. }
            | FaultKind::SlowSync { .. }
            | FaultKind::BitRot { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use zk_sim::runner::Violation;

    use super::*;

    fn outcome(entry: &'static Entry, seed: u64, mix: &str) -> Option<Violation> {
        let mix = mix::named(mix).expect("a mix of this name");
        let run = Run::new(seed)
            .workloads(|| vec![(entry.make)()])
            .chaos(Duration::from_secs(10))
            .mix(mix);
        (RECIPES.finish)(run).start().violation
    }

    #[test]
    fn nothing_is_wrong_without_faults() {
        for entry in WORKLOADS {
            assert_eq!(outcome(entry, 1, "none"), None, "{}", entry.name);
        }
    }

    /// Seeds that have found a bug: what it was is said where it was mended.
    const FOUND: &[u64] = &[374, 833];

    #[test]
    fn seeds_that_have_found_a_bug_are_fine() {
        for seed in FOUND {
            let run = Run::new(*seed).workloads(|| drawn(*seed));
            let run = run.mix(mix::drawn(*seed));
            assert_eq!((RECIPES.finish)(run).start().violation, None, "{seed}");
        }
    }

    #[test]
    fn a_seed_has_two_to_eight_clients_and_every_workload_is_drawn() {
        let mut names = BTreeSet::new();
        for seed in 0..200 {
            let workloads = drawn(seed);
            let hosts: usize = workloads.iter().map(|w| w.hosts().len()).sum();
            assert!((2..=8).contains(&hosts), "{seed}: {hosts}");
            names.extend(workloads.iter().map(|workload| workload.name()));
        }
        assert_eq!(names.len(), WORKLOADS.len());
        for entry in WORKLOADS {
            assert_eq!((entry.make)().name(), entry.name);
        }
    }
}
