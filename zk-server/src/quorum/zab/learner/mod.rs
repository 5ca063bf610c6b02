//! Following and observing: one connection to one leader, from FOLLOWERINFO to whatever
//! ends it.

mod output;
mod pending;
mod reconfig;
mod serving;
mod synchronization;

pub(crate) use output::{LearnerShutdown, Output, SnapshotOutcome, TruncateOutcome};

use std::collections::{BTreeMap, VecDeque};

use zk_env::{Mono, Probe};
use zk_proto::{SessionId, Zxid};

use self::pending::Pending;
use self::reconfig::Activation;
use super::config::Config;
use super::{EpochFile, History, ZabTiming, first_zxid};
use crate::quorum::packet::{
    ForwardedRequest, LEARNER_PROTOCOL_VERSION, LearnerInfo, PacketType, QuorumPacket, encode_epoch,
};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

/// How much of the history may wait in memory for NEWLEADER, or on its way to the disk,
/// before it is written at once or the leader read no further.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// What does not change while a peer learns.
#[derive(Clone, Debug)]
pub(crate) struct LearnerOptions {
    /// This peer.
    pub(crate) id: ServerId,
    /// A follower or an observer.
    pub(crate) learner_type: LearnerType,
    /// How long to wait for the leader.
    pub(crate) timing: ZabTiming,
    /// The version of the configuration in force here.
    pub(crate) config_version: i64,
    /// What it takes to see the configuration change; nothing, if `reconfigEnabled` is
    /// off, and then it does not.
    pub(crate) reconfig: Option<LearnerReconfig>,
    /// The role before this one ended with [`LearnerShutdown::CannotTruncate`]: a leader
    /// of the same epoch is asked for a snapshot.
    pub(crate) wants_snapshot: bool,
    /// Which bugs a simulator has planted.
    pub(crate) probe: Probe,
}

impl LearnerOptions {
    /// A peer that has nothing special about it.
    pub(crate) fn new(id: ServerId, learner_type: LearnerType, timing: ZabTiming) -> Self {
        Self {
            id,
            learner_type,
            timing,
            config_version: 0,
            reconfig: None,
            wants_snapshot: false,
            probe: Probe::default(),
        }
    }
}

/// What a learner knows that lives through reconfigurations.
#[derive(Clone, Debug)]
pub(crate) struct LearnerReconfig {
    /// The configurations it begins with.
    pub(crate) config: Config,
    /// Whom it follows.
    pub(crate) leader: ServerId,
}

/// Where a learner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no connection yet.
    Connecting,
    /// FOLLOWERINFO was sent.
    AwaitingLeaderInfo,
    /// The leader's epoch is on its way to our `acceptedEpoch`.
    AcceptingEpoch { epoch: i64 },
    /// ACKEPOCH was sent; DIFF, TRUNC or SNAP will come.
    AwaitingHistory { epoch: i64 },
    /// The log is being truncated, or a snapshot installed, to end with `zxid`.
    Replacing { epoch: i64, zxid: Zxid },
    /// Transactions come, until NEWLEADER.
    Synchronizing { epoch: i64 },
    /// They are on their way to the disk.
    LoggingHistory { epoch: i64 },
    /// All of the history is durable, the epoch on its way to our `currentEpoch`.
    EnteringEpoch { epoch: i64 },
    /// NEWLEADER was acknowledged.
    AwaitingUpToDate { epoch: i64 },
    /// Until the end.
    Serving { epoch: i64 },
    /// Shut down; whatever comes is ignored.
    Ended,
}

impl Stage {
    /// Whether something has to be durable before the leader is heard further. What it
    /// sends meanwhile waits in the connection.
    fn is_waiting_for_disk(self) -> bool {
        match self {
            Self::AcceptingEpoch { .. }
            | Self::Replacing { .. }
            | Self::LoggingHistory { .. }
            | Self::EnteringEpoch { .. } => true,
            Self::Connecting
            | Self::AwaitingLeaderInfo
            | Self::AwaitingHistory { .. }
            | Self::Synchronizing { .. }
            | Self::AwaitingUpToDate { .. }
            | Self::Serving { .. }
            | Self::Ended => false,
        }
    }

    /// Whether the history of the epoch is durable here, and so is the epoch.
    fn is_synced(self) -> bool {
        matches!(self, Self::AwaitingUpToDate { .. } | Self::Serving { .. })
    }
}

/// A follower or an observer. Driven as the module says, and by one rule more: no packet
/// is handed in while [`wants_packets`](Self::wants_packets) says no.
#[derive(Debug)]
pub(crate) struct Learner {
    options: LearnerOptions,
    history: History,
    stage: Stage,
    /// When the leader counts as gone; not while our own disk is what is waited for.
    deadline: Mono,
    pending: Pending,
    /// `sync`s that are done but for the transactions before them, which are on their way
    /// to the disk. Bounded by the packets in flight.
    syncs: VecDeque<Option<Zxid>>,
    /// Reconfigurations that take effect behind a transaction, likewise.
    activations: VecDeque<Activation>,
    /// What NEWLEADER has brought: in force with UPTODATE.
    new_leader_config: Option<QuorumVerifier>,
    /// Sessions that have shown life since the last ping, and their timeouts: at most
    /// every session there is.
    touched: BTreeMap<SessionId, i32>,
    /// Bounded by what one input causes, since outputs are drained after each.
    outputs: VecDeque<Output>,
}

impl Learner {
    /// A peer that knows whom to follow, and has this on disk.
    pub(crate) fn new(options: LearnerOptions, history: History, now: Mono) -> Self {
        Self {
            deadline: now + options.timing.init_time(),
            pending: Pending::new(history.last_zxid),
            stage: Stage::Connecting,
            syncs: VecDeque::new(),
            activations: VecDeque::new(),
            new_leader_config: None,
            touched: BTreeMap::new(),
            outputs: VecDeque::new(),
            options,
            history,
        }
    }

    /// There is a connection to the leader.
    pub(crate) fn handle_connected(&mut self, now: Mono) {
        if self.stage != Stage::Connecting {
            return;
        }
        self.enter(Stage::AwaitingLeaderInfo, now);
        let packet_type = match self.options.learner_type {
            LearnerType::Participant => PacketType::FollowerInfo,
            LearnerType::Observer => PacketType::ObserverInfo,
        };
        let info = LearnerInfo {
            server_id: Some(self.options.id),
            protocol_version: LEARNER_PROTOCOL_VERSION,
            config_version: self.options.config_version,
        };
        let zxid = first_zxid(self.history.accepted_epoch);
        self.send(QuorumPacket::with_data(packet_type, zxid, info.encode()));
    }

    /// The connection is gone.
    pub(crate) fn handle_disconnected(&mut self) {
        self.shut_down(LearnerShutdown::ConnectionLost);
    }

    /// Whether the next packet may be handed in. If not, what is on the connection stays
    /// there until something is durable; after a SNAP packet it is the snapshot.
    pub(crate) fn wants_packets(&self) -> bool {
        !self.stage.is_waiting_for_disk() && self.pending.undurable_bytes() < MAX_WAITING_BYTES
    }

    /// The leader has sent a packet.
    pub(crate) fn handle_packet(&mut self, packet: QuorumPacket, now: Mono) {
        debug_assert!(self.wants_packets(), "packets wait in the connection");
        self.deadline = now + self.patience();
        let heard = match self.stage {
            Stage::AwaitingLeaderInfo => self.hear_leader_info(&packet, now),
            Stage::AwaitingHistory { epoch } => self.hear_history(epoch, &packet, now),
            Stage::Synchronizing { epoch } => self.hear_synchronizing(epoch, packet, now),
            Stage::AwaitingUpToDate { epoch } => self.hear_up_to_date(epoch, packet, now),
            Stage::Serving { .. } => self.hear_serving(packet),
            Stage::Ended => Ok(()),
            Stage::Connecting
            | Stage::AcceptingEpoch { .. }
            | Stage::Replacing { .. }
            | Stage::LoggingHistory { .. }
            | Stage::EnteringEpoch { .. } => Err(unexpected(&packet)),
        };
        if let Err(reason) = heard {
            self.shut_down(reason);
        }
    }

    /// The leader has an epoch. What was accepted once binds for ever.
    fn hear_leader_info(
        &mut self,
        packet: &QuorumPacket,
        now: Mono,
    ) -> Result<(), LearnerShutdown> {
        if packet.packet_type != PacketType::LeaderInfo {
            return Err(unexpected(packet));
        }
        let (epoch, accepted) = (packet.zxid.epoch(), self.history.accepted_epoch);
        if !(0..=super::LAST_EPOCH).contains(&epoch) {
            return Err(LearnerShutdown::NoEpoch(epoch));
        }
        let follows_old = self
            .options
            .probe
            .has_planted("server: follows a leader of the past");
        if epoch < accepted && !follows_old {
            self.options
                .probe
                .reached("zab: learner refused an old epoch");
            return Err(LearnerShutdown::OldEpoch {
                leader: epoch,
                accepted,
            });
        }
        if epoch > accepted {
            self.enter(Stage::AcceptingEpoch { epoch }, now);
            self.persist(EpochFile::Accepted, epoch);
        } else {
            self.ack_epoch(epoch, None, now);
        }
        Ok(())
    }

    /// Without `current_epoch` the ack does not count: the epoch was accepted before,
    /// perhaps for another leader.
    fn ack_epoch(&mut self, epoch: i64, current_epoch: Option<i64>, now: Mono) {
        self.enter(Stage::AwaitingHistory { epoch }, now);
        // Whoever has nothing gets everything. An ack that counts has to be true.
        let last_zxid = if self.options.wants_snapshot && current_epoch.is_none() {
            Zxid::ZERO
        } else {
            self.history.last_zxid
        };
        let current = current_epoch.and_then(|epoch| i32::try_from(epoch).ok());
        let data = encode_epoch(current.unwrap_or(-1));
        self.send(QuorumPacket::with_data(
            PacketType::AckEpoch,
            last_zxid,
            data,
        ));
    }

    /// An epoch file is durable.
    pub(crate) fn handle_epoch_persisted(&mut self, file: EpochFile, now: Mono) {
        if file == EpochFile::Current {
            self.options.probe.reached("zab: learner wrote its epoch");
        }
        match (file, self.stage) {
            (EpochFile::Accepted, Stage::AcceptingEpoch { epoch }) => {
                self.history.accepted_epoch = epoch;
                self.ack_epoch(epoch, Some(self.history.current_epoch), now);
            }
            (EpochFile::Current, Stage::EnteringEpoch { epoch }) => self.ack_new_leader(epoch, now),
            // The role ended in the meantime.
            _ => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never while our own disk is
    /// what is waited for, and once it has ended.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let has_deadline = self.wants_packets() && self.stage != Stage::Ended;
        has_deadline.then_some(self.deadline)
    }

    /// Time has passed. Harmless when nothing is due.
    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.shut_down(LearnerShutdown::Silent);
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether clients may be served.
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// Hands on a client's request. One that does not come from an established learner is
    /// dropped, and so is its client, when the role ends.
    pub(crate) fn forward(&mut self, request: ForwardedRequest) {
        if self.is_established() {
            self.send(request.packet());
        }
    }

    fn enter(&mut self, stage: Stage, now: Mono) {
        self.note(stage);
        self.stage = stage;
        self.deadline = now + self.patience();
    }

    /// Lets a simulator see how far it has come.
    fn note(&self, stage: Stage) {
        self.options.probe.reached(match stage {
            Stage::Connecting | Stage::AwaitingLeaderInfo | Stage::Ended => return,
            Stage::AcceptingEpoch { .. } => "zab: learner accepts an epoch",
            Stage::AwaitingHistory { .. } => "zab: learner accepted an epoch",
            Stage::Replacing { .. } => "zab: learner replaces its history",
            Stage::Synchronizing { .. } => "zab: learner synchronises",
            Stage::LoggingHistory { .. } => "zab: learner logs the history",
            Stage::EnteringEpoch { .. } => "zab: learner has the history",
            Stage::AwaitingUpToDate { .. } => "zab: learner entered the epoch",
            Stage::Serving { .. } => "zab: learner serves",
        });
    }

    /// How long the leader may be silent.
    fn patience(&self) -> std::time::Duration {
        if self.stage.is_synced() {
            self.options.timing.sync_time()
        } else {
            self.options.timing.init_time()
        }
    }

    fn send(&mut self, packet: QuorumPacket) {
        self.outputs.push_back(Output::Send(packet));
    }

    fn persist(&mut self, file: EpochFile, epoch: i64) {
        self.outputs.push_back(Output::PersistEpoch { file, epoch });
    }

    fn shut_down(&mut self, reason: LearnerShutdown) {
        if self.stage != Stage::Ended {
            self.stage = Stage::Ended;
            self.outputs.push_back(Output::ShutDown(reason));
        }
    }
}

fn unexpected(packet: &QuorumPacket) -> LearnerShutdown {
    LearnerShutdown::Unexpected {
        packet: packet.packet_type,
        zxid: packet.zxid,
    }
}
