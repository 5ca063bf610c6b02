//! Waiting until an ensemble is as it should be.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use tokio::sync::watch;
use zk_env::sleep_until;

use super::{Ensemble, Member};
use crate::error::ServerError;
use crate::quorum_peer::{PeerState, PeerStatus};

impl Ensemble {
    /// Waits until a peer leads and serves, and returns its id. While a partition lets two
    /// believe that they lead, it is the one of the later epoch.
    ///
    /// # Errors
    ///
    /// [`ServerError::Unsettled`], with what each peer says, if there is none in time.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for_leader(&self) -> Result<i64, ServerError> {
        self.wait_for("no leader", leader_of).await
    }

    /// Waits until one of these peers leads and serves, and returns its id: for the leader on
    /// one side of a partition.
    ///
    /// # Errors
    ///
    /// As [`wait_for_leader`](Self::wait_for_leader).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    pub async fn wait_for_leader_among(&self, ids: &[i64]) -> Result<i64, ServerError> {
        self.check(ids);
        let missing = format!("no leader among {ids:?}");
        let leader = |peers: &[PeerStatus]| leader_of(peers).filter(|id| ids.contains(id));
        self.wait_for(&missing, leader).await
    }

    /// Waits until every peer that was not killed or stopped serves, all under one leader,
    /// and returns the leader's id: after a partition was healed or a peer restarted.
    ///
    /// # Errors
    ///
    /// As [`wait_for_leader`](Self::wait_for_leader); at once if a peer
    /// [failed](crate::QuorumPeer::failure), and why.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_until_serving(&self) -> Result<i64, ServerError> {
        let served = |peers: &[PeerStatus]| {
            if let Some(failure) = self.failure() {
                return Some(Err(failure));
            }
            let leader = leader_of(peers)?;
            let all = peers
                .iter()
                .all(|peer| peer.is_serving && peer.leader == Some(leader));
            all.then_some(Ok(leader))
        };
        self.wait_for("not every peer serves", served).await?
    }

    /// Waits until `condition` holds for the peers that were not killed or stopped, ordered
    /// by id. `missing` says what is wrong if it never does: "no leader".
    ///
    /// # Errors
    ///
    /// As [`wait_for_leader`](Self::wait_for_leader).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), zk_server::ServerError> {
    /// use zk_server::{Ensemble, PeerState};
    ///
    /// let ensemble = Ensemble::start(3).await?;
    /// let leader = ensemble.wait_for_leader().await?;
    /// ensemble.isolate(leader);
    /// ensemble
    ///     .wait_until("nobody gave up", |peers| {
    ///         peers.iter().any(|peer| peer.id == leader && peer.state == PeerState::Looking)
    ///     })
    ///     .await?;
    /// # ensemble.stop_all().await;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new()?.block_on(example())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_until(
        &self,
        missing: &str,
        mut condition: impl FnMut(&[PeerStatus]) -> bool,
    ) -> Result<(), ServerError> {
        self.wait_for(missing, |peers| condition(peers).then_some(()))
            .await
    }

    async fn wait_for<T>(
        &self,
        missing: &str,
        mut seen: impl FnMut(&[PeerStatus]) -> Option<T>,
    ) -> Result<T, ServerError> {
        let env = &self.plan.env;
        let (mut timer, deadline) = (env.timer(), env.now() + self.plan.patience);
        let members = self.members.values();
        let mut changes: Vec<_> = members.map(|member| member.peer.status_changes()).collect();
        loop {
            if let Some(seen) = seen(&self.running()) {
                return Ok(seen);
            }
            tokio::select! {
                biased;
                () = any_change(&mut changes) => {}
                () = sleep_until(&mut *timer, deadline) => return Err(self.unsettled(missing)),
            }
        }
    }

    /// The peers that were not killed or stopped.
    fn running(&self) -> Vec<PeerStatus> {
        let members = self.members.values();
        let running = members.filter(|member| member.is_running());
        running.map(|member| member.peer.status()).collect()
    }

    fn failure(&self) -> Option<ServerError> {
        let mut members = self.members.values();
        members.find_map(|member| member.peer.failure())
    }

    pub(super) fn current_leader(&self) -> Option<i64> {
        leader_of(&self.running())
    }

    fn unsettled(&self, missing: &str) -> ServerError {
        let peers: Vec<_> = self.members.values().map(Member::describe).collect();
        ServerError::Unsettled {
            missing: missing.to_owned(),
            waited: self.plan.patience,
            peers: peers.join("; "),
        }
    }
}

/// Who leads and serves, in the latest epoch.
fn leader_of(peers: &[PeerStatus]) -> Option<i64> {
    let leading = peers
        .iter()
        .filter(|peer| peer.state == PeerState::Leading && peer.is_serving);
    leading.max_by_key(|peer| peer.epoch).map(|peer| peer.id)
}

/// Ends when one of them has changed since it was last looked at.
async fn any_change(changes: &mut [watch::Receiver<PeerStatus>]) {
    let mut changed: Vec<_> = changes
        .iter_mut()
        .map(|peer| Box::pin(peer.changed()))
        .collect();
    poll_fn(|cx| {
        let mut ended = Poll::Pending;
        for peer in &mut changed {
            // One whose peer is gone never changes.
            if let Poll::Ready(Ok(())) = peer.as_mut().poll(cx) {
                ended = Poll::Ready(());
                break;
            }
        }
        ended
    })
    .await;
}

impl Member {
    /// What the peer says of itself, in words.
    fn describe(&self) -> String {
        let status = self.peer.status();
        if let Some(failure) = self.peer.failure() {
            return format!("peer {} has failed: {failure}", status.id);
        }
        if !self.is_running() {
            return format!("peer {} was stopped", status.id);
        }
        let state = match status.state {
            PeerState::Looking => "is looking",
            PeerState::Following => "follows",
            PeerState::Leading => "leads",
            PeerState::Observing => "observes",
        };
        let leader = match status.leader {
            Some(leader) if leader != status.id => format!(" {leader}"),
            Some(_) | None => String::new(),
        };
        let serves = if status.is_serving {
            "serves"
        } else {
            "does not serve"
        };
        let (id, epoch) = (status.id, status.epoch);
        format!("peer {id} {state}{leader}, {serves}, epoch {epoch}")
    }
}
