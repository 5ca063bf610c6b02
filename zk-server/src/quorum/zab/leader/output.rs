//! What a leader asks for, and why things end.

use thiserror::Error;
use zk_proto::Zxid;

use crate::quorum::ServerId;
use crate::quorum::packet::{ForwardedRequest, QuorumPacket, Revalidate, Touch};
use crate::quorum::zab::learner_handler::{HandlerError, LearnerId};
use crate::quorum::zab::{EpochFile, Proposal};

/// What to do, in this order. The module says what the disk has to promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send a packet. What is queued for a learner is bounded by the driver, which closes
    /// a connection that does not keep up and says so by `handle_learner_lost`.
    Send {
        /// To whom.
        to: LearnerId,
        /// What.
        packet: QuorumPacket,
    },
    /// Send a SNAP packet with this zxid, the tree as it is now (and as later commits
    /// leave it, if that is cheaper: they are sent as well), and the signature.
    SendSnapshot {
        /// To whom.
        to: LearnerId,
        /// The last transaction that is certainly in it.
        zxid: Zxid,
    },
    /// Read the log for a learner and tell by `handle_log_read`. What it holds from the
    /// newest transaction that is not newer than `from`, to `through`; nothing, if it
    /// does not reach back so far or if sending it would cost more than a snapshot.
    ReadLog {
        /// For whom.
        learner: LearnerId,
        /// The learner's last transaction.
        from: Zxid,
        /// The newest that is of use.
        through: Zxid,
    },
    /// Close a connection; nothing more will be said on it.
    Close {
        /// Whose.
        learner: LearnerId,
        /// Why.
        loss: LearnerLoss,
    },
    /// Write an epoch file, durably, and tell by `handle_epoch_persisted`.
    PersistEpoch {
        /// Which.
        file: EpochFile,
        /// What it says from then on.
        epoch: i64,
    },
    /// Append to the log and see that it is synced soon, together with what else waits;
    /// then tell by `handle_appended`.
    Append(Proposal),
    /// Apply a transaction, now.
    Commit(Proposal),
    /// The text of a configuration that is the last seen from now on, durably before
    /// anything that follows is.
    ConfigProposed(String),
    /// The last seen configuration, which this is the text of, is in force. If it came
    /// by a transaction, that was committed just before.
    Activate {
        /// Its text.
        config: String,
        /// Who leads from now on; if that is somebody else, this role ends soon.
        leader: ServerId,
    },
    /// The epoch is established: `lastProcessedZxid` becomes its first zxid, clients and
    /// their requests are welcome.
    Established {
        /// Which.
        epoch: i64,
    },
    /// A client of a learner asks for something. Prepare it and `propose`.
    Request {
        /// By whom it came; the owner of the session.
        from: LearnerId,
        /// What.
        request: ForwardedRequest,
    },
    /// Sessions of a learner's clients have shown life.
    Touched {
        /// Whose.
        from: LearnerId,
        /// Which.
        sessions: Vec<Touch>,
    },
    /// A client presents a session to a learner: answer by `revalidated`, and if it lives
    /// it belongs to that learner from now on.
    Revalidate {
        /// Who asks.
        from: LearnerId,
        /// Which session.
        session: Revalidate,
    },
    /// This peer leads no longer. It is the last output.
    ShutDown(LeaderShutdown),
}

/// Why a peer leads no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum LeaderShutdown {
    /// `initLimit` has passed without a quorum for the epoch or its history.
    #[error("no quorum has followed within initLimit")]
    NotFollowed,
    /// Too few learners have been heard from within `syncLimit`.
    #[error("a quorum of followers is gone")]
    LostQuorum,
    /// The zxids of the epoch are used up.
    #[error("the zxids of the epoch are used up")]
    ZxidRolledOver,
    /// A voter cannot follow into this epoch.
    #[error("a voter has accepted epoch {epoch}, which is later than ours")]
    LaterEpochAccepted {
        /// What it has accepted, and we as well, before the role is over.
        epoch: i64,
    },
    /// A reconfiguration has chosen another leader.
    #[error("server {leader} leads by the new configuration")]
    Reconfigured {
        /// Whom to follow, without an election.
        leader: ServerId,
    },
    /// There is no epoch after the one before.
    #[error("the epochs are used up")]
    EpochsUsedUp,
}

/// Why a learner was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LearnerLoss {
    /// What it said.
    #[error(transparent)]
    Handler(#[from] HandlerError),
    /// Nothing was heard from it for too long.
    #[error("nothing heard in time")]
    Silent,
    /// It has not acknowledged a proposal within `syncLimit`.
    #[error("a proposal has not been acknowledged in time")]
    Behind,
    /// It has what a quorum may have decided on, and we have not.
    #[error("the follower is ahead: epoch {current_epoch}, zxid {last_zxid}")]
    Ahead {
        /// The learner's current epoch.
        current_epoch: i64,
        /// The end of its log.
        last_zxid: Zxid,
    },
    /// Its configuration is newer than ours.
    #[error("its configuration is of version {0:#x}, newer than ours")]
    NewerConfig(i64),
    /// We are about to lead no longer.
    #[error("server {0} leads by the new configuration")]
    Reconfigured(ServerId),
    /// It has connected anew.
    #[error("replaced by a newer connection")]
    Replaced,
    /// Enough observers are being synchronised, or too many connections there are.
    #[error("too many at a time")]
    Throttled,
}

/// Why nothing was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ProposeError {
    /// The epoch is not established, or over.
    #[error("not the established leader")]
    NotEstablished,
    /// Too many proposals are undecided. Whoever prepares requests stops before.
    #[error("{limit} proposals are undecided")]
    Full {
        /// The bound.
        limit: usize,
    },
    /// `reconfigEnabled` is off.
    #[error("reconfigurations are disabled")]
    ReconfigDisabled,
    /// One at a time.
    #[error("the reconfiguration to version {version:#x} is in progress")]
    ReconfigInProgress {
        /// Of the one that was proposed.
        version: i64,
    },
    /// The next configuration could not decide on anything.
    #[error("no quorum of the next configuration is connected and in step")]
    NewConfigNoQuorum,
    /// The zxids are used up; the leader has shut down.
    #[error("the zxids of the epoch are used up")]
    RolledOver,
}
