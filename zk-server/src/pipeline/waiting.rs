//! Requests that wait for a commit (Apache's `CommitProcessor`): a session's writes
//! whose transactions are on their way, and whatever the session has asked for behind
//! them. Each session has a line of its own, kept over its connections; nobody waits
//! for another session.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use zk_proto::{ErrorCode, OpCode, SessionId, Xid};

use crate::conn::ConnId;
use crate::txn::{Txn, TxnBody};

/// Whom to answer when a write has become of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) conn: ConnId,
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
}

/// A session that will be open once its transaction is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) conn: ConnId,
    pub(crate) timeout_ms: i32,
    pub(crate) read_only: Option<bool>,
}

/// One place in a session's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The transaction that opens the session is on its way.
    Open(Opening),
    /// So is that of a write.
    Write(Asker),
    /// A write that became no transaction, behind others that did.
    Refused(Asker, ErrorCode),
    /// A `sync` that the leader has yet to answer, as it arrived.
    Sync(ConnId, Bytes),
    /// A request that looks at the tree, as it arrived.
    Frame(ConnId, Bytes),
}

impl Waiting {
    /// Whether it goes on by itself when its turn has come.
    const fn is_free(&self) -> bool {
        match self {
            Self::Open(_) | Self::Write(_) | Self::Sync(..) => false,
            Self::Refused(..) | Self::Frame(..) => true,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Frame(_, frame) | Self::Sync(_, frame) => frame.len(),
            Self::Open(_) | Self::Write(_) | Self::Refused(..) => 0,
        }
    }
}

/// Everybody's lines.
#[derive(Debug, Default)]
pub(crate) struct WaitingRequests {
    lines: FxHashMap<SessionId, Line>,
}

/// Never empty, never headed by what may go on.
#[derive(Debug, Default)]
struct Line {
    requests: VecDeque<Waiting>,
    bytes: usize,
}

impl WaitingRequests {
    /// Whether requests of `session` have to line up.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        !self.lines.is_empty() && self.lines.contains_key(&session)
    }

    /// How many requests of `session` wait, and how many bytes they keep.
    pub(crate) fn size(&self, session: SessionId) -> (usize, usize) {
        let line = self.lines.get(&session);
        line.map_or((0, 0), |line| (line.requests.len(), line.bytes))
    }

    /// Joins the line of `session`. What may go on by itself needs something to
    /// wait for: there must be a line.
    pub(crate) fn push(&mut self, session: SessionId, waiting: Waiting) {
        let line = self.lines.entry(session).or_default();
        debug_assert!(!line.requests.is_empty() || !waiting.is_free());
        line.bytes += waiting.bytes();
        line.requests.push_back(waiting);
    }

    /// The transaction at the head of the line of `session` has been committed: who
    /// waited for it. To be followed by [`release`](Self::release).
    pub(crate) fn committed(&mut self, session: SessionId) -> Option<Waiting> {
        self.pop_if(session, |waiting| !waiting.is_free())
    }

    /// As [`committed`](Self::committed), where a transaction may be somebody else's, asked
    /// for elsewhere in the session's name or by nobody: only who has asked for this, under
    /// this number.
    pub(crate) fn learned(&mut self, txn: &Txn) -> Option<Waiting> {
        let cxid = txn.header.cxid;
        self.pop_if(txn.header.client, |waiting| match waiting {
            Waiting::Open(_) => cxid == Xid(0) && may_open(&txn.body),
            Waiting::Write(asker) => asker.xid == cxid && may_answer(&txn.body, asker.op),
            Waiting::Refused(..) | Waiting::Sync(..) | Waiting::Frame(..) => false,
        })
    }

    /// The leader has answered the oldest `sync` of the line, which goes on when its turn has
    /// come. False if there is none. To be followed by [`release`](Self::release).
    pub(crate) fn synced(&mut self, session: SessionId) -> bool {
        let line = self.lines.get_mut(&session).into_iter();
        for waiting in line.flat_map(|line| &mut line.requests) {
            if let Waiting::Sync(conn, frame) = waiting {
                *waiting = Waiting::Frame(*conn, std::mem::take(frame));
                return true;
            }
        }
        false
    }

    /// The session has ended, and with it whatever it still wanted.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.lines.remove(&session);
    }

    /// All sessions' lines are given up.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    /// What can go on now in the line of `session`, one by one.
    pub(crate) fn release(&mut self, session: SessionId) -> Option<Waiting> {
        self.pop_if(session, Waiting::is_free)
    }

    fn pop_if(
        &mut self,
        session: SessionId,
        is_wanted: impl FnOnce(&Waiting) -> bool,
    ) -> Option<Waiting> {
        let line = self.lines.get_mut(&session)?;
        line.requests.front().filter(|waiting| is_wanted(waiting))?;
        let waiting = line.requests.pop_front()?;
        line.bytes -= waiting.bytes();
        if line.requests.is_empty() {
            self.lines.remove(&session);
        }
        Some(waiting)
    }
}

const fn may_open(body: &TxnBody) -> bool {
    matches!(body, TxnBody::CreateSession { .. } | TxnBody::Error(_))
}

/// The server's own transactions bear the number 0, which clients may use as well.
fn may_answer(body: &TxnBody, op: OpCode) -> bool {
    match body {
        TxnBody::CreateSession { .. } => false,
        TxnBody::CloseSession { .. } => op == OpCode::CloseSession,
        TxnBody::Error(_) => true,
        TxnBody::Change(_)
        | TxnBody::SetAcl(_)
        | TxnBody::Multi(_)
        | TxnBody::FailedMulti { .. }
        | TxnBody::Reconfig(_) => op != OpCode::CloseSession,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn write(xid: i32) -> Waiting {
        Waiting::Write(Asker {
            conn: ConnId(1),
            xid: Xid(xid),
            op: OpCode::Create,
        })
    }

    fn frame(byte: u8) -> Waiting {
        Waiting::Frame(ConnId(1), Bytes::copy_from_slice(&[byte; 10]))
    }

    #[test]
    fn frames_go_on_up_to_the_next_write_and_sessions_do_not_wait_for_one_another() {
        let mut waiting = WaitingRequests::default();
        for request in [write(1), frame(2), frame(3), write(4), frame(5)] {
            waiting.push(A, request);
        }
        waiting.push(B, write(1));
        assert_eq!(waiting.size(A), (5, 30));
        assert_eq!(waiting.release(A), None, "behind a write");
        assert_eq!(waiting.committed(A), Some(write(1)));
        assert_eq!(waiting.committed(A), None, "frames first");
        assert_eq!(waiting.release(A), Some(frame(2)));
        assert_eq!(waiting.release(A), Some(frame(3)));
        assert_eq!(waiting.release(A), None);
        assert_eq!(waiting.committed(A), Some(write(4)));
        assert_eq!(waiting.release(A), Some(frame(5)));
        assert!(!waiting.has(A) && waiting.has(B));
        assert_eq!(waiting.size(A), (0, 0));
        assert_eq!(waiting.committed(B), Some(write(1)));
        assert!(waiting.lines.is_empty());
    }
}
