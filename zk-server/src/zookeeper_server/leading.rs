//! A leader's part: requests that come through learners.

use bytes::Buf as _;
use tracing::debug;
use zk_env::Mono;
use zk_proto::{ErrorCode, OpCode, Reader, SessionId, Xid};

use super::commit::Proposal;
use super::requests::{Kind, kind};
use super::{ZooKeeperServer, world};
use crate::pipeline::{Prepared, Requester};
use crate::quorum::{ForwardedRequest, LearnerId, Touch};
use crate::session::Origin;

impl ZooKeeperServer {
    /// A request of a client of `from`'s. Whatever it is, it becomes a transaction: that is
    /// how the learner hears what became of it.
    pub(crate) fn handle_forwarded(
        &mut self,
        from: LearnerId,
        request: &ForwardedRequest,
        now: Mono,
        wall_ms: i64,
    ) {
        let session = request.session;
        let origin = Origin::Learner(from);
        let op = OpCode::try_from(request.op);
        match op.map(|op| (kind(op), op)) {
            Ok((_, OpCode::CreateSession)) => {
                self.create_remote_session(from, request, now, wall_ms);
            }
            Ok((Kind::CloseSession, _)) => {
                self.close_remote_session(request, origin, wall_ms);
            }
            Ok((Kind::Write, op)) => {
                self.sessions.claim(session, origin);
                self.forwarded_write(op, request, origin, wall_ms);
            }
            Ok((Kind::Read | Kind::Refused, _)) | Err(_) => {
                self.refuse_forwarded(ErrorCode::Unimplemented, request, origin, wall_ms);
            }
        }
    }

    /// One whose end is under way already has its answer with that.
    fn close_remote_session(&mut self, request: &ForwardedRequest, origin: Origin, wall_ms: i64) {
        let session = request.session;
        if self.sessions.set_closing(session) {
            self.propose_close(session, request.cxid, None, wall_ms);
            debug!(%session, "session closed");
        } else if !self.sessions.contains(session) {
            self.refuse_forwarded(ErrorCode::SessionExpired, request, origin, wall_ms);
        }
    }

    fn create_remote_session(
        &mut self,
        from: LearnerId,
        request: &ForwardedRequest,
        now: Mono,
        wall_ms: i64,
    ) {
        let origin = Origin::Learner(from);
        let Ok(timeout_ms) = request.body.clone().try_get_i32() else {
            return self.refuse_forwarded(ErrorCode::MarshallingError, request, origin, wall_ms);
        };
        let timeout_ms = timeout_ms.max(0);
        self.sessions
            .add_remote(request.session, timeout_ms, from, now);
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let who = Requester::anonymous(request.session, request.cxid);
        let txn = self.prep.create_session(timeout_ms, who, world);
        self.propose(Proposal::unasked(txn));
    }

    fn forwarded_write(
        &mut self,
        op: OpCode,
        request: &ForwardedRequest,
        origin: Origin,
        wall_ms: i64,
    ) {
        let who = Requester {
            session: request.session,
            cxid: request.cxid,
            origin,
            identities: &request.ids,
        };
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        match self.prep.write(op, Reader::new(&request.body), who, world) {
            Prepared::Txn(txn) => self.propose(Proposal::unasked(txn)),
            Prepared::Undecodable => {
                self.refuse_forwarded(ErrorCode::MarshallingError, request, origin, wall_ms);
            }
        }
    }

    fn refuse_forwarded(
        &mut self,
        error: ErrorCode,
        request: &ForwardedRequest,
        origin: Origin,
        wall_ms: i64,
    ) {
        let who = Requester {
            session: request.session,
            cxid: request.cxid,
            origin,
            identities: &request.ids,
        };
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let txn = self.prep.refuse(error, who, world);
        self.propose(Proposal::unasked(txn));
    }

    /// Sessions of a learner's clients have shown life.
    pub(crate) fn handle_touched(&mut self, touches: &[Touch], now: Mono) {
        for touch in touches {
            self.sessions
                .touch_for(touch.session, touch.timeout_ms, now);
        }
    }

    /// A client presents a session to `from`. Whether it lives, and then its requests come
    /// from there alone.
    pub(crate) fn handle_revalidate(
        &mut self,
        from: LearnerId,
        session: SessionId,
        timeout_ms: i32,
        now: Mono,
    ) -> bool {
        let is_valid =
            self.sessions.is_global(session) && self.sessions.touch_for(session, timeout_ms, now);
        if is_valid {
            self.probe.reached("server: session moved to a learner");
            self.sessions.set_origin(session, Origin::Learner(from));
            if let Some(conn) = self.sessions.conn(session) {
                self.close(conn);
            }
        }
        debug!(%session, is_valid, "session to be revalidated");
        is_valid
    }
}

/// Of requests that no client has numbered.
pub(super) const UNNUMBERED: Xid = Xid(0);
