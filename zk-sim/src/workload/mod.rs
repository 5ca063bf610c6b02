//! What clients do in a run: small pieces to be put together.
//!
//! A worker makes its calls on [`RecordedClient`](crate::history::RecordedClient)s,
//! so that the checkers can compare every answer with the server's log, and judges
//! by itself only what no log tells: what its callers may conclude.

mod bursts;
mod cancellation;
mod chroots;
mod clients;
mod closing;
mod counter;
mod credentials;
mod document;
mod ensemble;
mod ephemerals;
mod events;
mod expiry;
mod idle;
mod intruders;
mod journal;
mod keeping;
mod large;
mod ledger;
mod liars;
mod locks;
mod members;
mod mixed;
mod observed;
mod queue;
mod raw;
mod server_list;
mod sync_read;
mod watches;

use std::sync::Arc;

pub use ensemble::{ENSEMBLE_WORKLOADS, drawn_for_ensemble};
pub(crate) use members::with_operator;
use zk_env::EnvRng;

use crate::runner::Workload;
use crate::trace::derive;

/// A workload to be had by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Makes it, for one run: it remembers what was done.
    pub make: fn() -> Arc<dyn Workload>,
}

/// Entries by name, line and value.
macro_rules! entries {
    ($($name:literal, $about:literal, $make:expr;)*) => {
        &[$(Entry {
            name: $name,
            about: $about,
            make: || Arc::new($make),
        }),*]
    };
}
use entries;

/// All workloads.
pub const WORKLOADS: &[Entry] = entries! {
    "mixed", "every operation on a few dozen paths, own and shared", mixed::Mixed::new();
    "garbled", "the same by clients whose traffic may be garbled", mixed::Mixed::garbled();
    "bursts", "hundreds of pipelined writes, whose fates must fit", bursts::Bursts;
    "watches", "watches of all kinds while others change what is watched", watches::Watches;
    "document", "a document changed by compare-and-set, read with and without sync", document::Document::default();
    "counter", "increments by compare-and-set, lost answers counted", counter::Counter::default();
    "locks", "a lock by ephemeral sequential znodes, with a fenced store", locks::Locks::default();
    "queue", "a queue of sequential znodes", queue::Queue::default();
    "cancellation", "futures dropped after any number of polls", cancellation::Cancellation::default();
    "closing", "clients closed, dropped and raced against their own calls", closing::Closing::default();
    "chroots", "chroots side by side with names that begin alike", chroots::Chroots;
    "expiry", "short sessions that end while writes are under way", expiry::Expiry::default();
    "large", "large values over narrow links, queues that fill up", large::Large;
    "idle", "many clients that do next to nothing", idle::Idle;
    "credentials", "digest credentials and the znodes only they open", credentials::Credentials;
    "server list", "lists of servers replaced with calls under way", server_list::ServerList::default();
    "events", "event handlers that call the client, and some that never look", events::Events;
    "liars", "clients of servers that lie, stall or speak nonsense", liars::Liars;
    "raw", "connections that send anything but what a client would", raw::Raw;
    "journal", "a journal on a disk that loses power", journal::Journal::default();
};

/// The workload called `name`, for one run.
pub fn named(name: &str) -> Option<Arc<dyn Workload>> {
    let entry = WORKLOADS.iter().find(|entry| entry.name == name)?;
    Some((entry.make)())
}

/// What a seed runs unless told otherwise: `mixed`, and two others drawn from it.
pub fn drawn(seed: u64) -> Vec<Arc<dyn Workload>> {
    let mut others: Vec<&Entry> = WORKLOADS.iter().skip(1).collect();
    EnvRng::from_seed(derive(seed, &["workloads"])).shuffle(&mut others);
    let mixed = WORKLOADS.first().into_iter();
    mixed
        .chain(others.into_iter().take(2))
        .map(|entry| (entry.make)())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::faults::mix;
    use crate::runner::{Run, Violation};

    #[test]
    fn names_are_those_of_the_workloads_and_unlike() {
        let names: BTreeSet<_> = WORKLOADS.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for entry in WORKLOADS {
            assert_eq!(named(entry.name).map(|made| made.name()), Some(entry.name));
        }
        assert!(named("nothing").is_none());
    }

    /// Runs `entry` with a mix of faults, for a while shorter than a usual run.
    fn outcome(entry: &'static Entry, seed: u64, mix: &str) -> Option<Violation> {
        let mix = mix::named(mix).expect("a mix of this name");
        let run = Run::new(seed)
            .workloads(|| vec![(entry.make)()])
            .chaos(Duration::from_secs(10))
            .mix(mix);
        run.start().violation
    }

    #[test]
    fn nothing_is_wrong_without_faults() {
        for entry in WORKLOADS {
            assert_eq!(outcome(entry, 1, "none"), None, "{}", entry.name);
        }
    }

    #[test]
    fn nothing_is_wrong_with_faults() {
        for entry in WORKLOADS {
            assert_eq!(outcome(entry, 2, "all"), None, "{}", entry.name);
        }
    }

    #[test]
    fn a_seed_means_the_same_run() {
        for entry in WORKLOADS {
            let trace = || {
                let run = Run::new(3).workloads(|| vec![(entry.make)()]);
                let short = run.chaos(Duration::from_secs(5));
                let mix = mix::named("all").expect("there is one");
                short.mix(mix).start().trace
            };
            assert_eq!(trace(), trace(), "{}", entry.name);
        }
    }

    #[test]
    fn every_workload_is_drawn_within_the_seeds_of_a_gate() {
        let drawn: BTreeSet<_> = (0..200)
            .flat_map(drawn)
            .map(|workload| workload.name())
            .collect();
        assert_eq!(drawn.len(), WORKLOADS.len());
    }
}
