//! Runs: a seed, hosts, workloads, faults and invariants become a verdict.
//!
//! [`Run`] says what a run is made of and starts it; [`Workload`], [`Stage`] and
//! [`Invariant`] are what it is filled with; a [`Verdict`] is what it amounts to.
//! [`run_all`] runs many seeds on several cores, and [`Totals`] sums them up;
//! [`shrink`] looks for the smallest run that still fails, and [`Timeline`] shows
//! who said what to whom.

mod chaos;
mod cpu;
mod crew;
mod ensemble;
mod judge;
mod panics;
mod play;
mod pool;
mod report;
mod run;
mod script;
mod server;
mod servers;
mod shrink;
mod stage;
mod steps;
#[cfg(test)]
mod tests;
mod thread;
mod timeline;
mod totals;
mod verdict;

pub use ensemble::Ensemble;
pub(crate) use ensemble::{CLIENT_PORT, OBSERVER, PEER, SPARE, id_of, server_line};
pub use pool::run_all;
pub use report::Report;
pub use run::{DrawFaults, Run};
pub use shrink::{Shrunk, shrink};
pub use stage::{Invariant, Phase, Stage, Workload};
pub use timeline::{Filter, Kind, Line, Timeline};
pub use totals::Totals;
pub use verdict::{Doubts, Verdict, Violation};

/// The host of the standalone server.
pub const SERVER: &str = "server";

/// The first host of an ensemble.
const FIRST_PEER: &str = "peer-1";

/// Whether a host is that of a server of the run.
pub(crate) fn is_server(host: &str) -> bool {
    let kinds = [PEER, OBSERVER, SPARE];
    host == SERVER || kinds.iter().any(|kind| host.starts_with(kind))
}

/// The host on which workloads are verified.
pub const VERIFIER: &str = "verifier";
