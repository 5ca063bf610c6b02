//! An ensemble of machines, and everything that can happen to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_env::{EnvRng, Mono, Probe, Probed, ScriptedProbe};
use zk_proto::{SessionId, Xid, Zxid};

use super::TIMING;
use super::disk::Write;
use super::invariants::{self, Event, Invariant, World};
use super::link::{Link, Message};
use super::peer::{Peer, Role};
use crate::quorum::packet::{PacketType, QuorumPacket};
use crate::quorum::zab::{
    CommittedLog, Leader, LeaderOptions, LeaderOutput, LeaderShutdown, Learner, LearnerId,
    LearnerOptions, LearnerOutput, LearnerReconfig, LearnerShutdown, Proposal, ProposeError,
};
use crate::quorum::{QuorumVerifier, ServerId};
use crate::txn::{SetDataTxn, Txn, TxnBody, TxnHeader, encode_txn};

/// A run has gone wrong: which invariant, where, and what was seen.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) invariant: &'static str,
    #[allow(dead_code, reason = "what is shown when a test fails")]
    pub(super) what: String,
}

#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) rng: EnvRng,
    pub(super) now: Mono,
    pub(super) peers: BTreeMap<ServerId, Peer>,
    pub(super) links: BTreeMap<LearnerId, Link>,
    /// Whose messages do not reach whom at present.
    pub(super) blocked: BTreeSet<(ServerId, ServerId)>,
    /// The newest configuration that is in force anywhere.
    pub(super) config: Rc<QuorumVerifier>,
    /// `reconfigEnabled`
    pub(super) reconfig_enabled: bool,
    /// How many committed proposals leaders keep; few, so that the disk is read as well.
    pub(super) committed_log_count: usize,
    /// A server crashes before one output in so many; never, if 0.
    pub(super) crash_one_in: u64,
    pub(super) reached: BTreeSet<&'static str>,
    pub(super) violation: Option<Violation>,
    /// What has happened, if it is to be told.
    pub(super) trace: Option<Vec<String>>,
    invariants: Vec<Box<dyn Invariant>>,
    probe: Probe,
    next_link: u64,
    next_payload: u64,
}

impl Ensemble {
    /// Voters, observers, and `spares` that nobody knows of but they themselves.
    pub(super) fn new(
        seed: u64,
        (voters, observers, spares): (u64, u64, u64),
        bug: Option<&'static str>,
    ) -> Self {
        let mut text = String::new();
        let mut peers = BTreeMap::new();
        for n in 1..=voters + observers {
            let role = if n <= voters {
                "participant"
            } else {
                "observer"
            };
            let _ = writeln!(text, "server.{n}=h:1:2:{role}");
        }
        let config = QuorumVerifier::parse(&text).unwrap();
        for n in 1..=voters + observers + spares {
            let id = ServerId(n as i64);
            let own = if config.member(id).is_some() {
                config.clone()
            } else {
                let role = if n % 2 == 0 {
                    "participant"
                } else {
                    "observer"
                };
                let text = format!("{text}server.{n}=h:1:2:{role}\n");
                QuorumVerifier::parse(&text).unwrap()
            };
            peers.insert(id, Peer::new(id, own));
        }
        let planted = bug.map(|bug| Arc::new(ScriptedProbe::planting(bug)) as Arc<dyn Probed>);
        Self {
            rng: EnvRng::from_seed(seed),
            now: Mono::from_origin(Duration::ZERO),
            peers,
            links: BTreeMap::new(),
            blocked: BTreeSet::new(),
            config: Rc::new(config),
            reconfig_enabled: false,
            committed_log_count: 4,
            crash_one_in: 0,
            reached: BTreeSet::new(),
            violation: None,
            trace: None,
            invariants: invariants::all(),
            probe: planted.map(Probe::new).unwrap_or_default(),
            next_link: 0,
            next_payload: 0,
        }
    }

    pub(super) fn peer(&mut self, id: ServerId) -> &mut Peer {
        self.peers.get_mut(&id).unwrap()
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    /// Shows all invariants what has happened. The first violation ends the run.
    fn tell(&mut self, server: ServerId, event: &Event<'_>) {
        if self.violation.is_some() {
            return;
        }
        let world = World {
            config: &self.config,
            disks: self
                .peers
                .iter()
                .map(|(id, peer)| (*id, &peer.disk.durable))
                .collect(),
        };
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.observe(server, event, &world) {
                let invariant = invariant.name();
                let what = format!("server {server}: {what}");
                self.violation = Some(Violation { invariant, what });
                return;
            }
        }
    }

    // ---- roles ----

    pub(super) fn lead(&mut self, id: ServerId) {
        let mut options = LeaderOptions::new(id, TIMING);
        options.probe = self.probe.clone();
        options.reconfig_enabled = self.reconfig_enabled;
        let disk = &self.peers[&id].disk.durable;
        let config = disk.config();
        let history = disk.history();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{id} begins to lead: {history:?}"));
        }
        let mut committed = CommittedLog::new(self.committed_log_count);
        disk.txns().into_iter().for_each(|txn| committed.push(txn));
        let leader = Leader::new(options, config, history, committed, self.now);
        self.peer(id).begin(Role::Leading(Box::new(leader)));
        self.drain(id);
    }

    /// Follows a server, which is connected to if it leads by then.
    pub(super) fn follow(&mut self, id: ServerId, leader: ServerId) {
        let peer = &self.peers[&id];
        let mut options = LearnerOptions::new(id, peer.learner_type(), TIMING);
        let config = peer.disk.durable.config();
        options.config_version = config.committed.version();
        options.reconfig = self
            .reconfig_enabled
            .then_some(LearnerReconfig { config, leader });
        options.probe = self.probe.clone();
        options.wants_snapshot = peer.wants_snapshot;
        let history = peer.disk.durable.history();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{id} begins to follow {leader}: {history:?}"));
        }
        let learner = Learner::new(options, history, self.now);
        let link = LearnerId(self.next_link);
        self.next_link += 1;
        self.peer(id).wants_snapshot = false;
        self.peer(id).begin(Role::Learning {
            learner: Box::new(learner),
            link,
        });
        let Some(Role::Leading(machine)) = self.peers.get_mut(&leader).map(|peer| &mut peer.role)
        else {
            return self.close_learner(id);
        };
        machine.handle_learner_connected(link, self.now);
        self.links.insert(link, Link::new(link, id, leader));
        self.drain(leader);
        if let Role::Learning { learner, .. } = &mut self.peers.get_mut(&id).unwrap().role {
            learner.handle_connected(self.now);
        }
        self.drain(id);
    }

    fn close_learner(&mut self, id: ServerId) {
        if let Role::Learning { learner, .. } = &mut self.peer(id).role {
            learner.handle_disconnected();
        }
        self.drain(id);
    }

    /// The power fails.
    pub(super) fn crash(&mut self, id: ServerId) {
        self.cut_all(id);
        self.note(|| format!("{id} crashes"));
        let peer = self.peers.get_mut(&id).unwrap();
        peer.disk.crash(&mut self.rng);
        peer.end();
        peer.role = Role::Down;
        self.tell(id, &Event::Disk);
    }

    pub(super) fn restart(&mut self, id: ServerId) {
        let peer = self.peer(id);
        if matches!(peer.role, Role::Down) {
            peer.role = Role::Looking;
        }
    }

    fn step_down(&mut self, id: ServerId) {
        self.cut_all(id);
        self.peer(id).end();
    }

    fn cut_all(&mut self, id: ServerId) {
        let links = self
            .links
            .values_mut()
            .filter(|l| l.learner == id || l.leader == id);
        links.for_each(|link| link.cut(&mut self.rng));
    }

    // ---- what happens ----

    /// The links and directions on which something can be taken out now.
    pub(super) fn deliverable(&self) -> Vec<(LearnerId, bool)> {
        let mut deliverable = Vec::new();
        for link in self.links.values() {
            let is_blocked = |from, to| self.blocked.contains(&(from, to));
            if !link.to_leader.is_empty() && !is_blocked(link.learner, link.leader) {
                deliverable.push((link.id, true));
            }
            let wants = match &self.peers[&link.learner].role {
                Role::Learning { learner, link: own } => *own != link.id || learner.wants_packets(),
                Role::Down | Role::Looking | Role::Leading(_) => true,
            };
            // The end of a connection is noticed at any time, once all before it is read.
            let is_closed = matches!(link.to_learner.front(), Some(Message::Closed));
            if (wants || is_closed)
                && !link.to_learner.is_empty()
                && !is_blocked(link.leader, link.learner)
            {
                deliverable.push((link.id, false));
            }
        }
        deliverable
    }

    /// Takes one message off a link.
    pub(super) fn deliver(&mut self, (id, to_leader): (LearnerId, bool)) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let (receiver, queue) = if to_leader {
            (link.leader, &mut link.to_leader)
        } else {
            (link.learner, &mut link.to_learner)
        };
        let Some(message) = queue.pop_front() else {
            return;
        };
        let is_over = matches!(message, Message::Closed);
        if is_over && link.to_leader.is_empty() && link.to_learner.is_empty() {
            self.links.remove(&id);
        }
        if to_leader {
            self.hear_learner(receiver, id, message);
        } else {
            self.hear_leader(receiver, id, message);
        }
        self.drain(receiver);
    }

    fn hear_learner(&mut self, leader: ServerId, link: LearnerId, message: Message) {
        let now = self.now;
        let Role::Leading(machine) = &mut self.peer(leader).role else {
            return;
        };
        match message {
            Message::Packet(packet) => machine.handle_packet(link, packet, now),
            Message::Closed => machine.handle_learner_lost(link),
            Message::Snapshot { .. } => unreachable!("only leaders send snapshots"),
        }
    }

    fn hear_leader(&mut self, learner: ServerId, link: LearnerId, message: Message) {
        let now = self.now;
        let peer = self.peers.get_mut(&learner).unwrap();
        let Role::Learning { learner, link: own } = &mut peer.role else {
            return;
        };
        if *own != link {
            return;
        }
        match message {
            Message::Packet(packet) => {
                self.reached.extend(name_of_sync(&packet));
                learner.handle_packet(packet, now);
            }
            Message::Snapshot { zxid, state } => {
                self.reached.insert("SNAP");
                peer.incoming = Some(state);
                learner.handle_packet(QuorumPacket::bare(PacketType::Snap, zxid), now);
            }
            Message::Closed => learner.handle_disconnected(),
        }
    }

    /// A disk finishes a write.
    pub(super) fn complete(&mut self, id: ServerId) {
        let now = self.now;
        let peer = self.peer(id);
        if let Some(done) = peer.disk.complete() {
            self.note(|| format!("{id} disk: {done:?}"));
            self.tell(id, &Event::Disk);
            self.peer(id).handle_done(done, now);
            self.drain(id);
        }
    }

    /// Time passes.
    pub(super) fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        let now = self.now;
        let due = self
            .peers
            .values()
            .filter(|p| p.timeout().is_some_and(|at| at <= now));
        for id in due.map(|peer| peer.id).collect::<Vec<_>>() {
            match &mut self.peer(id).role {
                Role::Leading(leader) => leader.handle_timeout(now),
                Role::Learning { learner, .. } => learner.handle_timeout(now),
                Role::Down | Role::Looking => {}
            }
            self.drain(id);
        }
    }

    /// A client of the leader writes. Payloads are all different.
    pub(super) fn propose(&mut self, id: ServerId) -> bool {
        let now = self.now;
        self.next_payload += 1;
        let payload = Bytes::copy_from_slice(&self.next_payload.to_be_bytes());
        let Role::Leading(leader) = &mut self.peer(id).role else {
            return false;
        };
        let proposed = leader.propose(|_| payload.clone(), now);
        if let Ok(zxid) = proposed {
            self.tell(id, &Event::Broadcast(&Proposal { zxid, payload }));
        }
        self.drain(id);
        proposed.is_ok()
    }

    /// An operator changes the ensemble.
    pub(super) fn reconfigure(&mut self, id: ServerId, next: QuorumVerifier) -> bool {
        let now = self.now;
        let Role::Leading(leader) = &mut self.peer(id).role else {
            return false;
        };
        let mut payload = Bytes::new();
        let proposed = leader.propose_reconfig(
            next.clone(),
            |zxid| {
                payload = reconfig_payload(&next.clone().with_version(zxid.0), zxid);
                payload.clone()
            },
            now,
        );
        match proposed {
            Ok(zxid) => {
                let config = next.with_version(zxid.0);
                self.tell(id, &Event::Proposed { config: &config });
                self.tell(id, &Event::Broadcast(&Proposal { zxid, payload }));
            }
            Err(error) => {
                self.reached.insert(match error {
                    ProposeError::NewConfigNoQuorum => "no quorum for a reconfiguration",
                    ProposeError::ReconfigInProgress { .. } => "reconfiguration in progress",
                    _ => "nothing proposed",
                });
            }
        }
        self.drain(id);
        proposed.is_ok()
    }

    fn see_config(&mut self, id: ServerId, text: &str) {
        let config = QuorumVerifier::parse(text).unwrap();
        self.peer(id).disk.write(Write::LastSeen(config));
    }

    fn put_in_force(&mut self, id: ServerId, text: &str) {
        let config = QuorumVerifier::parse(text).unwrap();
        self.tell(id, &Event::InForce { config: &config });
        if config.version() > self.config.version() {
            if !config.has_same_members(&self.config) {
                self.reached.insert("reconfigured");
            }
            self.config = Rc::new(config.clone());
        }
        self.peer(id).disk.write(Write::InForce(config));
    }

    /// Votes carry the configuration in force; these, who look for a leader, take it over.
    pub(super) fn gossip(&mut self, ids: &[ServerId]) {
        if !self.reconfig_enabled {
            return;
        }
        let up = self.peers.values();
        let up = up.filter(|peer| !matches!(peer.role, Role::Down));
        let configs = up.map(|peer| peer.disk.durable.config());
        let newest = configs.max_by_key(|config| config.committed.version());
        let Some(newest) = newest.map(|config| config.committed) else {
            return;
        };
        for id in ids {
            self.peer(*id).disk.durable.commit_config(newest.clone());
        }
    }

    // ---- outputs ----

    /// Carries out what a server's machine asks for, unless it crashes first.
    fn drain(&mut self, id: ServerId) {
        while self.violation.is_none() {
            if self.crash_one_in > 0 && self.rng.below(self.crash_one_in) == 0 {
                self.reached.insert("crash between outputs");
                return self.crash(id);
            }
            match &mut self.peer(id).role {
                Role::Leading(leader) => match leader.poll_output() {
                    Some(output) => self.carry_out_leading(id, output),
                    None => break,
                },
                Role::Learning { learner, link } => {
                    let link = *link;
                    match learner.poll_output() {
                        Some(output) => self.carry_out_learning(id, link, output),
                        None => break,
                    }
                }
                Role::Down | Role::Looking => break,
            }
        }
        let peer = &self.peers[&id];
        if let Role::Leading(leader) = &peer.role
            && let Some(epoch) = leader.synchronizing_epoch()
        {
            let event = Event::Leads {
                epoch,
                run: peer.run,
                is_established: leader.is_established(),
                history: &peer.tree.clone(),
            };
            self.tell(id, &event);
        }
    }

    fn carry_out_leading(&mut self, id: ServerId, output: LeaderOutput) {
        self.note(|| format!("{id} leads: {output:?}"));
        match output {
            LeaderOutput::Send { to, packet } => self.send(to, false, Message::Packet(packet)),
            LeaderOutput::SendSnapshot { to, zxid } => {
                let state = self.peers[&id].tree.clone();
                self.send(to, false, Message::Snapshot { zxid, state });
            }
            LeaderOutput::ReadLog {
                learner,
                from,
                through,
            } => {
                self.reached.insert("log read");
                let now = self.now;
                let log = self.peers[&id].disk.read_log(from, through);
                if let Role::Leading(leader) = &mut self.peer(id).role {
                    leader.handle_log_read(learner, log, now);
                }
            }
            LeaderOutput::Close { learner, loss } => {
                self.reached.insert(match loss {
                    crate::quorum::zab::LearnerLoss::Ahead { .. } => "follower is ahead",
                    _ => "learner dropped",
                });
                if let Some(link) = self.links.get_mut(&learner) {
                    link.to_learner.push_back(Message::Closed);
                }
            }
            LeaderOutput::PersistEpoch { file, epoch } => {
                self.peer(id).disk.write(Write::Epoch(file, epoch));
            }
            LeaderOutput::Append(proposal) => self.peer(id).disk.write(Write::Append(proposal)),
            LeaderOutput::Commit(proposal) => {
                self.tell(id, &Event::Acknowledged(&proposal));
                self.apply(id, proposal);
            }
            LeaderOutput::Established { epoch } => {
                self.reached.insert("established");
                let history = self.peers[&id].tree.clone();
                self.tell(
                    id,
                    &Event::Established {
                        epoch,
                        history: &history,
                    },
                );
                self.serve(id);
            }
            LeaderOutput::ConfigProposed(text) => self.see_config(id, &text),
            LeaderOutput::Activate { config, .. } => {
                self.put_in_force(id, &config);
            }
            LeaderOutput::Request { .. }
            | LeaderOutput::Touched { .. }
            | LeaderOutput::Revalidate { .. } => {}
            LeaderOutput::ShutDown(reason) => {
                if let LeaderShutdown::Reconfigured { leader } = reason {
                    self.reached.insert("leader handed over");
                    self.peer(id).designated = Some(leader);
                }
                self.step_down(id);
            }
        }
    }

    fn carry_out_learning(&mut self, id: ServerId, link: LearnerId, output: LearnerOutput) {
        self.note(|| format!("{id} learns on {}: {output:?}", link.0));
        match output {
            LearnerOutput::Send(packet) => {
                self.tell(id, &Event::Sent(&packet));
                self.send(link, true, Message::Packet(packet));
            }
            LearnerOutput::PersistEpoch { file, epoch } => {
                self.peer(id).disk.write(Write::Epoch(file, epoch));
            }
            LearnerOutput::Truncate { zxid } => self.peer(id).disk.write(Write::Truncate(zxid)),
            LearnerOutput::InstallSnapshot { zxid } => {
                let state = self.peer(id).incoming.take().unwrap_or_default();
                self.peer(id).disk.write(Write::Install { state, zxid });
            }
            LearnerOutput::Append(proposal) => self.peer(id).disk.write(Write::Append(proposal)),
            LearnerOutput::Commit(proposal) => self.apply(id, proposal),
            LearnerOutput::Established { .. } => self.serve(id),
            LearnerOutput::ConfigProposed(text) | LearnerOutput::NewConfig(text) => {
                self.see_config(id, &text);
            }
            LearnerOutput::Activate { config, .. } => {
                self.put_in_force(id, &config);
            }
            LearnerOutput::Synced | LearnerOutput::Revalidated(_) => {}
            LearnerOutput::ShutDown(reason) => {
                if let LearnerShutdown::CannotTruncate(_) = reason {
                    self.reached.insert("cannot truncate");
                    self.peer(id).wants_snapshot = true;
                }
                if let LearnerShutdown::OldEpoch { .. } = reason {
                    self.reached.insert("old leader refused");
                }
                if let LearnerShutdown::Reconfigured { leader } = reason {
                    self.reached.insert("learner reconfigured");
                    self.peer(id).designated = leader;
                }
                self.step_down(id);
            }
        }
    }

    fn send(&mut self, link: LearnerId, to_leader: bool, message: Message) {
        if let Some(link) = self.links.get_mut(&link) {
            let queue: &mut VecDeque<_> = if to_leader {
                &mut link.to_leader
            } else {
                &mut link.to_learner
            };
            // Behind the end of a connection nothing arrives.
            if !matches!(queue.back(), Some(Message::Closed)) {
                queue.push_back(message);
            }
        }
    }

    fn apply(&mut self, id: ServerId, proposal: Proposal) {
        let peer = self.peer(id);
        peer.tree.push(proposal);
        let (txns, is_serving) = (peer.tree.clone(), peer.is_serving);
        if is_serving {
            let new = txns.len() - 1;
            self.tell(id, &Event::Visible { txns: &txns, new });
        }
    }

    fn serve(&mut self, id: ServerId) {
        let peer = self.peer(id);
        peer.is_serving = true;
        let txns = peer.tree.clone();
        self.tell(
            id,
            &Event::Visible {
                txns: &txns,
                new: 0,
            },
        );
    }

    /// The newest transaction that anybody has shown to clients.
    pub(super) fn last_visible(&self) -> Zxid {
        let serving = self.peers.values().filter(|peer| peer.is_serving);
        let last = serving.filter_map(|peer| peer.tree.last().map(|txn| txn.zxid));
        last.max().unwrap_or(Zxid(0))
    }
}

/// The transaction that changes the configuration.
fn reconfig_payload(next: &QuorumVerifier, zxid: Zxid) -> Bytes {
    let txn = Txn {
        header: TxnHeader {
            client: SessionId(1),
            cxid: Xid(1),
            zxid,
            time_ms: 0,
        },
        body: TxnBody::Reconfig(SetDataTxn {
            path: "/zookeeper/config".into(),
            data: Some(next.to_text().into_bytes().into()),
            version: -1,
        }),
        digest: None,
    };
    let mut payload = BytesMut::new();
    encode_txn(&txn, &mut payload);
    payload.freeze()
}

fn name_of_sync(packet: &QuorumPacket) -> Option<&'static str> {
    match packet.packet_type {
        PacketType::Diff => Some("DIFF"),
        PacketType::Trunc => Some("TRUNC"),
        _ => None,
    }
}
