//! What happened in a run, as anybody outside the machines could see it: what
//! clients called and were told, what went over the wire, what the server logged.

mod ensemble;
mod recorder;
mod step;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

pub use ensemble::{Applied, PeerSeen, PeerState, TreeSeen};
pub use recorder::{
    Heard, Recorded, RecordedClient, RecordedTransaction, RecordedWatcher, Recorder, SessionSeen,
    StateSeen, WatcherId,
};
pub(crate) use step::Listener;
pub use step::Step;
pub use wire::{Closing, Frame, Stream, Wire, WireConnection};

/// Simulated time since the run began.
pub type At = Duration;

/// A client of a run, numbered in the order in which they were made. It keeps its
/// number over its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// A call that a client made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose.
    pub client: ClientId,
    /// The number of its request, which with the client's session names it in the
    /// server's log. `None` if the call took no place in line.
    pub xid: Option<Xid>,
    /// What was asked.
    pub op: OpCode,
    /// Of what: the path on the server, empty where there is none or several.
    pub path: String,
    /// Which watcher it was to leave a watch for.
    pub watcher: Option<WatcherId>,
    /// When the method was called.
    pub called: At,
    /// When and how it ended; `None` while it waits.
    pub ended: Option<(At, Outcome)>,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer: the reply's record, encoded again from what the caller got, with
    /// paths as the server has them.
    Answer(Bytes),
    /// The server's refusal.
    Refused(ErrorCode),
    /// An error that says the call did not take effect.
    NotApplied(String),
    /// An error that leaves open whether the call took effect.
    Unknown(String),
    /// An error that says the call took effect, but not what came of it.
    Applied(String),
    /// The future was dropped before it was ready.
    Dropped,
}

/// A transaction as the server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its place in the order of everything.
    pub zxid: Zxid,
    /// On whose behalf; none for the reaper of containers and TTL znodes.
    pub session: SessionId,
    /// The number of the request, 0 where the server acts by itself.
    pub cxid: Xid,
    /// Milliseconds since the Unix epoch, by the server's wall clock.
    pub time_ms: i64,
    /// What kind of transaction: the operation, or [`OpCode::Error`].
    pub op: OpCode,
    /// Why it was refused, if it was.
    pub err: ErrorCode,
    /// What a transaction without a request is about: the reaped path.
    pub path: Option<String>,
    /// The members of the ensemble as of it, if it is a reconfiguration that was not refused.
    pub config: Option<String>,
    /// When it was made.
    pub at: At,
}

/// A fault that began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSeen {
    /// When.
    pub at: At,
    /// Which.
    pub what: String,
    /// Whether it began.
    pub begins: bool,
}

/// Everything that was seen of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order in which they were made.
    pub calls: Vec<Call>,
    /// In the order in which they were dialled.
    pub connections: Vec<WireConnection>,
    /// In the order of their zxid. Of an ensemble, all that was committed.
    pub transactions: Vec<Transaction>,
    /// The states in which clients' sessions were seen, in that order.
    pub states: Vec<StateSeen>,
    /// The sessions that clients had, in the order in which they were seen.
    pub sessions: Vec<SessionSeen>,
    /// The events taken from watchers, in that order.
    pub heard: Vec<Heard>,
    /// When the server was started again with what it had.
    pub server_restarts: Vec<At>,
    /// In the order in which they began and ended.
    pub faults: Vec<FaultSeen>,
    /// The states in which servers of an ensemble were seen, in that order.
    pub peers: Vec<PeerSeen>,
    /// The trees of servers of an ensemble, in the order in which they were looked at: each
    /// time that there was something new.
    pub trees: Vec<TreeSeen>,
}
