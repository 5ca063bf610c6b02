//! What a server was seen to do.

use zk_proto::Zxid;
use zk_proto::record::ConnectResponse;

use super::op::Ordinal;
use super::reply::{Incoming, Reply};

/// One thing seen, and on whose connection.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) on: Line,
    pub(crate) seen: Seen,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// The one that this operation opened.
    New,
    /// The one that a session had before it was resumed elsewhere.
    Former(Ordinal),
    /// A session's present one.
    Of(Ordinal),
}

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// The handshake's answer; whether the password is the one the session has.
    Connected(ConnectResponse, bool),
    /// An event, or a reply with the code of the operation it answers.
    Frame(Incoming, Option<i32>),
    /// The server closed.
    Closed,
    /// The connection could not be made.
    Refused,
    /// No answer, although the connection works.
    Silence,
    /// Still there after everything that might be on its way has arrived, at this
    /// zxid.
    Calm(Zxid),
    /// A barrier's end was not seen in time.
    Overdue(&'static str),
}

impl Seen {
    pub(crate) fn reply(&self) -> Option<(&Reply, i32)> {
        match self {
            Self::Frame(Incoming::Reply(reply), Some(op)) => Some((reply, *op)),
            _ => None,
        }
    }

    pub(crate) const fn is_event(&self) -> bool {
        matches!(self, Self::Frame(Incoming::Event { .. }, _))
    }
}
