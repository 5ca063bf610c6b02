//! Read-only mode (Apache's `ReadOnlyZooKeeperServer`): what is here is read while there is
//! no leader, by clients that have said that they can do with that. It includes transactions
//! that are logged and may never be committed.
//!
//! Sessions are local ones, whether or not they are elsewhere: without them Apache's server
//! answers the handshake with something else.

use tracing::info;
use zk_proto::record::ConnectRequest;
use zk_proto::{ErrorCode, OpCode};

use super::requests::{Kind, kind};
use super::{ConnId, Role, ZooKeeperServer};
use crate::conn::Request;

impl ZooKeeperServer {
    /// Begins to serve readers; [`end_role`](Self::end_role) ends it.
    pub(crate) const fn serve_read_only(&mut self) {
        self.role = Role::ReadOnly;
    }

    /// Whether only readers are served.
    pub(crate) fn is_read_only(&self) -> bool {
        self.role == Role::ReadOnly
    }

    /// Whether a client may have, or keep, a session here. One that all of the ensemble
    /// knows cannot be kept alive from here.
    pub(super) fn admits_in_read_only_mode(&self, request: &ConnectRequest) -> bool {
        if !self.is_read_only() {
            return true;
        }
        let session = request.session_id;
        let is_admitted = request.read_only == Some(true) && !self.sessions.is_global(session);
        if !is_admitted {
            self.probe
                .reached("server: refused a client in read-only mode");
            info!(%session, wants = ?request.read_only, "refusing a client in read-only mode");
        }
        is_admitted
    }

    /// What the client is told of the mode, if it has asked.
    pub(super) fn read_only_byte(&self, asked: Option<bool>) -> Option<bool> {
        asked.map(|_| self.is_read_only())
    }

    /// Whether an operation cannot be done without a leader.
    pub(super) fn refuses_in_read_only_mode(&self, op: OpCode) -> bool {
        let needs_leader =
            matches!(kind(op), Kind::Write) || matches!(op, OpCode::Sync | OpCode::Check);
        self.is_read_only() && needs_leader
    }

    /// Says so.
    pub(super) fn not_read_only(&mut self, conn: ConnId, request: &Request<'_>) {
        let zxid = self.tree.last_processed();
        if let Some((connection, _)) = self.connections.get_mut(conn) {
            connection.reply(request.xid, zxid, ErrorCode::NotReadOnly, &());
        }
    }
}
