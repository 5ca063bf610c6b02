//! Requests of established sessions: by kind, to be read, written or refused.

use bytes::Bytes;
use tracing::debug;
use zk_env::Mono;
use zk_proto::{ErrorCode, OpCode};

use super::commit::Proposal;
use super::{ConnId, Role, ZooKeeperServer, world};
use crate::conn::Request;
use crate::pipeline::{Asker, Prepared, Reading, Requester, Waiting, last_op};
use crate::session::Origin;

impl ZooKeeperServer {
    /// `frame` is the whole of what `request` was read from.
    pub(super) fn request(
        &mut self,
        conn: ConnId,
        frame: &Bytes,
        request: Request<'_>,
        now: Mono,
        wall_ms: i64,
    ) {
        let session = request.session;
        if !self.sessions.touch(session, now) {
            // Its end has closed the connection, or is about to.
            self.probe
                .reached("server: request of a session that has ended");
            return;
        }
        let is_learner = self.role == Role::Learner;
        if is_learner
            && self.sessions.is_global(session)
            && let Some(timeout_ms) = self.sessions.timeout_ms(session)
        {
            self.touched.insert(session, timeout_ms);
        }
        let op = OpCode::try_from(request.op);
        if let Ok(op) = op
            && self.refuses_in_read_only_mode(op)
        {
            return self.not_read_only(conn, &request);
        }
        match op.map(|op| (kind(op), op)) {
            Ok((Kind::Write, op)) if self.needs_upgrade(op, &request) => {
                self.upgrade(conn, op, request, wall_ms);
            }
            Ok((Kind::Write, op)) if is_learner => self.forward_write(conn, op, request),
            Ok((Kind::CloseSession, _)) if self.sessions.is_local(session) => {
                self.close_local_session(conn, frame, &request);
            }
            Ok((Kind::CloseSession, op)) if is_learner => {
                self.sessions.set_closing(session);
                self.forward_write(conn, op, request);
            }
            Ok((_, OpCode::Sync)) if is_learner => self.forward_sync(conn, frame, &request),
            Ok((Kind::Write, op)) => self.write(conn, op, request, wall_ms),
            Ok((Kind::CloseSession, _)) => self.close_session(conn, &request, wall_ms),
            // A ping asks whether the server is there, not whether its disk is fast.
            Ok((Kind::Read, OpCode::Ping)) => self.look(conn, request),
            Ok((Kind::Read | Kind::Refused, _)) | Err(_) if self.waiting.has(session) => {
                let waiting = Waiting::Frame(conn, frame.clone());
                self.waiting.push(session, waiting);
            }
            Ok((Kind::Read | Kind::Refused, _)) | Err(_) => self.look(conn, request),
        }
    }

    /// What is no write, now that its turn has come.
    pub(super) fn look(&mut self, conn: ConnId, request: Request<'_>) {
        match OpCode::try_from(request.op) {
            Ok(op) => match kind(op) {
                Kind::Read => self.read(conn, op, request),
                // Writes never wait to become one, but for those that are none.
                Kind::Write => {}
                Kind::CloseSession => self.closed_local_session(conn, &request),
                Kind::Refused => self.unimplemented(conn, &request, op.into()),
            },
            Err(code) => self.unimplemented(conn, &request, code),
        }
    }

    fn unimplemented(&mut self, conn: ConnId, request: &Request<'_>, op: i32) {
        debug!(session = %request.session, op, "unknown operation");
        self.probe.reached("server: operation unknown");
        if let Some((connection, _)) = self.connections.get_mut(conn) {
            connection.unimplemented(request.xid);
        }
    }

    fn read(&mut self, conn: ConnId, op: OpCode, request: Request<'_>) {
        let Some((connection, schemes)) = self.connections.get_mut(conn) else {
            return;
        };
        let xid = request.xid;
        let mut reading = Reading {
            conn,
            connection,
            schemes,
            tree: &self.tree,
            watches: &mut self.watches,
            multi_read_limit: self.multi_read_limit,
        };
        reading.answer(op, request);
        connection.answered(last_op(op), xid, self.tree.last_processed());
    }

    pub(super) fn write(&mut self, conn: ConnId, op: OpCode, request: Request<'_>, wall_ms: i64) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let Request { session, xid, .. } = request;
        self.sessions.claim(session, Origin::Here);
        let who = Requester {
            session,
            cxid: xid,
            origin: Origin::Here,
            identities: connection.identities(),
        };
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let asker = Asker { conn, xid, op };
        match self.prep.write(op, request.body, who, world) {
            Prepared::Txn(txn) => self.propose(Proposal::asked(txn, Waiting::Write(asker))),
            Prepared::Undecodable => self.refuse(session, asker, ErrorCode::MarshallingError),
        }
    }
}

/// What to do with an operation that a client asks for.
pub(super) enum Kind {
    Read,
    Write,
    CloseSession,
    /// For the server's own use, only inside a multi, or no request at all.
    Refused,
}

pub(super) const fn kind(op: OpCode) -> Kind {
    match op {
        OpCode::Ping
        | OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::GetAllChildrenNumber
        | OpCode::GetEphemerals
        | OpCode::MultiRead
        | OpCode::Sync
        | OpCode::WhoAmI
        | OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::AddWatch
        | OpCode::CheckWatches
        | OpCode::RemoveWatches => Kind::Read,
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Multi
        | OpCode::Reconfig => Kind::Write,
        OpCode::CloseSession => Kind::CloseSession,
        OpCode::Notification
        | OpCode::Check
        | OpCode::DeleteContainer
        | OpCode::CreateSession
        | OpCode::Error
        // The connection has dealt with these two.
        | OpCode::Auth
        | OpCode::Sasl => Kind::Refused,
    }
}
