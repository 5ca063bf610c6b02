//! The task that lets time pass for sessions, containers and TTL znodes.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zk_env::sleep_until;

use super::shell::Shell;

/// Ticks until stopped.
pub(super) async fn run(shell: Arc<Shell>, stopped: CancellationToken) {
    let mut timer = shell.env.timer();
    loop {
        let next = shell.next_tick();
        tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            () = shell.rearmed.notified() => {}
            () = sleep_until(&mut *timer, next) => shell.tick(),
        }
    }
}
