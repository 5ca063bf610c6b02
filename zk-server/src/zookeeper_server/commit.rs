//! Transactions on their way from prep to the tree.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, SessionId, Zxid};

use super::{ConnId, ZooKeeperServer};
use crate::conn::Received;
use crate::pipeline::{Applied, Asker, Waiting, apply, last_op, reply_write};
use crate::storage::SnapshotBeginning;
use crate::tree::DataTree;
use crate::txn::{Txn, TxnBody};

/// A transaction, and who waits for it.
#[derive(Debug)]
pub(super) struct Proposal {
    txn: Txn,
    /// Nobody, if the server does it of its own accord.
    waiting: Option<Waiting>,
    /// What the reaper wants gone, if it is the reaper's.
    reaped: Option<Arc<str>>,
}

impl Proposal {
    /// Of the leader's, and who has asked for it here.
    pub(super) const fn learned(txn: Txn, waiting: Option<Waiting>) -> Self {
        Self {
            txn,
            waiting,
            reaped: None,
        }
    }

    pub(super) const fn asked(txn: Txn, waiting: Waiting) -> Self {
        Self {
            txn,
            waiting: Some(waiting),
            reaped: None,
        }
    }

    pub(super) const fn unasked(txn: Txn) -> Self {
        Self {
            txn,
            waiting: None,
            reaped: None,
        }
    }

    pub(super) const fn reaping(txn: Txn, path: Arc<str>) -> Self {
        Self {
            txn,
            waiting: None,
            reaped: Some(path),
        }
    }
}

/// Transactions that wait for their commit, in the order of zxids. Bounded by the
/// requests that may wait.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Commits come from outside.
    is_deferred: bool,
    txns: VecDeque<Made>,
    /// How many of them have been handed out.
    polled: usize,
}

#[derive(Debug)]
struct Made {
    txn: Txn,
    is_asked: bool,
    reaped: Option<Arc<str>>,
}

/// Commits from outside.
impl ZooKeeperServer {
    /// Applies transactions no longer when they are made but when they are committed.
    pub(crate) fn defer_commits(mut self) -> Self {
        self.in_flight.is_deferred = true;
        self.prep.predict_digests();
        self
    }

    /// Whether [`poll_txn`](Self::poll_txn) has something.
    pub(crate) fn has_txns(&self) -> bool {
        self.in_flight.polled < self.in_flight.txns.len()
    }

    /// What a snapshot begins with.
    pub(crate) fn snapshot_beginning(&self) -> SnapshotBeginning {
        SnapshotBeginning::of(&self.tree, self.sessions.timeouts())
    }

    /// The tree as far as it is committed.
    pub(crate) const fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// The next transaction to be made durable, each once, in the order of zxids.
    pub(crate) fn poll_txn(&mut self) -> Option<&Txn> {
        let made = self.in_flight.txns.get(self.in_flight.polled)?;
        self.in_flight.polled += 1;
        Some(&made.txn)
    }

    /// Every transaction up to `zxid` that [`poll_txn`](Self::poll_txn) has handed out
    /// is committed: applies them and answers those who wait for them.
    pub(crate) fn handle_committed(&mut self, zxid: Zxid) {
        while let Some(made) = self.in_flight.next_committed(zxid) {
            let session = made.txn.header.client;
            let waiting = made.is_asked.then(|| self.waiting.committed(session));
            self.commit(Proposal {
                txn: made.txn,
                waiting: waiting.flatten(),
                reaped: made.reaped,
            });
            self.release(session);
        }
    }

    /// Whether the connection's next frame can be handled now. If not, offer it again
    /// after the next commit.
    pub(crate) fn wants_frames(&self, conn: ConnId) -> bool {
        let Some(connection) = self.connections.get(conn) else {
            return true;
        };
        let (requests, bytes) = self.waiting.size(connection.session());
        !connection.is_connecting()
            && requests < self.waiting_limit
            && bytes < WAITING_BYTES_LIMIT
            && !self.is_upstream_full()
    }
}

impl ZooKeeperServer {
    /// A transaction has been made.
    pub(super) fn propose(&mut self, proposal: Proposal) {
        if !self.in_flight.is_deferred {
            return self.commit(proposal);
        }
        let is_asked = proposal.waiting.is_some();
        if let Some(waiting) = proposal.waiting {
            self.waiting.push(proposal.txn.header.client, waiting);
        }
        self.in_flight.txns.push_back(Made {
            txn: proposal.txn,
            is_asked,
            reaped: proposal.reaped,
        });
    }

    /// A write that costs no transaction: its answer keeps its place.
    pub(super) fn refuse(&mut self, session: SessionId, asker: Asker, error: ErrorCode) {
        if self.waiting.has(session) {
            self.waiting.push(session, Waiting::Refused(asker, error));
        } else {
            self.answer(asker, &Applied::Failed(error));
        }
    }

    pub(super) fn commit(&mut self, proposal: Proposal) {
        let header = proposal.txn.header;
        let ends = matches!(proposal.txn.body, TxnBody::CloseSession { .. });
        let opens = matches!(proposal.txn.body, TxnBody::CreateSession { .. });
        let is_asked = proposal.waiting.is_some();
        let applied = self.apply(proposal.txn, proposal.reaped.as_deref());
        if opens {
            self.sessions.set_committed(header.client);
        }
        match proposal.waiting {
            Some(Waiting::Open(opening)) => {
                self.established(header.client, opening);
                self.settle(opening.conn);
            }
            Some(Waiting::Write(asker)) => self.answer(asker, &applied),
            Some(Waiting::Refused(..) | Waiting::Sync(..) | Waiting::Frame(..)) | None => {}
        }
        if ends {
            if let Some(conn) = self.sessions.conn(header.client).filter(|_| !is_asked) {
                self.close(conn);
            }
            self.sessions.remove(header.client);
        }
    }

    fn apply(&mut self, txn: Txn, reaped: Option<&str>) -> Applied {
        let (zxid, digest) = (txn.header.zxid, txn.digest);
        let transaction = self.on_transaction.describe(&txn, reaped);
        let applied = apply(
            txn,
            &mut self.tree,
            &mut self.watches,
            &mut self.connections,
        );
        self.prep.applied(zxid);
        self.check_digest(zxid, digest);
        if let Some(transaction) = transaction {
            self.on_transaction.tell(&transaction);
        }
        applied
    }

    /// Answers a write.
    pub(super) fn answer(&mut self, asker: Asker, applied: &Applied) {
        let Asker { conn, xid, op } = asker;
        let zxid = self.tree.last_processed();
        if matches!(applied, Applied::Failed(ErrorCode::NoAuth)) {
            self.probe.reached("server: ACL refused a write");
        }
        let Some((connection, _)) = self.connections.get_mut(conn) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        if matches!(applied, Applied::Failed(ErrorCode::SessionMoved)) {
            // The client is elsewhere; this connection is an old one of its.
            return self.close(conn);
        }
        reply_write(connection, xid, zxid, applied);
        let name = match applied {
            // As in Apache a failed write leaves no name.
            Applied::Failed(_) => "NA",
            Applied::Session
            | Applied::Change(_)
            | Applied::Reconfig(_)
            | Applied::SetAcl(_)
            | Applied::Multi(_) => last_op(op),
        };
        connection.answered(name, xid, zxid);
        if op == OpCode::CloseSession {
            connection.close();
        }
        self.settle(conn);
    }

    /// Does what has waited behind a commit.
    pub(super) fn release(&mut self, session: SessionId) {
        while let Some(waiting) = self.waiting.release(session) {
            match waiting {
                Waiting::Refused(asker, error) => self.answer(asker, &Applied::Failed(error)),
                Waiting::Frame(conn, frame) => self.resume(conn, &frame),
                Waiting::Open(_) | Waiting::Write(_) | Waiting::Sync(..) => {}
            }
        }
    }

    /// Handles a request that has waited. It has shown life when it arrived.
    pub(super) fn resume(&mut self, conn: ConnId, frame: &Bytes) {
        let Some((connection, schemes)) = self.connections.get_mut(conn) else {
            return;
        };
        if let Received::Request(request) = connection.handle_frame(frame, schemes) {
            self.look(conn, request);
        }
        self.settle(conn);
    }
}

impl InFlight {
    /// Nothing yet, and commits will come from outside.
    pub(super) fn deferred() -> Self {
        Self {
            is_deferred: true,
            ..Self::default()
        }
    }

    fn next_committed(&mut self, zxid: Zxid) -> Option<Made> {
        let made = self.txns.front()?;
        if self.polled == 0 || made.txn.header.zxid > zxid {
            return None;
        }
        self.polled -= 1;
        self.txns.pop_front()
    }
}

/// Bytes of frames that one session may keep waiting, and one frame more.
const WAITING_BYTES_LIMIT: usize = 4 << 20;
