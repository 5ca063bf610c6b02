//! What clients of an ensemble do.

use std::sync::Arc;

use zk_env::EnvRng;

use super::{
    Entry, bursts, counter, document, entries, ephemerals, expiry, idle, intruders, keeping, locks,
    members, mixed, queue, sync_read, watches,
};
use crate::runner::{Ensemble, Workload};
use crate::trace::derive;

/// The workloads for ensembles.
pub const ENSEMBLE_WORKLOADS: &[Entry] = entries! {
    "ledger", "writers of znodes that are never changed, counted in the end on every server", keeping::Keeping::default();
    "mixed", "every operation on a few dozen paths, own and shared", mixed::Mixed::new();
    "document", "a document changed by compare-and-set, read with and without sync", document::Document::default();
    "counter", "increments by compare-and-set, lost answers counted", counter::Counter::default();
    "locks", "a lock by ephemeral sequential znodes, with a fenced store", locks::Locks::default();
    "queue", "a queue of sequential znodes", queue::Queue::default();
    "ephemerals", "ephemeral znodes that must go once, with their sessions", ephemerals::Ephemerals::default();
    "sync read", "reads behind a sync, of what others were told is written", sync_read::SyncRead::default();
    "expiry", "short sessions that end while writes are under way", expiry::Expiry::default();
    "watches", "watches of all kinds while others change what is watched", watches::Watches;
    "bursts", "hundreds of pipelined writes, whose fates must fit", bursts::Bursts;
    "idle", "many clients that do next to nothing", idle::Idle;
    "intruders", "strangers at the ports that servers keep for each other", intruders::Intruders;
    "members", "an operator who changes the members, where they may change", members::Members;
};

/// The workload that is drawn with the ensemble.
const MEMBERS: &str = "members";

/// What a seed runs unless told otherwise: `ledger`, and two others drawn from it; and
/// `members`, where members may change.
pub fn drawn_for_ensemble(seed: u64) -> Vec<Arc<dyn Workload>> {
    let (first, others) = ENSEMBLE_WORKLOADS.split_at(1);
    let (operator, mut others): (Vec<&Entry>, Vec<&Entry>) =
        others.iter().partition(|entry| entry.name == MEMBERS);
    EnvRng::from_seed(derive(seed, &["workloads of an ensemble"])).shuffle(&mut others);
    let chosen = first.iter().chain(others.into_iter().take(2));
    let is_dynamic = Ensemble::drawn(seed).is_dynamic();
    let chosen = chosen.chain(operator.into_iter().filter(|_| is_dynamic));
    chosen.map(|entry| (entry.make)()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_workload_is_drawn_and_has_its_name() {
        let drawn: BTreeSet<_> = (0..100)
            .flat_map(drawn_for_ensemble)
            .map(|workload| workload.name())
            .collect();
        assert_eq!(drawn.len(), ENSEMBLE_WORKLOADS.len());
        for entry in ENSEMBLE_WORKLOADS {
            assert_eq!((entry.make)().name(), entry.name);
        }
    }
}
