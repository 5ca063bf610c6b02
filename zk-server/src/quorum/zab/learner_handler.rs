//! One learner, as its leader sees it.

use thiserror::Error;
use zk_env::Mono;
use zk_proto::Zxid;

use super::first_zxid;
use super::outstanding::ProposalAge;
use crate::quorum::packet::{
    ForwardedRequest, LEARNER_PROTOCOL_VERSION, LearnerInfo, PacketType, PayloadError,
    QuorumPacket, Revalidate, Touch, decode_current_epoch, decode_touch_table,
};
use crate::quorum::{LearnerType, ServerId};

/// A connection from a learner, as the driver numbers them. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LearnerId(pub(crate) u64);

/// How far a learner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has connected and not said who it is.
    AwaitingInfo,
    /// There is no epoch yet that could be told it.
    AwaitingEpoch,
    /// LEADERINFO was sent.
    AwaitingEpochAck,
    /// It has acknowledged the epoch; synchronisation has not begun.
    AwaitingSync {
        /// The last transaction in its log.
        last_zxid: Zxid,
    },
    /// What it lacks is being read from the log.
    ReadingLog {
        /// The last transaction in its log.
        last_zxid: Zxid,
    },
    /// NEWLEADER was sent, and whatever has happened since.
    Syncing {
        /// It gets a snapshot.
        is_snap: bool,
    },
    /// It has the history of the epoch.
    Synced,
    /// UPTODATE was sent.
    Serving,
}

/// What a packet of a learner means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Who it is, and the epoch it has accepted.
    Info {
        accepted_epoch: i64,
        config_version: i64,
    },
    /// It accepts the epoch. Without a current epoch it had done so before, and that
    /// does not count once more.
    EpochAck {
        current_epoch: Option<i64>,
        last_zxid: Zxid,
    },
    /// It has the history of the epoch, durably.
    NewLeaderAck,
    /// It has a transaction, durably.
    Ack(Zxid),
    /// Sessions that have shown life.
    Touched(Vec<Touch>),
    /// It asks for a session.
    Revalidate(Revalidate),
    /// It hands on a request.
    Request(ForwardedRequest),
    /// Nothing.
    Ignored,
}

/// Why a learner cannot be spoken with any longer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum HandlerError {
    /// It is not its turn to say this.
    #[error("unexpected {packet:?} with zxid {zxid}")]
    Unexpected {
        /// What came.
        packet: PacketType,
        /// Its zxid.
        zxid: Zxid,
    },
    /// What came is not what it claims to be.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A server from before 3.4.
    #[error("learner protocol {0:#x} is not supported")]
    ProtocolVersion(i32),
}

/// One learner's part of a [`Leader`](super::Leader), Apache's `LearnerHandler`.
#[derive(Debug)]
pub(super) struct LearnerHandler {
    /// Known once it has introduced itself.
    pub(super) server: Option<ServerId>,
    pub(super) learner_type: LearnerType,
    pub(super) stage: Stage,
    /// When it counts as gone, unless something is heard from it.
    pub(super) deadline: Mono,
    pub(super) age: ProposalAge,
}

impl LearnerHandler {
    pub(super) fn new(deadline: Mono) -> Self {
        Self {
            server: None,
            learner_type: LearnerType::Participant,
            stage: Stage::AwaitingInfo,
            deadline,
            age: ProposalAge::default(),
        }
    }

    /// Whether what happens is told it as it happens.
    pub(super) fn is_forwarding(&self) -> bool {
        match self.stage {
            Stage::Syncing { .. } | Stage::Synced | Stage::Serving => true,
            Stage::AwaitingInfo
            | Stage::AwaitingEpoch
            | Stage::AwaitingEpochAck
            | Stage::AwaitingSync { .. }
            | Stage::ReadingLog { .. } => false,
        }
    }

    /// Whether it has the history of the epoch.
    pub(super) fn is_synced(&self) -> bool {
        matches!(self.stage, Stage::Synced | Stage::Serving)
    }

    pub(super) fn is_observer(&self) -> bool {
        self.learner_type == LearnerType::Observer
    }

    /// What a packet means at this stage. `epoch` is the leader's, once it has one.
    pub(super) fn hear(
        &mut self,
        packet: QuorumPacket,
        epoch: Option<i64>,
    ) -> Result<Heard, HandlerError> {
        let unexpected = HandlerError::Unexpected {
            packet: packet.packet_type,
            zxid: packet.zxid,
        };
        match self.stage {
            Stage::AwaitingInfo => self.hear_info(&packet, unexpected),
            Stage::AwaitingEpochAck if packet.packet_type == PacketType::AckEpoch => {
                let current = decode_current_epoch(&packet.bytes())?;
                Ok(Heard::EpochAck {
                    current_epoch: (current != -1).then_some(i64::from(current)),
                    last_zxid: packet.zxid,
                })
            }
            // Whatever overtakes this ack would be taken for it (ZOOKEEPER-4685).
            Stage::Syncing { .. }
                if packet.packet_type == PacketType::Ack
                    && epoch.map(first_zxid) == Some(packet.zxid) =>
            {
                Ok(Heard::NewLeaderAck)
            }
            Stage::Synced | Stage::Serving => hear_synced(packet),
            Stage::AwaitingEpoch
            | Stage::AwaitingEpochAck
            | Stage::AwaitingSync { .. }
            | Stage::ReadingLog { .. }
            | Stage::Syncing { .. } => Err(unexpected),
        }
    }

    fn hear_info(
        &mut self,
        packet: &QuorumPacket,
        unexpected: HandlerError,
    ) -> Result<Heard, HandlerError> {
        self.learner_type = match packet.packet_type {
            PacketType::FollowerInfo => LearnerType::Participant,
            PacketType::ObserverInfo => LearnerType::Observer,
            _ => return Err(unexpected),
        };
        let info = LearnerInfo::decode(&packet.bytes());
        if info.protocol_version < LEARNER_PROTOCOL_VERSION {
            return Err(HandlerError::ProtocolVersion(info.protocol_version));
        }
        self.server = info.server_id;
        Ok(Heard::Info {
            accepted_epoch: packet.zxid.epoch(),
            config_version: info.config_version,
        })
    }
}

fn hear_synced(packet: QuorumPacket) -> Result<Heard, HandlerError> {
    Ok(match packet.packet_type {
        // The acks of NEWLEADER and UPTODATE name the epoch and no transaction.
        PacketType::Ack if packet.zxid.counter() == 0 => Heard::Ignored,
        PacketType::Ack => Heard::Ack(packet.zxid),
        PacketType::Ping => Heard::Touched(decode_touch_table(&packet.bytes())?),
        PacketType::Revalidate => Heard::Revalidate(Revalidate::decode(&packet.bytes())?),
        PacketType::Request => Heard::Request(ForwardedRequest::decode(packet)?),
        other => {
            tracing::warn!(?other, "a packet that a synced learner does not send");
            Heard::Ignored
        }
    })
}
