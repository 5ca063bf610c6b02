//! F9: a transaction log, on a disk in memory.

use zk_sim::{Sim, runtime};

/// Steps that write a log and harm it, then recovery.
pub(crate) fn check(input: &[u8]) {
    let runtime = runtime(1).expect("a runtime");
    runtime.block_on(async {
        let disk = Sim::new(1).host("host").env().disk();
        zk_server::fuzzing::log_bytes(input, disk).await;
    });
}
