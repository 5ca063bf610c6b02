//! The observer master's port of a follower, and the way to one for an observer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;
use zk_env::{EnvRng, Mono};

use super::Peer;
use super::leading::{Link, MAX_EVENTS, RoleTasks, accept_all, listen};
use super::link::Event;
use crate::net::Shell;
use crate::quorum::packet::QuorumPacket;
use crate::quorum::zab::{LearnerLoss, ObserverMaster, ObserverMasterOptions};
use crate::quorum::{
    HostPort, LearnerId, LearnerType, LearnerView, PeerState, QuorumVerifier, ServerId,
};

/// A follower's part as an observer master: the machine and what it is carried by.
pub(super) struct Master {
    pub(super) machine: ObserverMaster,
    links: BTreeMap<LearnerId, Link>,
    events: mpsc::Receiver<Event>,
    report: mpsc::Sender<Event>,
    tasks: RoleTasks,
    /// What operators are shown has changed.
    is_view_stale: bool,
}

impl Master {
    /// Opens the port, for a follower that is established in `epoch`.
    ///
    /// # Errors
    ///
    /// It could not be had.
    pub(super) async fn begin(peer: &Peer, epoch: i64, tasks: RoleTasks) -> io::Result<Self> {
        let (report, events) = mpsc::channel(MAX_EVENTS);
        for addr in peer.observer_listen() {
            let listener = listen(&*peer.shell.env, &addr).await?;
            tracing::info!(%addr, "observers are welcome");
            let accepting = accept_all(listener, Arc::clone(&peer.shell), report.clone());
            tasks.spawn("zk-server observer accept", accepting);
        }
        let options = ObserverMasterOptions {
            reconfig_enabled: peer.config.settings.reconfig_enabled,
            probe: peer.shell.env.probe(),
            ..ObserverMasterOptions::new(peer.timing, epoch)
        };
        let shell = &peer.shell;
        let last = shell.act("looking at the end of history", |zks, _, _| zks.last_zxid());
        let last = last.ok_or(io::ErrorKind::BrokenPipe)?;
        let config = peer.membership.committed.clone();
        let committed = peer.committed_to(last);
        let now = shell.env.now();
        Ok(Self {
            machine: ObserverMaster::new(options, config, last, committed, now),
            links: BTreeMap::new(),
            events,
            report,
            tasks,
            is_view_stale: true,
        })
    }

    /// Somebody has connected, and is `learner` from now on.
    pub(super) fn connected(
        &mut self,
        shell: &Arc<Shell>,
        learner: LearnerId,
        connection: (zk_env::BoxStream, std::net::SocketAddr),
    ) {
        let link = Link::open(shell, &self.tasks, &self.report, learner, connection);
        self.links.insert(learner, link);
        let now = shell.env.now();
        self.machine.handle_learner_connected(learner, now);
    }

    pub(super) fn snapshot_sent(&mut self, learner: LearnerId) {
        let link = self.links.get_mut(&learner);
        if let Some(packet) = link.and_then(Link::snapshot_sent) {
            self.send(learner, packet);
        }
    }

    pub(super) fn lost(&mut self, learner: LearnerId) {
        self.is_view_stale = true;
        self.links.remove(&learner);
        self.machine.handle_learner_lost(learner);
    }

    pub(super) fn send(&mut self, to: LearnerId, packet: QuorumPacket) {
        let Some(link) = self.links.get_mut(&to) else {
            return;
        };
        if !link.send(packet) {
            tracing::warn!(learner = ?to, "an observer does not keep up, closing its connection");
            link.close();
            self.lost(to);
        }
    }

    pub(super) fn send_snapshot(&mut self, to: LearnerId, zxid: zk_proto::Zxid) {
        if let Some(link) = self.links.get_mut(&to) {
            link.send_snapshot(zxid);
        }
    }

    pub(super) fn close(&mut self, learner: LearnerId, loss: &LearnerLoss) {
        tracing::info!(?learner, %loss, "an observer is dropped");
        self.is_view_stale = true;
        if let Some(link) = self.links.remove(&learner) {
            link.close();
        }
    }

    /// Shows operators who observes here, if that has changed.
    pub(super) fn show(&mut self, shell: &Shell) {
        if !std::mem::take(&mut self.is_view_stale) {
            return;
        }
        let observers = self
            .machine
            .observers()
            .filter_map(|(learner, id, is_synced)| {
                let link = self.links.get(&learner)?;
                Some(LearnerView {
                    id,
                    learner_type: LearnerType::Observer,
                    is_synced,
                    addr: link.addr,
                    established_ms: link.established_ms,
                })
            });
        let observers = observers.collect();
        shell.with_view(|view| view.observers = observers);
    }

    /// Somebody has come further than before.
    pub(super) fn note_progress(&mut self) {
        self.is_view_stale = true;
    }
}

/// What happens next on the port of a master; never anything without one. Cancel safe.
pub(super) async fn next_event(master: &mut Option<Master>) -> Event {
    let event = match master {
        // The channel does not close: the master has a sender of its own.
        Some(master) => master.events.recv().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// When a master's [`ObserverMaster::handle_timeout`] is due.
pub(super) fn timeout(master: Option<&Master>) -> Mono {
    master.map_or(Mono::MAX, |master| master.machine.poll_timeout())
}

/// From whom an observer may learn, in the order in which it should try: the followers, by
/// chance, so that observers spread; the one that it has had last comes last. Nobody, if
/// there are no masters.
pub(super) fn masters(
    verifier: &QuorumVerifier,
    leader: ServerId,
    last: Option<ServerId>,
    rng: &mut EnvRng,
) -> Vec<ServerId> {
    let mut masters: Vec<_> = verifier.voters().filter(|id| *id != leader).collect();
    rng.shuffle(&mut masters);
    masters.sort_by_key(|id| last == Some(*id));
    masters
}

impl Peer {
    /// Whether this peer is a master when it follows, or looks for one when it observes.
    pub(super) fn has_observer_masters(&self) -> bool {
        self.config.settings.observer_master_port != 0
    }

    /// Where observers connect to `id` while that follows.
    pub(super) fn observer_addrs(&self, id: ServerId) -> Vec<HostPort> {
        let port = self.config.settings.observer_master_port;
        let addrs = self.quorum_addrs(id).into_iter();
        let mut addrs: Vec<_> = addrs.map(|addr| HostPort { port, ..addr }).collect();
        addrs.dedup();
        addrs
    }

    /// Where this peer waits for observers.
    fn observer_listen(&self) -> Vec<HostPort> {
        let port = self.config.settings.observer_master_port;
        let listen = self.quorum_listen().into_iter();
        let mut listen: Vec<_> = listen.map(|addr| HostPort { port, ..addr }).collect();
        listen.dedup();
        listen
    }

    /// Whether a peer in this role, which is established, serves observers.
    pub(super) fn serves_observers(&self) -> bool {
        self.has_observer_masters() && self.status.borrow().state == PeerState::Following
    }

    /// Whom this peer learns from, for operators.
    pub(super) fn tell_learner_master(&mut self, master: ServerId) {
        self.last_master = Some(master);
        self.shell
            .with_view(|view| view.learner_master = Some(master));
        self.status
            .send_modify(|status| status.learner_master = Some(master.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_follower_is_tried_and_the_last_one_last() {
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n\
                    server.5=e:1:2:observer\nversion=0";
        let verifier = QuorumVerifier::parse(text).unwrap();
        let mut first = std::collections::BTreeSet::new();
        for seed in 0..32 {
            let mut rng = EnvRng::from_seed(seed);
            let mut found = masters(&verifier, ServerId(2), Some(ServerId(3)), &mut rng);
            assert_eq!(found.last(), Some(&ServerId(3)));
            first.insert(found[0]);
            found.sort();
            assert_eq!(found, [ServerId(1), ServerId(3), ServerId(4)]);
        }
        assert_eq!(first.len(), 2, "they spread");
    }
}
