//! The search for a leader, and readers who are served when it takes long.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use zk_env::sleep_until;

use super::Peer;
use crate::net::Shell;
use crate::quorum::election::{Decision, InitialVote};

/// An election takes less, as a rule.
const LEAST_GRACE: Duration = Duration::from_secs(2);

impl Peer {
    /// Looks for a leader until there is one; nothing if the peer has to stop. With
    /// `readonlymode.enabled` readers are served from some time on, until it ends.
    pub(super) async fn look_for_leader(&self, initial: InitialVote) -> Option<Decision> {
        let shell = Arc::clone(&self.shell);
        let grace = LEAST_GRACE.max(self.timing.tick_time);
        let decided = tokio::select! {
            biased;
            () = self.stopped.cancelled() => None,
            decided = self.election.look_for_leader(initial) => decided,
            never = serve_readers(&shell, grace), if self.config.settings.is_read_only_mode_enabled => {
                match never {}
            }
        };
        cease_serving(&shell);
        decided
    }
}

/// Begins after `grace`.
async fn serve_readers(shell: &Shell, grace: Duration) -> Infallible {
    let mut timer = shell.env.timer();
    sleep_until(&mut *timer, shell.env.now() + grace).await;
    shell.resumed().await;
    tracing::info!("no leader for long, serving readers");
    shell.act("beginning to serve readers", |zks, _, _| {
        zks.serve_read_only();
    });
    std::future::pending().await
}

/// Readers have to come back to whatever there is now.
fn cease_serving(shell: &Shell) {
    let is_read_only = shell.act("ceasing to serve readers", |zks, _, _| zks.is_read_only());
    if is_read_only == Some(true) {
        tracing::info!("readers are not served any more");
        // In this order, so that nobody is let in between.
        shell.act("ceasing to serve readers", |zks, now, _| zks.end_role(now));
        shell.end_serving();
    }
}
