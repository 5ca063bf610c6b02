//! The task that lets time pass for sessions, containers and TTL znodes.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zk_env::sleep_until;

use super::fail_stop::Vital;
use super::shell::Shell;

/// Ticks until stopped.
pub(super) async fn run(shell: Arc<Shell>, stopped: CancellationToken) {
    let _vital = Vital {
        shell: Arc::clone(&shell),
        stage: "waiting for the next timeout",
    };
    let mut timer = shell.env.timer();
    loop {
        let next = shell.next_tick();
        tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            () = shell.rearmed.notified() => {
                if shell.probe.buggify("server: tick for nothing") {
                    shell.tick();
                }
            }
            () = sleep_until(&mut *timer, next) => shell.tick(),
        }
    }
}
