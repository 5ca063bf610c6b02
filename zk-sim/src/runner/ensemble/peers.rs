//! All servers of an ensemble.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::interval;
use zk_proto::SessionId;
use zk_server::{PeerState, QuorumPeer, ServerError};

use super::peer::{Common, Peer};
use super::records::Records;
use super::shape::{Ensemble, OBSERVER, PEER};
use crate::Sim;
use crate::faults::apply::ServerControl;
use crate::faults::{FOLLOWER, FaultKind, LEADER};
use crate::runner::Run;
use crate::runner::server::{Log, Wanted};

/// Between two looks at the trees.
const LOOK: Duration = Duration::from_millis(100);

/// The servers of an ensemble.
pub(in crate::runner) struct Peers {
    common: Common,
    peers: Vec<Peer>,
}

impl Peers {
    /// Starts them, one after the other; they have no leader yet.
    pub(in crate::runner) async fn start(
        run: &Run,
        shape: &Ensemble,
        sim: &Sim,
        log: &Log,
    ) -> Result<Self, ServerError> {
        let peers = Self {
            common: Common {
                sim: sim.clone(),
                shape: shape.clone(),
                config: run.server.clone(),
                records: Records::new(sim, log.clone()),
                log: log.clone(),
            },
            peers: shape.hosts().iter().map(|host| Peer::new(host)).collect(),
        };
        for peer in &peers.peers {
            let permitted = peer.permit_to_begin(&peers.common).await;
            permitted.expect("a disk without faults");
            peer.start(&peers.common).await?;
        }
        peers.note_shape();
        Ok(peers)
    }

    fn note_shape(&self) {
        let hosts = self.common.shape.hosts();
        let voters = hosts.iter().filter(|host| host.starts_with(PEER)).count();
        let Some(first) = self.peers.first() else {
            return;
        };
        let probe = self.common.sim.env(&first.host).probe();
        if voters.is_multiple_of(2) {
            probe.reached("ensemble: even number of voters");
        }
        if hosts.iter().any(|host| host.starts_with(OBSERVER)) {
            probe.reached("ensemble: has an observer");
        }
    }

    pub(in crate::runner) fn connect_string(&self) -> String {
        self.common.shape.connect_string()
    }

    pub(in crate::runner) fn records(&self) -> &Records {
        &self.common.records
    }

    /// Stops all of them.
    pub(in crate::runner) async fn stop(&self) {
        let servers: Vec<_> = self.peers.iter().filter_map(Peer::server).collect();
        join_all(servers.iter().map(|server| server.stop())).await;
    }

    /// Reads what the disks hold, once all are stopped; why one cannot be read.
    pub(in crate::runner) async fn read_logs(&self) -> Result<(), String> {
        for peer in &self.peers {
            let read = peer.read_log(&self.common).await;
            read.map_err(|error| format!("the log of {}: {error}", peer.host))?;
        }
        Ok(())
    }

    /// Ends a session; false if nobody leads.
    pub(in crate::runner) fn expire_session(&self, session: SessionId) -> bool {
        self.leader()
            .is_some_and(|(_, server)| server.expire_session(session))
    }

    /// Why not every server serves with the same tree; none if they do.
    pub(in crate::runner) fn differ(&self) -> Option<String> {
        let mut trees = Vec::new();
        for peer in &self.peers {
            let Some(server) = peer.server() else {
                let trouble = peer.trouble().unwrap_or_default();
                return Some(format!("{} is down {trouble}", peer.host));
            };
            let status = server.status();
            if !status.is_serving {
                return Some(format!("{} does not serve: {status:?}", peer.host));
            }
            trees.push((&peer.host, server.tree_digest()));
        }
        let is_same = trees.windows(2).all(|pair| pair[0].1 == pair[1].1);
        (!is_same).then(|| format!("trees: {trees:?}"))
    }

    /// The epoch of the one leader; none while nobody leads, or one does not know yet that
    /// its time is over.
    pub(in crate::runner) fn reign(&self) -> Option<i64> {
        let servers = self.peers.iter().filter_map(Peer::server);
        let statuses = servers.map(|server| server.status());
        let mut leaders = statuses.filter(|status| status.state == PeerState::Leading);
        let leader = leaders.next()?;
        (leader.is_serving && leaders.next().is_none()).then_some(leader.epoch)
    }

    /// Who leads and serves, and with which server.
    fn leader(&self) -> Option<(&Peer, Arc<QuorumPeer>)> {
        let up = self
            .peers
            .iter()
            .filter_map(|peer| Some((peer, peer.server()?)));
        let leads = |(_, server): &(&Peer, Arc<QuorumPeer>)| {
            let status = server.status();
            status.state == PeerState::Leading && status.is_serving
        };
        // One that was cut off may not know yet that it is one of the past.
        up.filter(leads)
            .max_by_key(|(_, server)| server.status().epoch)
    }

    fn peer(&self, host: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| *peer.host == *host)
    }

    /// Keeps every server as faults want it, and looks at them.
    async fn keep(&self) {
        let keep = join_all(self.peers.iter().map(|peer| peer.keep(&self.common)));
        tokio::select! {
            biased;
            _ = keep => {}
            () = self.look() => {}
        }
    }

    /// Takes note of every server's tree.
    pub(in crate::runner) fn look_at_trees(&self) {
        self.peers.iter().for_each(|peer| peer.look(&self.common));
    }

    async fn look(&self) {
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            self.look_at_trees();
        }
    }
}

/// Keeps the servers as faults want them.
#[derive(Clone)]
pub(in crate::runner) struct Keeper(pub(in crate::runner) Arc<Peers>);

impl Keeper {
    /// For as long as it is polled.
    pub(in crate::runner) async fn keep(&self) {
        self.0.keep().await;
    }

    /// Waits until every server is as faults want it.
    pub(in crate::runner) async fn settled(&self) {
        for peer in &self.0.peers {
            let mut reached = peer.reached.subscribe();
            let is_there = |reached: &Wanted| *reached == *peer.wanted.borrow();
            let _ = reached.wait_for(is_there).await;
        }
    }

    /// A fault begins or ends that lasts for a while.
    pub(in crate::runner) fn note_fault(&self, begins: bool) {
        self.0.records().fault(begins);
    }

    /// The fault, with the names of hosts instead of roles: those of this moment.
    pub(in crate::runner) fn cast(&self, kind: &FaultKind) -> FaultKind {
        let peers = &self.0.peers;
        let first = || peers.first().map(|peer| peer.host.to_string());
        let leader = self.0.leader().map(|(peer, _)| peer.host.to_string());
        let leader = leader.or_else(first).unwrap_or_default();
        let follower = peers
            .iter()
            .rev()
            .map(|peer| peer.host.to_string())
            .find(|host| *host != leader && host.starts_with(PEER));
        let kind = kind.with_hosts(|host| match host {
            LEADER => leader.clone(),
            FOLLOWER => follower.clone().unwrap_or_default(),
            other => other.to_owned(),
        });
        match kind {
            FaultKind::NewDisk { host } if !self.vacate(&host) => FaultKind::Kill { host },
            kind => kind,
        }
    }

    /// Whether the host may lose its disk: the others are enough for a quorum, and none of them
    /// has lost its own and not been filled again.
    fn vacate(&self, host: &str) -> bool {
        let peers = &self.0.peers;
        let voters = || peers.iter().filter(|peer| peer.host.starts_with(PEER));
        let Some(peer) = self.0.peer(host).filter(|_| voters().count() > 2) else {
            return false;
        };
        // Where members change nobody can tell here how many have a vote.
        if self.0.common.shape.is_dynamic() || voters().any(Peer::is_vacant) {
            return false;
        }
        peer.vacate(&self.0.common);
        true
    }
}

impl ServerControl for Keeper {
    fn drop_connections(&self, host: &str) {
        if let Some(server) = self.0.peer(host).and_then(Peer::server) {
            server.drop_connections();
        }
    }

    /// Whatever the host: only a leader can.
    fn expire_session(&self, _host: &str, pick: u64) {
        if let Some(session) = self.0.common.log.pick(pick) {
            self.0.expire_session(session);
        }
    }

    fn stop(&self, host: &str) {
        if let Some(peer) = self.0.peer(host) {
            peer.wanted.send_modify(|wanted| wanted.down += 1);
        }
    }

    fn killed(&self, host: &str) {
        if let Some(peer) = self.0.peer(host) {
            peer.forget(&self.0.common);
            if self.0.peers.iter().all(|peer| peer.server().is_none()) {
                let probe = self.0.common.sim.env(host).probe();
                probe.reached("ensemble: all are down");
            }
            peer.wanted.send_modify(|wanted| {
                wanted.down += 1;
                wanted.kills += 1;
            });
        }
    }

    fn start(&self, host: &str) {
        if let Some(peer) = self.0.peer(host) {
            peer.wanted.send_modify(Wanted::up);
        }
    }
}
