//! What a learner asks for, and why its role ends.

use thiserror::Error;
use zk_proto::Zxid;

use super::pending::OrderError;
use crate::error::ConfigError;
use crate::quorum::ServerId;
use crate::quorum::packet::{PacketType, PayloadError, QuorumPacket, Revalidated};
use crate::quorum::zab::{EpochFile, Proposal};

/// What to do, in this order. The module says what the disk has to promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send the leader a packet.
    Send(QuorumPacket),
    /// Write an epoch file, durably, and tell by `handle_epoch_persisted`.
    PersistEpoch {
        /// Which.
        file: EpochFile,
        /// What it says from then on.
        epoch: i64,
    },
    /// Forget every transaction after `zxid`, in the log and in the tree, durably: a
    /// record of exactly that zxid has to be the last, or a snapshot of it, or `zxid` is 0.
    /// Then tell by `handle_truncated`.
    Truncate {
        /// The last that stays.
        zxid: Zxid,
    },
    /// What comes on the connection is a snapshot and its signature. Read them, and
    /// replace log, snapshots and tree, durably; then tell by `handle_snapshot_installed`.
    InstallSnapshot {
        /// The last transaction that is certainly in it.
        zxid: Zxid,
    },
    /// Append to the log and see that it is synced soon, together with what else waits;
    /// then tell by `handle_appended`.
    Append(Proposal),
    /// Apply a transaction, now. Clients see it once the learner serves.
    Commit(Proposal),
    /// The text of a configuration that was proposed: it is the last seen from now on,
    /// durably before anything that follows is.
    ConfigProposed(String),
    /// The text of the leader's newest configuration: likewise, even if one was seen that
    /// is newer, for that has come to nothing.
    NewConfig(String),
    /// A configuration is in force. If it came by a transaction, that was committed just
    /// before. When the role or the leader changes with it, the role ends.
    Activate {
        /// Its text.
        config: String,
        /// Who leads from now on, if it can; nobody was named if it did not come by a
        /// transaction.
        leader: Option<ServerId>,
    },
    /// The history is the ensemble's: clients are welcome.
    Established {
        /// The epoch.
        epoch: i64,
    },
    /// The oldest `sync` that was forwarded is done.
    Synced,
    /// The answer to [`Learner::revalidate`].
    Revalidated(Revalidated),
    /// This role is over. It is the last output.
    ShutDown(LearnerShutdown),
}

/// Why a peer learns no longer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LearnerShutdown {
    /// The connection is gone.
    #[error("the connection to the leader was lost")]
    ConnectionLost,
    /// Nothing was heard for too long: `initLimit` until the history is agreed on,
    /// `syncLimit` from then on.
    #[error("the leader has been silent for too long")]
    Silent,
    /// The leader is one of the past.
    #[error("the leader's epoch {leader} is older than {accepted}, which was accepted")]
    OldEpoch {
        /// Its epoch.
        leader: i64,
        /// Ours.
        accepted: i64,
    },
    /// The leader's epoch is none.
    #[error("{0} is no epoch")]
    NoEpoch(i64),
    /// It is not the leader's turn to say this.
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
    /// Transactions do not follow one another.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A configuration that is none.
    #[error("the configuration with zxid {zxid}: {error}")]
    Config {
        /// Of its packet.
        zxid: Zxid,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// A configuration is to take effect that was not proposed.
    #[error("no configuration was proposed with zxid {0}")]
    NoSuchConfig(Zxid),
    /// The new configuration gives this server another role, or has another leader.
    #[error("the configuration has changed")]
    Reconfigured {
        /// Whom to follow, or to be, without an election; nobody, if one is needed.
        leader: Option<ServerId>,
    },
    /// The log has no transaction that ends at what the leader wants kept. Nothing was
    /// changed. Apache cuts behind the next one, and keeps what was never committed.
    #[error("the log cannot be truncated to {0}: no such transaction")]
    CannotTruncate(Zxid),
    /// The snapshot ended early or is none. Nothing was changed.
    #[error("the leader's snapshot cannot be used")]
    BadSnapshot,
}

/// How a truncation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TruncateOutcome {
    /// It is durable.
    Truncated,
    /// There is no such transaction, and nothing was changed.
    NoSuchTransaction,
}

/// How the installation of a snapshot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotOutcome {
    /// It is durable, and nothing of the old history is left.
    Installed,
    /// It could not be read to its end, and nothing was changed.
    Unusable,
}
