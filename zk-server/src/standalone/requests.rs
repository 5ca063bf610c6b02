//! Requests of established sessions: by kind, to be read, written or refused.

use tracing::debug;
use zk_env::Mono;
use zk_proto::{ErrorCode, OpCode};

use super::{ConnId, Standalone, world};
use crate::conn::Request;
use crate::pipeline::{Applied, Prepared, Reading, Requester, last_op, reply_write};

impl Standalone {
    pub(super) fn request(&mut self, conn: ConnId, request: Request<'_>, now: Mono, wall_ms: i64) {
        if !self.sessions.touch(request.session, now) {
            // Its end has closed the connection, or is about to.
            self.probe
                .reached("server: request of a session that has ended");
            return;
        }
        let op = match OpCode::try_from(request.op) {
            Ok(op) => op,
            Err(code) => return self.unimplemented(conn, &request, code),
        };
        match kind(op) {
            Kind::Read => self.read(conn, op, request),
            Kind::Write => self.write(conn, op, request, wall_ms),
            Kind::CloseSession => self.close_session(conn, &request, wall_ms),
            Kind::Refused => self.unimplemented(conn, &request, op.into()),
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

    /// Prepared and applied in one go; with peers a quorum would come in between.
    fn write(&mut self, conn: ConnId, op: OpCode, request: Request<'_>, wall_ms: i64) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let xid = request.xid;
        let who = Requester {
            session: request.session,
            cxid: xid,
            identities: connection.identities(),
        };
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let applied = match self.prep.write(op, request.body, who, world) {
            Prepared::Txn(txn) => self.apply(txn),
            Prepared::Undecodable => Applied::Failed(ErrorCode::MarshallingError),
        };
        if matches!(applied, Applied::Failed(ErrorCode::NoAuth)) {
            self.probe.reached("server: ACL refused a write");
        }
        let zxid = self.tree.last_processed();
        let name = match applied {
            // As in Apache a failed write leaves no name.
            Applied::Failed(_) => "NA",
            Applied::Session | Applied::Change(_) | Applied::SetAcl(_) | Applied::Multi(_) => {
                last_op(op)
            }
        };
        if let Some((connection, _)) = self.connections.get_mut(conn) {
            reply_write(connection, xid, zxid, &applied);
            connection.answered(name, xid, zxid);
        }
    }
}

/// What to do with an operation that a client asks for.
enum Kind {
    Read,
    Write,
    CloseSession,
    /// For the server's own use, only inside a multi, or no request at all.
    Refused,
}

const fn kind(op: OpCode) -> Kind {
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
