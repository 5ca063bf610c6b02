//! Fewer operations that still part the servers.

use super::op::Op;
use super::{Difference, Run};

/// Leaves out ever smaller pieces of the operations, as long as the servers
/// still part somewhere. `start` gives a run over two fresh servers, and what
/// keeps them up; `progress` hears how many operations are left.
///
/// # Errors
///
/// A server cannot be started.
pub fn shrink<S, E>(
    found: Box<Difference>,
    mut start: impl FnMut() -> Result<(Run, S), E>,
    mut progress: impl FnMut(usize),
) -> Result<Box<Difference>, E> {
    let mut best = found;
    let mut piece = best.ops.len() / 2;
    while piece > 0 {
        let mut at = 0;
        // The last operation shows the difference and stays.
        while at + 1 < best.ops.len() {
            let (run, servers) = start()?;
            match run.repeat(&without(&best.ops, at, piece)) {
                Err(smaller) => best = smaller,
                Ok(()) => at += piece,
            }
            drop(servers);
            progress(best.ops.len());
        }
        piece /= 2;
    }
    Ok(best)
}

fn without(ops: &[Op], at: usize, count: usize) -> Vec<Op> {
    let last = ops.len() - 1;
    let end = (at + count).min(last);
    [&ops[..at], &ops[end..]].concat()
}
