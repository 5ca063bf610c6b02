//! Local sessions: known to this server alone, and global from the first ephemeral on.

use bytes::Bytes;
use tracing::{debug, info};
use zk_env::Mono;
use zk_proto::{ErrorCode, OpCode, SessionId};

use super::commit::Proposal;
use super::leading::UNNUMBERED;
use super::{ConnId, Role, ZooKeeperServer, world};
use crate::conn::Request;
use crate::pipeline::{Applied, Asker, Opening, Prep, Requester, Waiting};
use crate::session::LocalSessions;

impl ZooKeeperServer {
    /// Whether sessions begin as local ones, in a role other than alone.
    pub(crate) fn with_local_sessions(mut self, local_sessions: LocalSessions) -> Self {
        self.local_sessions = local_sessions;
        self
    }

    pub(super) fn begins_local_sessions(&self) -> bool {
        match self.role {
            // There is nobody who could open another.
            Role::ReadOnly => true,
            Role::Leader | Role::Learner => self.local_sessions != LocalSessions::Off,
            Role::Standalone | Role::Looking => false,
        }
    }

    /// Whether the leader has to say if a session lives that is presented here.
    pub(super) fn asks_leader_for(&self, session: SessionId) -> bool {
        self.role == Role::Learner && !self.sessions.is_local(session)
    }

    pub(super) fn create_local_session(&mut self, session: SessionId, opening: Opening, now: Mono) {
        let timeout_ms = opening.timeout_ms;
        self.sessions
            .add_local(session, timeout_ms, opening.conn, now);
        debug!(%session, timeout_ms, "local session created");
        self.established(session, opening);
    }

    /// Whether a write is one that only a global session can ask for, of a local one.
    pub(super) fn needs_upgrade(&self, op: OpCode, request: &Request<'_>) -> bool {
        self.sessions.is_local(request.session)
            && Prep::asks_for_ephemeral(op, request.body.clone())
    }

    /// Makes the session a global one, ahead of the write that needs it, or refuses that.
    /// Apache refuses a multi by `SESSIONEXPIRED` of one of its operations, and a client had
    /// better not hear that word of a session that lives.
    pub(super) fn upgrade(&mut self, conn: ConnId, op: OpCode, request: Request<'_>, wall_ms: i64) {
        let session = request.session;
        if self.local_sessions != LocalSessions::Upgradeable {
            let xid = request.xid;
            let error = ErrorCode::EphemeralOnLocalSession;
            return self.refuse(session, Asker { conn, xid, op }, error);
        }
        if let Some(timeout_ms) = self.sessions.upgrade(session) {
            info!(%session, "upgrading a local session");
            self.probe.reached("server: local session upgraded");
            self.open_globally(session, timeout_ms, wall_ms);
        }
        if self.role == Role::Learner {
            self.forward_write(conn, op, request);
        } else {
            self.write(conn, op, request, wall_ms);
        }
    }

    fn open_globally(&mut self, session: SessionId, timeout_ms: i32, wall_ms: i64) {
        if self.role == Role::Learner {
            self.touched.insert(session, timeout_ms);
            return self.forward_open(session, timeout_ms);
        }
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let who = Requester::anonymous(session, UNNUMBERED);
        let txn = self.prep.create_session(timeout_ms, who, world);
        self.propose(Proposal::unasked(txn));
    }

    /// A client closes its local session: nobody has to agree, but it happens in its turn.
    pub(super) fn close_local_session(
        &mut self,
        conn: ConnId,
        frame: &Bytes,
        request: &Request<'_>,
    ) {
        let session = request.session;
        self.sessions.set_closing(session);
        if self.waiting.has(session) {
            let waiting = Waiting::Frame(conn, frame.clone());
            self.waiting.push(session, waiting);
        } else {
            self.closed_local_session(conn, request);
        }
    }

    /// The turn has come.
    pub(super) fn closed_local_session(&mut self, conn: ConnId, request: &Request<'_>) {
        let asker = Asker {
            conn,
            xid: request.xid,
            op: OpCode::CloseSession,
        };
        self.end_local_session(request.session, Some(asker));
    }

    /// Forgets a local session, which has nothing in the tree.
    pub(super) fn end_local_session(&mut self, session: SessionId, asker: Option<Asker>) {
        debug!(%session, "local session ended");
        match asker {
            Some(asker) => self.answer(asker, &Applied::Session),
            None => {
                if let Some(conn) = self.sessions.conn(session) {
                    self.close(conn);
                }
            }
        }
        self.waiting.forget(session);
        self.sessions.remove(session);
    }
}
