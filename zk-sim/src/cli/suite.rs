//! What one program runs.

use std::fmt;
use std::sync::Arc;

use crate::catalogue::{self, CATALOGUE};
use crate::faults::mix::{self, MIXES, Mix};
use crate::runner::{Run, Workload};
use crate::workload::{self, WORKLOADS};

/// What a program runs: its workloads, and what is wanted of its runs. `zk-sim` has one, and so
/// has whoever brings workloads of their own to the same command line.
#[derive(Clone, Copy)]
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// What cargo is told to run it: `-p zk-sim`.
    pub target: &'static str,
    /// The workloads that can be named.
    pub workloads: &'static [workload::Entry],
    /// What a seed runs unless told otherwise.
    pub draw: fn(u64) -> Vec<Arc<dyn Workload>>,
    /// The mixes of faults that can be named.
    pub mixes: &'static [Mix],
    /// The mix that strikes in a seed's run unless told otherwise.
    pub mix: fn(u64) -> &'static Mix,
    /// The failures its runs have to meet.
    pub catalogue: &'static [catalogue::Entry],
    /// The kinds of faults that have to strike, see [`FaultKind::NAMES`](crate::faults::FaultKind::NAMES).
    pub faults: &'static [&'static str],
    /// The bugs that can be planted.
    pub bugs: &'static [&'static str],
    /// The last touch to every run.
    pub finish: fn(Run) -> Run,
}

/// What the program `zk-sim` runs: client and server.
pub const ZK_SIM: &Suite = &Suite {
    name: "zk-sim",
    target: "-p zk-sim",
    workloads: WORKLOADS,
    draw: workload::drawn,
    mixes: MIXES,
    mix: mix::drawn,
    catalogue: CATALOGUE,
    faults: OF_ONE_SERVER,
    bugs: &[
        "reply to the wrong request after cancellation",
        "watches not registered again",
        "write replayed into a new session",
        "deadline from the reply",
        "session served past its expiry",
        "server: cversion not counted",
        "server: sequence number reused",
    ],
    finish: |run| run,
};

/// All but those that are drawn for servers of an ensemble alone.
const OF_ONE_SERVER: &[&str] = &[
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
    "garble",
    "isolate",
    "kill",
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
];

impl Suite {
    /// Those called so, fresh; drawn from the seed if there are no names. Names are known ones.
    pub(crate) fn made(&self, names: &[String], seed: u64) -> Vec<Arc<dyn Workload>> {
        if names.is_empty() {
            return (self.draw)(seed);
        }
        let entry = |name: &String| self.workloads.iter().find(|entry| entry.name == name);
        let named = names.iter().filter_map(entry);
        named.map(|entry| (entry.make)()).collect()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
