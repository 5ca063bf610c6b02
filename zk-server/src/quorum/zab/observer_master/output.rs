//! What an observer master asks for.

use zk_proto::Zxid;

use crate::quorum::packet::{ForwardedRequest, QuorumPacket, Revalidate, Touch};
use crate::quorum::zab::LearnerLoss;
use crate::quorum::zab::learner_handler::LearnerId;

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send an observer a packet. What is queued for it is bounded by the driver, which
    /// closes a connection that does not keep up and says so by `handle_learner_lost`.
    Send {
        /// To whom.
        to: LearnerId,
        /// What.
        packet: QuorumPacket,
    },
    /// Send a SNAP packet with this zxid and the tree, as a leader does.
    SendSnapshot {
        /// To whom.
        to: LearnerId,
        /// The last transaction that is certainly in it.
        zxid: Zxid,
    },
    /// Read the log for an observer and tell by `handle_log_read`, as for a leader.
    ReadLog {
        /// For whom.
        learner: LearnerId,
        /// The observer's last transaction.
        from: Zxid,
        /// The newest that is of use; it is committed.
        through: Zxid,
    },
    /// Close a connection; nothing more will be said on it.
    Close {
        /// Whose.
        learner: LearnerId,
        /// Why.
        loss: LearnerLoss,
    },
    /// Hand a request on to the leader.
    Forward(ForwardedRequest),
    /// Ask the leader for a session.
    Revalidate(Revalidate),
    /// Sessions that have shown life, for the next answer to the leader's ping.
    Touched(Vec<Touch>),
}
