//! What is seen of the servers of an ensemble, apart from what they say to clients.

use std::fmt;
use std::sync::Arc;

use zk_proto::Zxid;

use super::{At, Transaction};

/// A transaction, as a server of an ensemble applied it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its host.
    pub peer: Arc<str>,
    /// What it applied, and when.
    pub transaction: Transaction,
}

/// What a server of an ensemble does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Nothing: it is stopped, killed or has failed.
    Down,
    /// As `Down`, and its disk has been replaced by an empty one.
    Emptied,
    /// It looks for a leader.
    Looking,
    /// It follows one.
    Following,
    /// It leads.
    Leading,
    /// It follows one without a vote.
    Observing,
}

/// A state in which a server of an ensemble was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSeen {
    /// When.
    pub at: At,
    /// Its host.
    pub peer: Arc<str>,
    /// What it does.
    pub state: PeerState,
    /// Whether it serves clients in that role.
    pub is_serving: bool,
    /// Its `currentEpoch`; −1 while it is down.
    pub epoch: i64,
    /// Its `acceptedEpoch`; −1 while it is down.
    pub accepted_epoch: i64,
    /// The last transaction in its tree.
    pub last_zxid: Zxid,
}

impl PeerSeen {
    /// Whether it leads an epoch that a quorum has entered.
    pub fn is_established_leader(&self) -> bool {
        self.state == PeerState::Leading && self.is_serving
    }
}

/// The tree of a server of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeSeen {
    /// When.
    pub at: At,
    /// Its host.
    pub peer: Arc<str>,
    /// The last transaction in it.
    pub zxid: Zxid,
    /// Apache's digest over all of it.
    pub digest: u64,
}

impl fmt::Display for PeerSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            PeerState::Down => return f.write_str("down"),
            PeerState::Emptied => return f.write_str("down, with an empty disk"),
            PeerState::Looking => "looking",
            PeerState::Following => "following",
            PeerState::Leading => "leading",
            PeerState::Observing => "observing",
        };
        let Self {
            epoch,
            accepted_epoch,
            last_zxid,
            ..
        } = self;
        let serves = if self.is_serving { ", serves" } else { "" };
        write!(
            f,
            "{state}{serves}, epoch {epoch} (accepted {accepted_epoch}), zxid {last_zxid}"
        )
    }
}
