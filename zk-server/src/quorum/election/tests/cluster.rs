//! Peers on one virtual clock, and the messages between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_env::Mono;

use crate::quorum::election::{
    Decision, ElectionOptions, FastLeaderElection, InitialVote, LinkEvent, Notification, Output,
};
use crate::quorum::{QuorumVerifier, ServerId};

/// One peer and what is known of it outside.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) machine: FastLeaderElection,
    pub(super) initial: InitialVote,
    pub(super) decision: Option<Decision>,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Parcel {
    /// In the bytes of the wire.
    Message(Vec<u8>),
    Link(LinkEvent),
}

/// What happened, for whoever keeps a record.
#[derive(Debug)]
pub(super) enum Happened {
    Sent {
        from: ServerId,
        to: ServerId,
        notification: Notification,
    },
    Output {
        at: ServerId,
        output: Output,
    },
    Dropped {
        at: ServerId,
        reason: String,
    },
}

/// What becomes of a message: its delay, or a loss.
pub(super) type Route = Box<dyn FnMut(ServerId, ServerId) -> Option<Duration>>;

pub(super) struct Cluster {
    pub(super) now: Mono,
    pub(super) peers: BTreeMap<ServerId, Peer>,
    /// Machines that answer no dial, as opposed to those that refuse it.
    pub(super) silent: BTreeSet<ServerId>,
    /// Ids that only a script speaks for: they neither refuse nor answer.
    pub(super) outside: BTreeSet<ServerId>,
    route: Route,
    /// By time of arrival, then in the order of sending.
    under_way: BTreeMap<(Mono, u64), (ServerId, ServerId, Parcel)>,
    sent: u64,
    pub(super) log: Vec<(Mono, Happened)>,
}

impl Cluster {
    pub(super) fn new(route: Route) -> Self {
        Self {
            now: Mono::ZERO,
            peers: BTreeMap::new(),
            silent: BTreeSet::new(),
            outside: BTreeSet::new(),
            route,
            under_way: BTreeMap::new(),
            sent: 0,
            log: Vec::new(),
        }
    }

    /// A process starts; its predecessor and what it was told are forgotten.
    pub(super) fn start(
        &mut self,
        options: ElectionOptions,
        config: QuorumVerifier,
        initial: InitialVote,
    ) {
        let id = options.id;
        self.kill(id);
        self.silent.remove(&id);
        self.outside.remove(&id);
        let machine = FastLeaderElection::new(options, config);
        let peer = Peer {
            machine,
            initial,
            decision: None,
        };
        self.peers.insert(id, peer);
        self.look(id);
    }

    pub(super) fn look(&mut self, id: ServerId) {
        let now = self.now;
        let peer = self.peers.get_mut(&id).expect("a peer that runs");
        peer.decision = None;
        peer.machine.look(peer.initial, now);
        self.drain(id);
    }

    /// A process ends. Those who were connected learn of it, unless it went silently.
    pub(super) fn kill(&mut self, id: ServerId) {
        if self.peers.remove(&id).is_none() {
            return;
        }
        self.under_way.retain(|_, (_, to, _)| *to != id);
        if !self.silent.contains(&id) {
            for other in self.peers.keys().copied().collect::<Vec<_>>() {
                self.deliver_later(id, other, Parcel::Link(LinkEvent::Lost));
            }
        }
    }

    /// The sooner of the next arrival and the next timeout.
    pub(super) fn next_event(&self) -> Option<Mono> {
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let timeouts = self
            .peers
            .values()
            .filter_map(|peer| peer.machine.poll_timeout());
        arrival.into_iter().chain(timeouts).min()
    }

    /// Lets time pass until `end`, with all that happens on the way.
    pub(super) fn run_until(&mut self, end: Mono) {
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.step(at);
        }
        self.now = end;
    }

    pub(super) fn step(&mut self, at: Mono) {
        self.now = self.now.max(at);
        if let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let (from, to, parcel) = entry.remove();
            self.deliver(from, to, parcel);
            return;
        }
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let now = self.now;
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.machine.handle_timeout(now);
            }
            self.drain(id);
        }
    }

    pub(super) fn deliver(&mut self, from: ServerId, to: ServerId, parcel: Parcel) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        match parcel {
            Parcel::Message(bytes) => match Notification::decode(&bytes) {
                Ok(notification) => peer.machine.handle_notification(from, notification, now),
                Err(error) => {
                    let reason = error.to_string();
                    self.log.push((now, Happened::Dropped { at: to, reason }));
                }
            },
            Parcel::Link(event) => peer.machine.handle_link(from, event, now),
        }
        self.drain(to);
    }

    /// Carries out what a machine asks for.
    pub(super) fn drain(&mut self, id: ServerId) {
        while let Some(peer) = self.peers.get_mut(&id)
            && let Some(output) = peer.machine.poll_output()
        {
            match output {
                Output::Send { to, notification } => {
                    let bytes = notification.encode().to_vec();
                    let from = id;
                    let sent = Happened::Sent {
                        from,
                        to,
                        notification,
                    };
                    self.log.push((self.now, sent));
                    self.dial(from, to);
                    self.deliver_later(from, to, Parcel::Message(bytes));
                }
                Output::Redial(to) => {
                    self.log
                        .push((self.now, Happened::Output { at: id, output }));
                    self.dial(id, to);
                }
                // Connections of the cluster do not die without a sign.
                Output::Reconnect(_) => {}
                Output::Decided(decision) => {
                    peer.decision = Some(decision);
                    self.log
                        .push((self.now, Happened::Output { at: id, output }));
                }
                Output::ConfigAdopted(_)
                | Output::ConfigConflict { .. }
                | Output::VoterIsLooking { .. } => {
                    self.log
                        .push((self.now, Happened::Output { at: id, output }));
                }
            }
        }
    }

    /// A process that does not run refuses, if its machine does.
    fn dial(&mut self, from: ServerId, to: ServerId) {
        let is_there = self.peers.contains_key(&to);
        if !is_there && !self.silent.contains(&to) && !self.outside.contains(&to) {
            self.deliver_later(to, from, Parcel::Link(LinkEvent::Refused));
        }
    }

    fn deliver_later(&mut self, from: ServerId, to: ServerId, parcel: Parcel) {
        if let Some(delay) = (self.route)(from, to) {
            self.sent += 1;
            self.under_way
                .insert((self.now + delay, self.sent), (from, to, parcel));
        }
    }
}
