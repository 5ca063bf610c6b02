//! A learner's part: requests go to the leader, and transactions come back.

use bytes::{BufMut as _, Bytes, BytesMut};
use tracing::{debug, error, warn};
use zk_env::Mono;
use zk_proto::{ErrorCode, OpCode, SessionId, Zxid};

use super::commit::Proposal;
use super::leading::UNNUMBERED;
use super::{ConnId, Role, Upstream, ZooKeeperServer};
use crate::conn::Request;
use crate::pipeline::{Asker, Opening, Prep, Waiting};
use crate::quorum::ForwardedRequest;
use crate::txn::{Txn, TxnBody};

/// Bytes of requests that may wait for the way to the leader before no more are read.
const UPSTREAM_BYTES_LIMIT: usize = 16 << 20;

/// What a client asks for.
impl ZooKeeperServer {
    /// Hands on a write or closeSession, unless it is none: such a request may stop a
    /// leader of Apache's for good.
    pub(super) fn forward_write(&mut self, conn: ConnId, op: OpCode, request: Request<'_>) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let asker = Asker {
            conn,
            xid: request.xid,
            op,
        };
        if op != OpCode::CloseSession && !Prep::is_decodable(op, request.body.clone()) {
            return self.refuse(request.session, asker, ErrorCode::MarshallingError);
        }
        let forwarded = ForwardedRequest {
            session: request.session,
            cxid: request.xid,
            op: op as i32,
            body: request.body.rest(),
            ids: connection.identities().to_vec(),
        };
        self.waiting.push(request.session, Waiting::Write(asker));
        self.forward(forwarded);
    }

    /// A `sync` is done when the leader says so, behind everything it had proposed.
    pub(super) fn forward_sync(&mut self, conn: ConnId, frame: &Bytes, request: &Request<'_>) {
        let session = request.session;
        self.waiting
            .push(session, Waiting::Sync(conn, frame.clone()));
        self.syncs.push_back(session);
        self.forward(ForwardedRequest {
            session,
            cxid: request.xid,
            op: OpCode::Sync as i32,
            body: request.body.rest(),
            ids: Vec::new(),
        });
    }

    /// A session begins here.
    pub(super) fn forward_create_session(&mut self, session: SessionId, opening: Opening) {
        self.waiting.push(session, Waiting::Open(opening));
        self.forward_open(session, opening.timeout_ms);
    }

    /// Has the leader open a session.
    pub(super) fn forward_open(&mut self, session: SessionId, timeout_ms: i32) {
        let mut body = BytesMut::with_capacity(4);
        body.put_i32(timeout_ms);
        self.forward(ForwardedRequest {
            session,
            cxid: UNNUMBERED,
            op: OpCode::CreateSession as i32,
            body: body.freeze(),
            ids: Vec::new(),
        });
    }

    /// Only the leader knows whether a session lives. The client waits meanwhile.
    pub(super) fn forward_revalidation(&mut self, session: SessionId, opening: Opening) {
        if let Some((connection, _)) = self.connections.get_mut(opening.conn) {
            connection.begin(session);
        }
        if let Some(older) = self.revalidating.insert(session, opening) {
            self.close(older.conn);
        }
        self.upstream.push_back(Upstream::Revalidate {
            session,
            timeout_ms: opening.timeout_ms,
        });
    }

    fn forward(&mut self, request: ForwardedRequest) {
        self.upstream_bytes += request.body.len();
        self.upstream.push_back(Upstream::Request(request));
    }
}

/// What the leader says, and is told.
impl ZooKeeperServer {
    /// The next thing for the leader.
    pub(crate) fn poll_upstream(&mut self) -> Option<Upstream> {
        let next = self.upstream.pop_front();
        if let Some(Upstream::Request(request)) = &next {
            self.upstream_bytes -= request.body.len();
        }
        next
    }

    /// Whether [`poll_upstream`](Self::poll_upstream) has something.
    pub(crate) fn has_upstream(&self) -> bool {
        !self.upstream.is_empty()
    }

    /// Whether the way to the leader is so full that nothing more should be read.
    pub(super) fn is_upstream_full(&self) -> bool {
        self.upstream_bytes > UPSTREAM_BYTES_LIMIT
    }

    /// Sessions that have shown life since this was asked last, with their timeouts.
    pub(crate) fn take_touched(&mut self) -> impl Iterator<Item = (SessionId, i32)> {
        std::mem::take(&mut self.touched).into_iter()
    }

    /// A transaction is committed: applies it, and answers whoever asked for it here.
    pub(crate) fn handle_learned(&mut self, txn: Txn, now: Mono) {
        let session = txn.header.client;
        let waiting = self.waiting.learned(&txn);
        if let TxnBody::CreateSession { timeout_ms } = &txn.body {
            self.learn_session(session, &waiting, *timeout_ms, now);
        }
        let ends = matches!(txn.body, TxnBody::CloseSession { .. });
        self.commit(Proposal::learned(txn, waiting));
        if ends {
            self.waiting.forget(session);
        } else {
            self.release(session);
        }
    }

    fn learn_session(
        &mut self,
        session: SessionId,
        waiting: &Option<Waiting>,
        timeout_ms: i32,
        now: Mono,
    ) {
        match waiting {
            // The client may have gone in the meantime.
            Some(Waiting::Open(opening)) if self.connections.get(opening.conn).is_some() => {
                self.sessions.add(session, timeout_ms, opening.conn, now);
                self.touched.insert(session, timeout_ms);
            }
            _ => self.sessions.learn(session, timeout_ms, now),
        }
    }

    /// The oldest `sync` is done.
    pub(crate) fn handle_synced(&mut self) {
        let Some(session) = self.syncs.pop_front() else {
            warn!("a sync is done that nobody has asked for");
            return;
        };
        if self.waiting.synced(session) {
            self.release(session);
        } else {
            // The session has ended meanwhile.
            debug!(%session, "nobody waits for this sync any more");
        }
    }

    /// The leader knows whether a session lives.
    pub(crate) fn handle_revalidated(&mut self, session: SessionId, is_valid: bool, now: Mono) {
        let Some(opening) = self.revalidating.remove(&session) else {
            return;
        };
        let Some(connection) = self.connections.get(opening.conn) else {
            return;
        };
        debug!(%session, is_valid, "session revalidated");
        if is_valid && !connection.is_closing() {
            self.sessions
                .attach(session, opening.timeout_ms, opening.conn, now);
            self.established(session, opening);
        } else {
            self.probe.reached("server: session to be renewed is gone");
            self.turned_away(opening);
        }
        self.settle(opening.conn);
    }

    /// Whether the tree is what the transaction's maker predicts. Not told of a tree that
    /// came from a snapshot which was written while things went on.
    pub(super) fn check_digest(&mut self, zxid: Zxid, predicted: Option<crate::tree::TreeDigest>) {
        if self.role != Role::Learner || self.digest_mismatch.is_some() {
            return;
        }
        let actual = self.tree.digest();
        // As if a bit had flipped in memory, now and then.
        let is_told_so = zxid.counter() % 256 == 255
            && self
                .probe
                .buggify("server: take the tree for another than the leader's");
        if predicted.is_some_and(|predicted| predicted != actual || is_told_so) {
            error!(%zxid, ?predicted, ?actual, "the tree is not the leader's");
            self.probe.reached("server: tree differs from the leader's");
            self.digest_mismatch = Some(zxid);
        }
    }

    /// Where the tree was found to differ from the leader's in this role, if it was. Who learns
    /// must not serve from it any longer.
    pub(crate) const fn digest_mismatch(&self) -> Option<Zxid> {
        self.digest_mismatch
    }
}
