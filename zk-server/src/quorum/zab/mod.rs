//! ZAB: how a leader and its learners agree on one history of transactions.
//!
//! Two pure machines. [`Leader`] speaks with all learners, [`Learner`] is the other end,
//! a follower or an observer. (A third, [`ObserverMaster`], is a follower to which observers
//! may turn instead.) Each lives as long as one role: when it says `ShutDown` it
//! is dropped, the peer looks for a leader, and makes the next.
//!
//! ```text
//!             leader                               learner
//! discovery   ◀─────────────────── FOLLOWERINFO (accepted epoch)
//!             LEADERINFO (new epoch) ────────────▶ accepts it, durably
//!             ◀─────────────────── ACKEPOCH (current epoch, last zxid)
//! sync        DIFF | TRUNC | SNAP, proposals and commits, NEWLEADER ──▶
//!             ◀─────────────────── ACK: all of that is durable, then the epoch is
//!             UPTODATE ──────────────────────────▶ serves clients
//! broadcast   PROPOSAL ──────────────────────────▶ to the log
//!             ◀─────────────────── ACK: durable
//!             COMMIT ────────────────────────────▶ applies it
//! ```
//!
//! # How to drive them
//!
//! One input (`handle_*`, or a verb such as [`Leader::propose`]), then every
//! `poll_output` in order, then sleep until `poll_timeout`. What the outputs ask of the
//! disk may take its time, as long as it is done **in the order of the outputs**, and
//! completion is told by a `handle_*` afterwards. Commits are carried out at once: whatever
//! follows a commit may look at the tree and expect it there.
//!
//! Transactions are opaque, but for those that change the configuration. `payload` is
//! what stands in the log and in a PROPOSAL.
//!
//! # Reconfiguration
//!
//! A server keeps two configurations on disk: the one in force, and the last seen, which
//! may be a newer one that was proposed. `ConfigProposed` and `NewConfig` replace the last
//! seen, durably before anything is that follows: whoever has the transaction of a
//! reconfiguration in its log has to know that a quorum of both is needed. `Activate` puts
//! one in force. A configuration that a server finds in its own history when a role
//! begins, because a snapshot brought it, is the last seen if it is newer than both.
//! Where reconfigurations are disabled nothing of this changes.
//!
//! # What the disk has to promise
//!
//! - What is durable when a machine is made is all there is: the log that was replayed has
//!   been synced, and no writer of a role before is still at work (ZOOKEEPER-4712).
//! - A snapshot that is installed replaces the whole history or nothing of it: no crash
//!   leaves a mixture of the old log and the new snapshot.
//! - A failed write ends the process. A machine is never told of one.
//! - A server may be found with transactions of an epoch above its current one: it
//!   was stopped between the two. Its vote is what its files say, and that is safe: its
//!   history is a prefix of that epoch's, and anyone who has the epoch outvotes it.

mod committed_log;
mod config;
mod leader;
mod learner;
mod learner_handler;
mod observer_master;
mod outstanding;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use committed_log::{CommittedLog, DEFAULT_COMMITTED_LOG_COUNT};
pub(crate) use config::Config as LeaderConfig;
pub(crate) use leader::{
    Leader, LeaderOptions, LeaderShutdown, LearnerLoss, Output as LeaderOutput, ProposeError,
};
pub(crate) use learner::{
    Learner, LearnerOptions, LearnerReconfig, LearnerShutdown, Output as LearnerOutput,
    SnapshotOutcome, TruncateOutcome,
};
pub(crate) use learner_handler::LearnerId;
pub(crate) use observer_master::{
    Asker, ObserverMaster, ObserverMasterOptions, Output as ObserverMasterOutput,
};
pub(crate) use outstanding::MAX_OUTSTANDING;

use std::time::Duration;

use bytes::Bytes;
use zk_proto::Zxid;

/// A transaction on its way to being history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Which.
    pub(crate) zxid: Zxid,
    /// What the log and the wire hold of it.
    pub(crate) payload: Bytes,
}

impl Proposal {
    /// A proposal.
    pub(crate) fn new(zxid: Zxid, payload: impl Into<Bytes>) -> Self {
        Self {
            zxid,
            payload: payload.into(),
        }
    }
}

/// What a peer has on disk when a role begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// The newest epoch it has promised to follow no older one than; `acceptedEpoch`.
    pub(crate) accepted_epoch: i64,
    /// The epoch whose initial history it has had; `currentEpoch`.
    pub(crate) current_epoch: i64,
    /// The last transaction in its log, or of its snapshot.
    pub(crate) last_zxid: Zxid,
}

/// Which of the two epoch files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochFile {
    /// `acceptedEpoch`.
    Accepted,
    /// `currentEpoch`.
    Current,
}

/// How long the ensemble waits; each peer by its own configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZabTiming {
    /// `tickTime`, at least two nanoseconds.
    pub(crate) tick_time: Duration,
    /// `initLimit`: ticks until leader and learners have agreed on a history.
    pub(crate) init_limit: u32,
    /// `syncLimit`: ticks without a sign of life, or between proposal and ack.
    pub(crate) sync_limit: u32,
}

impl ZabTiming {
    /// `initLimit` as a time.
    pub(crate) fn init_time(&self) -> Duration {
        self.tick_time.saturating_mul(self.init_limit)
    }

    /// `syncLimit` as a time.
    pub(crate) fn sync_time(&self) -> Duration {
        self.tick_time.saturating_mul(self.sync_limit)
    }
}

/// Epochs travel as an `i32` in ACKEPOCH, so that there is a last one.
const LAST_EPOCH: i64 = i32::MAX as i64;

/// The zxid an epoch begins with. No transaction has it.
const fn first_zxid(epoch: i64) -> Zxid {
    Zxid(epoch << 32)
}
