//! Leading: one epoch, from the vote to whatever ends it.

mod broadcast;
mod discovery;
mod output;
mod reconfig;
mod synchronization;

pub(crate) use output::{LeaderShutdown, LearnerLoss, Output, ProposeError};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use zk_env::{Mono, Probe};
use zk_proto::Zxid;

use super::committed_log::CommittedLog;
use super::config::Config;
use super::learner_handler::{Heard, LearnerHandler, LearnerId, Stage};
use super::outstanding::Outstanding;
use super::{EpochFile, History, ZabTiming};
use crate::quorum::packet::QuorumPacket;
use crate::quorum::{LearnerType, ServerId};

/// Connections that have not said who they are, beyond the members there are. Strangers
/// fill no more than this.
const MAX_LEARNERS: usize = 4096;

/// What does not change while a peer leads.
#[derive(Clone, Debug)]
pub(crate) struct LeaderOptions {
    /// This peer.
    pub(crate) id: ServerId,
    /// How long to wait for others.
    pub(crate) timing: ZabTiming,
    /// Whether learners may be served from the log on disk; not with a negative
    /// `snapshotSizeFactor`.
    pub(crate) reads_log: bool,
    /// Every learner gets a snapshot; `forceSnapshotSync`, for tests.
    pub(crate) force_snapshot_sync: bool,
    /// Snapshots sent at a time. Only observers are turned away;
    /// `leader.maxConcurrentSnapSyncs`.
    pub(crate) max_concurrent_snap_syncs: usize,
    /// Likewise for DIFF and TRUNC; `leader.maxConcurrentDiffSyncs`.
    pub(crate) max_concurrent_diff_syncs: usize,
    /// `reconfigEnabled`: the configuration may change.
    pub(crate) reconfig_enabled: bool,
    /// Which bugs a simulator has planted.
    pub(crate) probe: Probe,
}

impl LeaderOptions {
    /// Apache's defaults.
    pub(crate) fn new(id: ServerId, timing: ZabTiming) -> Self {
        Self {
            id,
            timing,
            reads_log: true,
            force_snapshot_sync: false,
            max_concurrent_snap_syncs: 10,
            max_concurrent_diff_syncs: 100,
            reconfig_enabled: false,
            probe: Probe::default(),
        }
    }
}

/// Where a leader stands.
#[derive(Debug)]
enum Phase {
    /// Until a quorum has told which epochs it has accepted.
    Discovery {
        heard: BTreeSet<ServerId>,
        /// The first that nobody heard of has accepted.
        epoch: i64,
    },
    /// The epoch is chosen and on its way to our `acceptedEpoch`.
    AcceptingEpoch { epoch: i64 },
    /// Until a quorum has accepted it.
    AwaitingEpochAcks {
        epoch: i64,
        acks: BTreeSet<ServerId>,
    },
    /// It is on its way to our `currentEpoch`.
    EnteringEpoch { epoch: i64 },
    /// Until a quorum has our history.
    Synchronization {
        epoch: i64,
        acks: BTreeSet<ServerId>,
    },
    /// Until the end.
    Broadcast { epoch: i64 },
    /// The configuration has another leader: until those who are told have gone to it.
    Retiring {
        epoch: i64,
        leader: ServerId,
        /// From the first half tick on, when it is over in any case.
        until: Option<Mono>,
        /// Who has gone; ourselves from the beginning.
        gone: BTreeSet<ServerId>,
    },
    /// Shut down; whatever comes is ignored.
    Ended,
}

/// A leader. Driven as the module says.
#[derive(Debug)]
pub(crate) struct Leader {
    options: LeaderOptions,
    config: Config,
    /// What we were elected for.
    history: History,
    phase: Phase,
    learners: BTreeMap<LearnerId, LearnerHandler>,
    outstanding: Outstanding,
    committed: CommittedLog,
    /// The last transaction applied, or the first zxid of the epoch.
    last_processed: Zxid,
    /// Learners' `sync`s and the proposal each waits for, as many as there may be
    /// proposals; a learner that has more is dropped.
    syncs: VecDeque<(Zxid, LearnerId)>,
    timers: Timers,
    /// Bounded by what one input causes, since outputs are drained after each.
    outputs: VecDeque<Output>,
}

/// When something is due.
#[derive(Debug)]
struct Timers {
    /// The end of `initLimit`, until the epoch is established.
    init: Option<Mono>,
    /// Pings go out and deadlines are looked at; twice a tick.
    half_tick: Mono,
    /// The quorum is counted at every second of them.
    is_full_tick: bool,
}

impl Leader {
    /// A peer that was elected, with what it has on disk and the newest of it that is
    /// certainly contiguous: `committed` ends with `history.last_zxid` or is empty.
    pub(crate) fn new(
        options: LeaderOptions,
        config: Config,
        history: History,
        committed: CommittedLog,
        now: Mono,
    ) -> Self {
        let half_tick = options.timing.tick_time / 2;
        let mut leader = Self {
            phase: Phase::Discovery {
                heard: BTreeSet::from([options.id]),
                epoch: history.accepted_epoch + 1,
            },
            timers: Timers {
                init: Some(now + options.timing.init_time()),
                half_tick: now + half_tick,
                is_full_tick: false,
            },
            last_processed: history.last_zxid,
            outstanding: Outstanding::new(history.last_zxid),
            learners: BTreeMap::new(),
            syncs: VecDeque::new(),
            outputs: VecDeque::new(),
            options,
            config,
            history,
            committed,
        };
        leader.choose_epoch();
        leader
    }

    /// A learner has connected.
    pub(crate) fn handle_learner_connected(&mut self, learner: LearnerId, now: Mono) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if self.learners.len() >= MAX_LEARNERS {
            let loss = LearnerLoss::Throttled;
            self.outputs.push_back(Output::Close { learner, loss });
            return;
        }
        let deadline = now + self.options.timing.init_time();
        self.learners.insert(learner, LearnerHandler::new(deadline));
    }

    /// A connection is gone. One that was closed by us may be told of too.
    pub(crate) fn handle_learner_lost(&mut self, learner: LearnerId) {
        self.forget(learner);
    }

    /// A learner has sent a packet.
    pub(crate) fn handle_packet(&mut self, learner: LearnerId, packet: QuorumPacket, now: Mono) {
        let epoch = self.epoch();
        let Some(handler) = self.learners.get_mut(&learner) else {
            return;
        };
        match handler.hear(packet, epoch) {
            Ok(heard) => {
                handler.deadline = now
                    + if handler.stage == Stage::Serving {
                        self.options.timing.sync_time()
                    } else {
                        self.options.timing.init_time()
                    };
                self.handle_heard(learner, heard, now);
            }
            Err(error) => self.drop_learner(learner, error.into()),
        }
    }

    fn handle_heard(&mut self, from: LearnerId, heard: Heard, now: Mono) {
        match heard {
            Heard::Info {
                accepted_epoch,
                config_version,
            } => self.handle_info(from, accepted_epoch, config_version, now),
            Heard::EpochAck {
                current_epoch,
                last_zxid,
            } => self.handle_epoch_ack(from, current_epoch, last_zxid, now),
            Heard::NewLeaderAck => self.handle_new_leader_ack(from, now),
            Heard::Ack(zxid) => self.handle_ack(from, zxid),
            Heard::Touched(sessions) => self.outputs.push_back(Output::Touched { from, sessions }),
            Heard::Revalidate(session) => {
                self.outputs.push_back(Output::Revalidate { from, session });
            }
            Heard::Request(request) => self.handle_request(from, request),
            Heard::Ignored => {}
        }
    }

    /// An epoch file is durable.
    pub(crate) fn handle_epoch_persisted(&mut self, file: EpochFile, now: Mono) {
        match (file, &self.phase) {
            (EpochFile::Accepted, Phase::AcceptingEpoch { epoch }) => {
                let epoch = *epoch;
                self.announce_epoch(epoch, now);
            }
            (EpochFile::Current, Phase::EnteringEpoch { epoch }) => {
                let epoch = *epoch;
                self.enter_synchronization(epoch, now);
            }
            // The leader shut down in the meantime.
            _ => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never, once it has ended.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        if matches!(self.phase, Phase::Ended) {
            return None;
        }
        let half_tick = self.timers.half_tick;
        Some(
            self.timers
                .init
                .map_or(half_tick, |init| init.min(half_tick)),
        )
    }

    /// Time has passed. Harmless when nothing is due.
    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        if self.timers.init.is_some_and(|init| init <= now) {
            self.shut_down(LeaderShutdown::NotFollowed);
        }
        if matches!(self.phase, Phase::Ended) || self.timers.half_tick > now {
            return;
        }
        // A late tick does not make the next one earlier: all deadlines are times.
        self.timers.half_tick =
            now + (self.options.timing.tick_time / 2).max(Duration::from_nanos(1));
        self.timers.is_full_tick = !self.timers.is_full_tick;
        self.drop_overdue(now);
        self.check_retirement(now);
        if !self.timers.is_full_tick {
            self.check_quorum();
        }
        self.ping();
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The epoch that learners may be told; `None` before it is chosen and accepted here.
    pub(crate) fn epoch(&self) -> Option<i64> {
        match &self.phase {
            Phase::Discovery { .. } | Phase::AcceptingEpoch { .. } | Phase::Ended => None,
            Phase::AwaitingEpochAcks { epoch, .. }
            | Phase::EnteringEpoch { epoch }
            | Phase::Synchronization { epoch, .. }
            | Phase::Broadcast { epoch }
            | Phase::Retiring { epoch, .. } => Some(*epoch),
        }
    }

    /// The epoch whose history is being agreed on or is established.
    pub(crate) fn synchronizing_epoch(&self) -> Option<i64> {
        match &self.phase {
            Phase::Synchronization { epoch, .. } | Phase::Broadcast { epoch } => Some(*epoch),
            Phase::Discovery { .. }
            | Phase::AcceptingEpoch { .. }
            | Phase::AwaitingEpochAcks { .. }
            | Phase::EnteringEpoch { .. }
            | Phase::Retiring { .. }
            | Phase::Ended => None,
        }
    }

    /// Whether transactions can be proposed.
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Broadcast { .. })
    }

    /// Whether the role is over, which an output has said or will say.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Learners that have said who they are: what they are, and whether they have our
    /// history. For operators.
    pub(crate) fn learners(
        &self,
    ) -> impl Iterator<Item = (LearnerId, ServerId, LearnerType, bool)> {
        let learners = self.learners.iter();
        learners.filter_map(|(id, l)| Some((*id, l.server?, l.learner_type, l.is_synced())))
    }

    /// `sync`s of learners that wait for a proposal. For operators.
    pub(crate) fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    fn send(&mut self, to: LearnerId, packet: QuorumPacket) {
        self.outputs.push_back(Output::Send { to, packet });
    }

    /// Closes a connection and forgets it. What it has acknowledged stays acknowledged:
    /// it is on its disk.
    fn drop_learner(&mut self, learner: LearnerId, loss: LearnerLoss) {
        if self.learners.contains_key(&learner) {
            self.outputs.push_back(Output::Close { learner, loss });
            self.forget(learner);
        }
    }

    fn forget(&mut self, learner: LearnerId) {
        self.syncs.retain(|(_, waiting)| *waiting != learner);
        if let Some(handler) = self.learners.remove(&learner) {
            self.note_gone(handler.server);
        }
    }

    fn shut_down(&mut self, reason: LeaderShutdown) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if reason == LeaderShutdown::LostQuorum {
            self.options.probe.reached("zab: leader lost its quorum");
        }
        self.phase = Phase::Ended;
        self.learners.clear();
        self.syncs.clear();
        self.outputs.push_back(Output::ShutDown(reason));
    }

    /// As if that many transactions of the epoch had been committed.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, counter: u32) {
        self.outstanding.skip_to(counter);
    }
}
