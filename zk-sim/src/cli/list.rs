//! What there is to choose from.

use crate::faults::mix::MIXES;
use crate::workload::WORKLOADS;

use super::Ended;

/// The bugs that client and server have with the feature `planted-bugs`.
pub(crate) const BUGS: &[&str] = &[
    "reply to the wrong request after cancellation",
    "watches not registered again",
    "write replayed into a new session",
    "deadline from the reply",
    "session served past its expiry",
    "server: cversion not counted",
    "server: sequence number reused",
];

pub(crate) fn list() -> Result<Ended, String> {
    println!("workloads (--workload; names may be joined with commas)");
    for entry in WORKLOADS {
        println!("  {:<14} {}", entry.name.replace(' ', "-"), entry.about);
    }
    println!("mixes of faults (--mix)");
    for mix in MIXES {
        println!("  {:<14} {}", mix.name, mix.about);
    }
    println!("bugs to plant (--plant, with --features planted-bugs)");
    for bug in BUGS {
        println!("  {bug}");
    }
    Ok(Ended::Well)
}
