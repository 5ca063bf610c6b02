//! What there is to choose from.

use super::{Ended, Suite};

pub(crate) fn list(suite: &Suite) -> Result<Ended, String> {
    println!("workloads (--workload; names may be joined with commas)");
    for entry in suite.workloads {
        println!("  {:<14} {}", entry.name.replace(' ', "-"), entry.about);
    }
    println!("mixes of faults (--mix)");
    for mix in suite.mixes {
        println!("  {:<14} {}", mix.name, mix.about);
    }
    println!("bugs to plant (--plant, with --features planted-bugs)");
    for bug in suite.bugs {
        println!("  {bug}");
    }
    Ok(Ended::Well)
}
