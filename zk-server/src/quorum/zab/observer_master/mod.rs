//! A follower from which observers learn in the leader's place (Apache's `ObserverMaster`):
//! it brings them to what is committed here, tells them of every commit, and stands between
//! them and the leader in all that their clients want.
//!
//! Nothing is agreed on here. The epoch is the one that this server has entered, and what
//! observers are told is committed and in this server's log and tree. It lives as long as
//! the established part of a follower's role.
//!
//! An observer may come from another master and be ahead of this one. It is kept waiting
//! until we have what it has, for all of `initLimit`. (Apache has it truncate what it has
//! shown its clients already.)

mod asked;
mod output;

pub(crate) use asked::Asker;
pub(crate) use output::Output;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use zk_env::{Mono, Probe};
use zk_proto::{OpCode, SessionId, Zxid};

use self::asked::Asked;
use super::committed_log::CommittedLog;
use super::learner_handler::{HandlerError, Heard, LearnerHandler, LearnerId, Stage};
use super::outstanding::MAX_OUTSTANDING;
use super::sync::{DiskLog, SyncDecision, SyncOp, SyncPlan, SyncState, decide};
use super::{LearnerLoss, Proposal, ZabTiming, first_zxid};
use crate::quorum::packet::{
    ForwardedRequest, LEARNER_PROTOCOL_VERSION, PacketType, QuorumPacket, Revalidate, Revalidated,
    encode_epoch, encode_informed,
};
use crate::quorum::{QuorumVerifier, ServerId};
use crate::txn::reconfigured;

/// Connections at a time. Strangers fill no more than this.
const MAX_OBSERVERS: usize = 4096;

/// What does not change while a follower is a master.
#[derive(Clone, Debug)]
pub(crate) struct ObserverMasterOptions {
    /// How long to wait for observers.
    pub(crate) timing: ZabTiming,
    /// The epoch that was entered.
    pub(crate) epoch: i64,
    /// `reconfigEnabled`: the configuration may change.
    pub(crate) reconfig_enabled: bool,
    /// Snapshots sent at a time; `leader.maxConcurrentSnapSyncs`.
    pub(crate) max_concurrent_snap_syncs: usize,
    /// Likewise for DIFF and TRUNC; `leader.maxConcurrentDiffSyncs`.
    pub(crate) max_concurrent_diff_syncs: usize,
    /// What a simulator sees.
    pub(crate) probe: Probe,
}

impl ObserverMasterOptions {
    /// Apache's defaults.
    pub(crate) fn new(timing: ZabTiming, epoch: i64) -> Self {
        Self {
            timing,
            epoch,
            reconfig_enabled: false,
            max_concurrent_snap_syncs: 10,
            max_concurrent_diff_syncs: 100,
            probe: Probe::default(),
        }
    }
}

/// An observer master. Driven as the module of ZAB says: one input, then every output.
#[derive(Debug)]
pub(crate) struct ObserverMaster {
    options: ObserverMasterOptions,
    /// The configuration in force.
    config: QuorumVerifier,
    /// The newest transactions in the tree.
    committed: CommittedLog,
    /// The last of them, or the first zxid of the epoch.
    last_processed: Zxid,
    /// A reconfiguration that is committed: what else is to be told of it comes at once.
    held: Option<Proposal>,
    observers: BTreeMap<LearnerId, LearnerHandler>,
    /// Those of observers are as many as there may be proposals; our own clients' are
    /// bounded where these are.
    asked: Asked,
    /// Pings go out and deadlines are looked at; twice a tick.
    half_tick: Mono,
    /// Bounded by what one input causes, since outputs are drained after each.
    outputs: VecDeque<Output>,
}

/// Inputs.
impl ObserverMaster {
    /// A follower that serves: its tree ends with `last_processed`, and `committed` does so
    /// as well or is empty.
    pub(crate) fn new(
        options: ObserverMasterOptions,
        config: QuorumVerifier,
        last_processed: Zxid,
        committed: CommittedLog,
        now: Mono,
    ) -> Self {
        Self {
            half_tick: now + half_tick(&options),
            options,
            config,
            committed,
            last_processed,
            held: None,
            observers: BTreeMap::new(),
            asked: Asked::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Somebody has connected.
    pub(crate) fn handle_learner_connected(&mut self, learner: LearnerId, now: Mono) {
        if self.observers.len() >= MAX_OBSERVERS {
            let loss = LearnerLoss::Throttled;
            self.outputs.push_back(Output::Close { learner, loss });
            return;
        }
        let deadline = now + self.options.timing.init_time();
        self.observers
            .insert(learner, LearnerHandler::new(deadline));
    }

    /// A connection is gone. One that was closed by us may be told of too.
    pub(crate) fn handle_learner_lost(&mut self, learner: LearnerId) {
        self.observers.remove(&learner);
    }

    /// An observer has sent a packet.
    pub(crate) fn handle_packet(&mut self, from: LearnerId, packet: QuorumPacket, now: Mono) {
        self.inform_held(now);
        let epoch = Some(self.options.epoch);
        let Some(handler) = self.observers.get_mut(&from) else {
            return;
        };
        let (packet_type, zxid) = (packet.packet_type, packet.zxid);
        let unexpected = HandlerError::Unexpected {
            packet: packet_type,
            zxid,
        };
        match handler.hear(packet, epoch) {
            // Only who has no vote learns from a follower.
            Ok(_) if packet_type == PacketType::FollowerInfo => {
                self.drop_observer(from, unexpected.into());
            }
            Ok(Heard::Ack(_)) => self.drop_observer(from, unexpected.into()),
            Ok(heard) => {
                let timing = &self.options.timing;
                handler.deadline = now
                    + match handler.stage {
                        Stage::Serving => timing.sync_time(),
                        _ => timing.init_time(),
                    };
                self.handle_heard(from, heard, now);
            }
            Err(error) => self.drop_observer(from, error.into()),
        }
    }

    fn handle_heard(&mut self, from: LearnerId, heard: Heard, now: Mono) {
        match heard {
            Heard::Info { config_version, .. } => self.handle_info(from, config_version),
            Heard::EpochAck {
                current_epoch,
                last_zxid,
            } => self.handle_epoch_ack(from, current_epoch, last_zxid, now),
            Heard::NewLeaderAck => self.handle_new_leader_ack(from, now),
            Heard::Touched(sessions) => self.outputs.push_back(Output::Touched(sessions)),
            Heard::Revalidate(question) => self.handle_revalidate(from, question),
            Heard::Request(request) => self.handle_request(from, request),
            Heard::Ack(_) | Heard::Ignored => {}
        }
    }

    /// A transaction is in the tree and durable.
    pub(crate) fn handle_committed(&mut self, proposal: Proposal, now: Mono) {
        self.inform_held(now);
        self.last_processed = proposal.zxid;
        self.committed.push(proposal.clone());
        let changes_config = self.options.reconfig_enabled
            && reconfigured(&proposal.payload).is_ok_and(|text| text.is_some());
        self.held = Some(proposal);
        if !changes_config {
            self.inform_held(now);
        }
    }

    /// The configuration of the transaction that was committed just now is in force, and
    /// `leader` leads by it.
    pub(crate) fn handle_activated(&mut self, config: QuorumVerifier, leader: ServerId, now: Mono) {
        let version = config.version();
        self.config = config;
        if let Some(held) = self.held.take_if(|held| held.zxid.0 == version) {
            let data = encode_informed(leader, &held.payload);
            let packet = QuorumPacket::with_data(PacketType::InformAndActivate, held.zxid, data);
            self.send_to_all(&packet);
            self.synchronize_waiting(now);
        }
    }

    /// The log was read for an observer, as [`Output::ReadLog`] asked; `None` if it cannot
    /// serve it.
    pub(crate) fn handle_log_read(
        &mut self,
        learner: LearnerId,
        log: Option<Vec<Proposal>>,
        now: Mono,
    ) {
        self.inform_held(now);
        let stage = self.observers.get(&learner).map(|observer| observer.stage);
        if let Some(Stage::ReadingLog { last_zxid }) = stage {
            let disk = log.map_or(DiskLog::Unavailable, DiskLog::Read);
            self.decide_sync(learner, last_zxid, disk, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Mono {
        self.half_tick
    }

    /// Time has passed. Harmless when nothing is due.
    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        if self.half_tick > now {
            return;
        }
        self.half_tick = now + half_tick(&self.options);
        let overdue = self.observers.iter().filter(|(_, o)| o.deadline <= now);
        for observer in overdue.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.drop_observer(observer, LearnerLoss::Silent);
        }
        self.send_to_all(&QuorumPacket::bare(PacketType::Ping, self.last_processed));
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Observers that have said who they are, and whether they have what we have. For
    /// operators.
    pub(crate) fn observers(&self) -> impl Iterator<Item = (LearnerId, ServerId, bool)> {
        let observers = self.observers.iter();
        observers.filter_map(|(id, o)| Some((*id, o.server?, o.is_synced())))
    }
}

/// Between observers and the leader.
impl ObserverMaster {
    /// A client of our own's `sync` goes to the leader.
    pub(crate) fn note_sync(&mut self) {
        self.asked.sync(Asker::Own);
    }

    /// A client of our own's session is asked for.
    pub(crate) fn note_revalidation(&mut self, session: SessionId) {
        self.asked.revalidation(Asker::Own, session);
    }

    /// The oldest `sync` is done. Whose it was: an observer has been told.
    pub(crate) fn handle_synced(&mut self, now: Mono) -> Asker {
        self.inform_held(now);
        let asker = self.asked.synced();
        if let Asker::Observer(to) = asker
            && self.observers.contains_key(&to)
        {
            self.send(to, QuorumPacket::bare(PacketType::Sync, Zxid(0)));
        }
        asker
    }

    /// The leader has answered for a session. Who had asked: an observer has been told.
    pub(crate) fn handle_revalidated(&mut self, answer: Revalidated) -> Asker {
        let asker = self.asked.revalidated(answer.session);
        if let Asker::Observer(to) = asker
            && self.observers.contains_key(&to)
        {
            self.send(to, answer.packet());
        }
        asker
    }

    fn handle_request(&mut self, from: LearnerId, request: ForwardedRequest) {
        if request.op == OpCode::Sync as i32 {
            if self.asked.len() >= MAX_OUTSTANDING {
                return self.drop_observer(from, LearnerLoss::Throttled);
            }
            self.asked.sync(Asker::Observer(from));
        }
        self.outputs.push_back(Output::Forward(request));
    }

    fn handle_revalidate(&mut self, from: LearnerId, question: Revalidate) {
        if self.asked.len() >= MAX_OUTSTANDING {
            return self.drop_observer(from, LearnerLoss::Throttled);
        }
        self.asked
            .revalidation(Asker::Observer(from), question.session);
        self.outputs.push_back(Output::Revalidate(question));
    }
}

/// From the first packet to the steady state.
impl ObserverMaster {
    fn handle_info(&mut self, from: LearnerId, config_version: i64) {
        if config_version > self.config.version() {
            return self.drop_observer(from, LearnerLoss::NewerConfig(config_version));
        }
        let Some(handler) = self.observers.get_mut(&from) else {
            return;
        };
        handler.stage = Stage::AwaitingEpochAck;
        let server = handler.server;
        // A server has one connection: who comes anew has lost the one before.
        let older = self.observers.iter();
        let older =
            older.filter(|(id, o)| **id != from && o.server.is_some() && o.server == server);
        for learner in older.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.drop_observer(learner, LearnerLoss::Replaced);
        }
        let version = encode_epoch(LEARNER_PROTOCOL_VERSION);
        let zxid = first_zxid(self.options.epoch);
        self.send(
            from,
            QuorumPacket::with_data(PacketType::LeaderInfo, zxid, version),
        );
    }

    fn handle_epoch_ack(
        &mut self,
        from: LearnerId,
        current_epoch: Option<i64>,
        last_zxid: Zxid,
        now: Mono,
    ) {
        let epoch = self.options.epoch;
        if last_zxid.epoch() > epoch {
            let loss = LearnerLoss::Ahead {
                current_epoch: current_epoch.unwrap_or(epoch),
                last_zxid,
            };
            return self.drop_observer(from, loss);
        }
        if let Some(handler) = self.observers.get_mut(&from) {
            handler.stage = Stage::AwaitingSync { last_zxid };
        }
        self.synchronize(from, last_zxid, now);
    }

    /// Who was ahead of us may be so no longer.
    fn synchronize_waiting(&mut self, now: Mono) {
        let waiting = self.observers.iter();
        let waiting = waiting.filter_map(|(id, observer)| match observer.stage {
            Stage::AwaitingSync { last_zxid } => Some((*id, last_zxid)),
            _ => None,
        });
        for (observer, last_zxid) in waiting.collect::<Vec<_>>() {
            self.synchronize(observer, last_zxid, now);
        }
    }

    fn synchronize(&mut self, to: LearnerId, last_zxid: Zxid, now: Mono) {
        if last_zxid > self.last_processed {
            self.options
                .probe
                .reached("zab: observer is ahead of its master");
            return;
        }
        self.decide_sync(to, last_zxid, DiskLog::NotRead, now);
    }

    fn decide_sync(&mut self, to: LearnerId, last_zxid: Zxid, disk: DiskLog, now: Mono) {
        let decision = decide(&SyncState {
            peer_last: last_zxid,
            last_processed: self.last_processed,
            committed: &self.committed,
            disk,
        });
        match decision {
            SyncDecision::Send(plan) => self.send_plan(to, plan, now),
            SyncDecision::ReadLog { from, through } => {
                if let Some(handler) = self.observers.get_mut(&to) {
                    handler.stage = Stage::ReadingLog { last_zxid };
                    handler.deadline = now + self.options.timing.init_time();
                    self.outputs.push_back(Output::ReadLog {
                        learner: to,
                        from,
                        through,
                    });
                }
            }
        }
    }

    /// As [`Leader::handle_snapshot_progressed`](super::Leader::handle_snapshot_progressed).
    pub(crate) fn handle_snapshot_progressed(&mut self, to: LearnerId, now: Mono) {
        if let Some(handler) = self.observers.get_mut(&to)
            && matches!(handler.stage, Stage::Syncing { is_snap: true })
        {
            handler.deadline = now + self.options.timing.init_time();
        }
    }

    /// Sends what was decided, and NEWLEADER behind it. From here on the observer is told
    /// whatever happens, so that nothing is missed in between.
    fn send_plan(&mut self, to: LearnerId, plan: SyncPlan, now: Mono) {
        let is_snap = plan.op == SyncOp::Snap;
        if self.is_throttled(is_snap) {
            return self.drop_observer(to, LearnerLoss::Throttled);
        }
        let Some(handler) = self.observers.get_mut(&to) else {
            return;
        };
        handler.stage = Stage::Syncing { is_snap };
        handler.deadline = now + self.options.timing.init_time();
        tracing::info!(server = ?handler.server, op = ?plan.op, txns = plan.proposals.len(), "synchronising an observer");
        self.options
            .probe
            .reached("zab: observer master synchronised an observer");
        match plan.op {
            SyncOp::Diff(zxid) => self.send(to, QuorumPacket::bare(PacketType::Diff, zxid)),
            SyncOp::Trunc(zxid) => self.send(to, QuorumPacket::bare(PacketType::Trunc, zxid)),
            SyncOp::Snap => self.outputs.push_back(Output::SendSnapshot {
                to,
                zxid: self.last_processed,
            }),
        }
        for Proposal { zxid, payload } in plan.proposals {
            self.send(
                to,
                QuorumPacket::with_data(PacketType::Proposal, zxid, payload),
            );
            self.send(to, QuorumPacket::bare(PacketType::Commit, zxid));
        }
        // What is proposed and not committed is no business of theirs, the next
        // configuration neither.
        let (zxid, config) = (first_zxid(self.options.epoch), self.config.to_text());
        self.send(
            to,
            QuorumPacket::with_data(PacketType::NewLeader, zxid, config),
        );
    }

    fn is_throttled(&self, is_snap: bool) -> bool {
        let limit = if is_snap {
            self.options.max_concurrent_snap_syncs
        } else {
            self.options.max_concurrent_diff_syncs
        };
        let syncing = Stage::Syncing { is_snap };
        let busy = self.observers.values();
        busy.filter(|observer| observer.stage == syncing).count() >= limit
    }

    fn handle_new_leader_ack(&mut self, from: LearnerId, now: Mono) {
        if let Some(handler) = self.observers.get_mut(&from) {
            handler.deadline = now + self.options.timing.sync_time();
            handler.stage = Stage::Serving;
            self.send(from, QuorumPacket::bare(PacketType::UpToDate, Zxid(-1)));
        }
    }

    /// Nothing more is to be told of what is held.
    fn inform_held(&mut self, now: Mono) {
        if let Some(Proposal { zxid, payload }) = self.held.take() {
            self.send_to_all(&QuorumPacket::with_data(PacketType::Inform, zxid, payload));
            self.synchronize_waiting(now);
        }
    }

    fn send_to_all(&mut self, packet: &QuorumPacket) {
        for (id, observer) in &self.observers {
            if observer.is_forwarding() {
                self.outputs.push_back(Output::Send {
                    to: *id,
                    packet: packet.clone(),
                });
            }
        }
    }

    fn send(&mut self, to: LearnerId, packet: QuorumPacket) {
        self.outputs.push_back(Output::Send { to, packet });
    }

    fn drop_observer(&mut self, learner: LearnerId, loss: LearnerLoss) {
        if self.observers.remove(&learner).is_some() {
            self.outputs.push_back(Output::Close { learner, loss });
        }
    }
}

fn half_tick(options: &ObserverMasterOptions) -> Duration {
    (options.timing.tick_time / 2).max(Duration::from_nanos(1))
}
