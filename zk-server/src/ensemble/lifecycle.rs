//! Peers that end, and that come back.

use std::sync::atomic::Ordering;

use super::Ensemble;
use crate::error::ServerError;

impl Ensemble {
    /// Ends a peer as `kill -9` would: its connections are closed, nothing more is written,
    /// what it has not synced is for the disk to keep. A frozen one dies as well.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    pub fn kill(&self, id: i64) {
        let member = self.member(id);
        member.is_running.store(false, Ordering::Relaxed);
        member.peer.kill();
        // Its tasks find that they have ended.
        member.env.gate().open();
        tracing::info!(id, "peer killed");
    }

    /// Waits for a leader and [kills](Self::kill) it; returns its id.
    ///
    /// # Errors
    ///
    /// As [`wait_for_leader`](Self::wait_for_leader).
    ///
    /// # Cancel safety
    ///
    /// Before it returns nobody was killed.
    pub async fn kill_leader(&self) -> Result<i64, ServerError> {
        let leader = self.wait_for_leader().await?;
        self.kill(leader);
        Ok(leader)
    }

    /// Stops a peer gracefully, and thaws it before if it is frozen. Stopping one that does not
    /// run is harmless.
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves a peer that ends by itself.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    pub async fn stop(&self, id: i64) {
        let member = self.member(id);
        member.is_running.store(false, Ordering::Relaxed);
        member.env.gate().open();
        member.peer.stop().await;
    }

    /// Stops all peers, the leader last, so that no other is elected meanwhile.
    ///
    /// # Cancel safety
    ///
    /// As [`stop`](Self::stop), for those it has come to.
    pub async fn stop_all(&self) {
        let leader = self.leader();
        for id in self.peer_ids() {
            if Some(id) != leader {
                self.stop(id).await;
            }
        }
        if let Some(leader) = leader {
            self.stop(leader).await;
        }
    }

    /// Starts a peer again that was killed or stopped, on the same addresses and with what
    /// is stored; one that runs is stopped before. It then looks for a leader: see
    /// [`wait_until_serving`](Self::wait_until_serving).
    ///
    /// # Errors
    ///
    /// Its client port could not be had again, or what is stored cannot be used; it is
    /// stopped then.
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves a peer that is stopped or runs.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    pub async fn restart(&self, id: i64) -> Result<(), ServerError> {
        self.stop(id).await;
        let member = self.member(id);
        member.peer.restart().await?;
        member.is_running.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Restarts all peers together and waits as [`start`](Self::start) does: an outage of
    /// the whole ensemble.
    ///
    /// # Errors
    ///
    /// As [`restart`](Self::restart) and [`wait_for_leader`](Self::wait_for_leader).
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves some peers stopped.
    pub async fn restart_all(&self) -> Result<(), ServerError> {
        self.stop_all().await;
        self.plan.links.suspend_dials();
        let restarted = async {
            for id in self.peer_ids() {
                self.restart(id).await?;
            }
            Ok::<_, ServerError>(())
        };
        let restarted = restarted.await;
        self.plan.links.resume_dials();
        restarted?;
        self.wait_until_serving().await?;
        Ok(())
    }
}
