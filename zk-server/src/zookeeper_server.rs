//! The server of clients (Apache's `ZooKeeperServer`), pure: no socket, lock, task or clock.
//!
//! # How to drive it
//!
//! One input (`handle_*`, `expire_session`), then drain [`ZooKeeperServer::poll_output`],
//! then sleep until [`ZooKeeperServer::poll_timeout`]. Several inputs before one drain are
//! fine, and better: all frames for one connection come out as one
//! [`Output::Send`], in the order in which they were made, so a batch of requests
//! costs one buffer. Outputs for different connections are in no particular order.
//! Small requests can have large answers: drain before
//! [`ZooKeeperServer::queued_bytes`] gets too high.
//!
//! # Commits
//!
//! As it is made, the machine applies every transaction at once. One that
//! [defers commits](ZooKeeperServer::defer_commits) hands them out by
//! [`poll_txn`](ZooKeeperServer::poll_txn) and applies them when it hears
//! [`handle_committed`](ZooKeeperServer::handle_committed): there a log comes in between, and
//! nothing is answered or seen before it is durable. Meanwhile a session's reads wait
//! behind its own writes; pings and other sessions do not.
//!
//! # Where it differs from Apache 3.9.5 on purpose
//!
//! - What Apache lets into its log and then stumbles over is refused with
//!   `BadArguments`: flags that do not fit the operation (create and create2 with
//!   those of a container, createContainer and createTTL with those of anything
//!   else), and quota limits for the root.
//! - The server's own operations, −10 and 20, are unknown to clients.
//! - Nothing is done of what a client sends behind an unknown operation, a
//!   closeSession or anything else that closes the connection.
//! - A quota's usage that a client has overwritten with nonsense starts anew, and
//!   limits end with a znode below `/zookeeper/quota` only. Apache dies of the one and
//!   confuses paths in the other case.
//! - The reaper never deletes what has become a plain znode meanwhile, nor a TTL znode
//!   that was written to after it had been chosen. Ages of TTL
//!   znodes and containers do not follow a wall clock that is set; they count from
//!   the reaper's first look, so that a TTL can take one more check interval.
//! - A watch on a null path is accepted and is none.
//! - What Apache does in the order of a hash table happens in order: children, the
//!   ephemerals of a session, identities.
//! - In read-only mode every session is local. Without `localSessionsEnabled` Apache
//!   answers the handshake there with bytes that are no answer to it.
//! - A local session that may not be upgraded hears so of a multi with an ephemeral as of
//!   a create; Apache says that one of the operations found the session expired.
//! - Bounds where Apache has none: the identities of a connection, the entries that
//!   `auth` expands to, the bytes that a multiRead answers.

mod commit;
mod inspect;
mod leading;
mod learning;
mod local;
mod read_only;
mod requests;
mod role;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tracing::{debug, info};
use zk_env::{EnvRng, Mono, Probe};
use zk_proto::record::ConnectRequest;
use zk_proto::{OpCode, SessionId, Xid, Zxid};

use crate::auth::Schemes;
use crate::config::ServerConfig;
use crate::conn::{Connections, Received, Request};
use crate::observe::TransactionObserver;
use crate::pipeline::{
    Asker, ContainerManager, Opening, Prep, Requester, Waiting, WaitingRequests, World,
};
use crate::session::{LocalSessions, Origin, SessionIds, Sessions, password};
use crate::storage::Recovered;
use crate::tree::{DataTree, SeededState, Watches};
use crate::txn::TxnBody;

use commit::{InFlight, Proposal};

pub(crate) use crate::conn::{ConnId, ConnInfo, Output};
pub(crate) use crate::session::SessionInfo;
pub(crate) use crate::tree::WatchSummary;
pub(crate) use role::{Role, Upstream};

/// A standalone server's id, the high byte of its session ids.
const SERVER_ID: u8 = 1;

/// Tree, sessions, pipeline and connections of a server without peers.
#[derive(Debug)]
pub(crate) struct ZooKeeperServer {
    tree: DataTree,
    watches: Watches,
    sessions: Sessions,
    session_ids: SessionIds,
    prep: Prep,
    connections: Connections,
    containers: ContainerManager,
    /// Transactions that have been made and not been committed, in order.
    in_flight: InFlight,
    waiting: WaitingRequests,
    /// Of one session.
    waiting_limit: usize,
    min_timeout_ms: i32,
    max_timeout_ms: i32,
    multi_read_limit: usize,
    tick_time: Duration,
    role: Role,
    local_sessions: LocalSessions,
    /// What goes to the leader. Bounded by what the sessions may keep waiting, and beyond
    /// a limit in bytes no frame is wanted.
    upstream: VecDeque<Upstream>,
    upstream_bytes: usize,
    /// Sessions whose `sync`s the leader will answer, in order.
    syncs: VecDeque<SessionId>,
    /// Sessions that the leader is asked for; one for each connection at most.
    revalidating: FxHashMap<SessionId, Opening>,
    /// Sessions that have shown life, for the leader to hear.
    touched: BTreeMap<SessionId, i32>,
    /// The first transaction after which the tree was not the leader's.
    digest_mismatch: Option<Zxid>,
    /// What a simulator sees and disturbs.
    probe: Probe,
    on_transaction: TransactionObserver,
}

impl ZooKeeperServer {
    /// An empty tree. `seed` keys the hash tables.
    pub(crate) fn new(config: &ServerConfig, now: Mono, wall_ms: i64, seed: u64) -> Self {
        let hashing = SeededState(seed);
        let tree = DataTree::new(hashing);
        Self {
            prep: Prep::new(config, hashing, tree.last_processed()),
            tree,
            watches: Watches::new(hashing),
            sessions: Sessions::new(config.tick_time),
            session_ids: SessionIds::new(SERVER_ID, id_origin(wall_ms, seed)),
            connections: Connections::new(Schemes::new(config)),
            containers: ContainerManager::new(config, now),
            in_flight: InFlight::default(),
            waiting: WaitingRequests::default(),
            waiting_limit: config.global_outstanding_limit as usize,
            min_timeout_ms: millis(config.min_session_timeout),
            max_timeout_ms: millis(config.max_session_timeout),
            multi_read_limit: config.outbox_limit_bytes,
            tick_time: config.tick_time,
            role: Role::Standalone,
            local_sessions: LocalSessions::Off,
            upstream: VecDeque::new(),
            upstream_bytes: 0,
            syncs: VecDeque::new(),
            revalidating: FxHashMap::default(),
            touched: BTreeMap::new(),
            digest_mismatch: None,
            probe: Probe::default(),
            on_transaction: TransactionObserver::default(),
        }
    }

    /// Goes on with what was stored. Every session gets its full timeout.
    pub(crate) fn recovered(mut self, recovered: Recovered, now: Mono) -> Self {
        self.prep.resume_after(recovered.last_zxid);
        self.tree = recovered.tree;
        for (session, timeout_ms) in recovered.sessions {
            self.sessions.load(session, timeout_ms, now);
        }
        self
    }

    /// Lets a simulator see and disturb what happens.
    pub(crate) fn observed_by(mut self, probe: Probe, on_transaction: TransactionObserver) -> Self {
        self.prep.observed_by(probe.clone());
        self.connections.observed_by(probe.clone());
        self.probe = probe;
        self.on_transaction = on_transaction;
        self
    }

    /// Draws what SASL needs from `rng`; without it there is no SASL.
    pub(crate) fn with_nonces(mut self, rng: EnvRng) -> Self {
        self.connections.nonces_from(rng);
        self
    }

    /// A connection has been accepted.
    pub(crate) fn handle_accepted(&mut self, conn: ConnId, peer: SocketAddr) {
        self.connections.add(conn, peer);
    }

    /// The client has shown a certificate with this subject, before its first frame.
    pub(crate) fn handle_certified(&mut self, conn: ConnId, subject: &str) {
        self.connections.certified(conn, subject);
    }

    /// A whole frame's payload has arrived: the first one of a connection is its
    /// ConnectRequest. Frames of a connection that is closing, or unknown, are ignored.
    /// Not to be called unless the connection [wants frames](Self::wants_frames).
    pub(crate) fn handle_frame(&mut self, conn: ConnId, frame: &Bytes, now: Mono, wall_ms: i64) {
        let Some((connection, schemes)) = self.connections.get_mut(conn) else {
            return;
        };
        if connection.is_closing() {
            self.probe.reached("server: request behind a close");
        }
        match connection.handle_frame(frame, schemes) {
            Received::Connect(request) => self.connect(conn, &request, now, wall_ms),
            Received::Request(request) => self.request(conn, frame, request, now, wall_ms),
            Received::Handled => {}
        }
        self.settle(conn);
    }

    /// The socket is gone. Watches go with it; the session lives on.
    pub(crate) fn handle_closed(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.remove(conn) {
            self.watches.remove_conn(conn);
            self.sessions.disconnect(connection.session(), conn);
            let session = connection.session();
            if self
                .revalidating
                .get(&session)
                .is_some_and(|o| o.conn == conn)
            {
                self.revalidating.remove(&session);
            }
        }
    }

    /// Expires sessions and reaps containers and TTL znodes that are due.
    pub(crate) fn handle_timeout(&mut self, now: Mono, wall_ms: i64) {
        let spares_connected = self.probe.has_planted("session served past its expiry");
        let expiring = self.role.expiring();
        for session in self.sessions.take_expired(expiring, now, spares_connected) {
            self.probe.reached("server: session expired");
            info!(%session, "session expired");
            self.end_session(session, wall_ms);
        }
        if !self.role.decides() {
            return;
        }
        while let Some(path) = self.containers.poll(now, &self.tree) {
            if self.prep.is_changing(&path) {
                // It has been written to, or is on its way out already.
                continue;
            }
            debug!(%path, "reaping");
            self.probe.reached("server: container or TTL znode reaped");
            let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
            let txn = self.prep.delete_container(&path, world);
            self.propose(Proposal::reaping(txn, path));
        }
    }

    /// The server serves again after a stop: every session gets its full timeout,
    /// as after loading them from disk. Connections must have been closed before.
    pub(crate) fn handle_restarted(&mut self, now: Mono) {
        self.sessions.restart_timers(now);
        self.containers.restart(now);
    }

    /// When to call `handle_timeout` next.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let expiry = self.sessions.next_expiry(self.role.expiring());
        if !self.role.decides() {
            return expiry;
        }
        let reaping = self.containers.next_timeout();
        Some(expiry.map_or(reaping, |expiry| expiry.min(reaping)))
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.connections.poll_output()
    }

    /// Ends a session as its expiry would. False if there is no such session.
    pub(crate) fn expire_session(&mut self, session: SessionId, wall_ms: i64) -> bool {
        let may_end = self.role.decides() || self.sessions.is_local(session);
        let is_open = may_end && self.sessions.set_closing(session);
        if is_open {
            info!(%session, "session expired by request");
            self.end_session(session, wall_ms);
        }
        is_open
    }
}

/// Sessions.
impl ZooKeeperServer {
    fn connect(&mut self, conn: ConnId, request: &ConnectRequest, now: Mono, wall_ms: i64) {
        if !self.admits_in_read_only_mode(request) {
            return self.close(conn);
        }
        let ours = self.tree.last_processed();
        if request.last_zxid_seen > ours {
            self.probe
                .reached("server: refused a client that has seen more");
            let seen = request.last_zxid_seen;
            info!(%seen, %ours, "refusing a client that has seen more than this server");
            self.close(conn);
            return;
        }
        let timeout_ms = request
            .timeout_ms
            .clamp(self.min_timeout_ms, self.max_timeout_ms);
        let opening = Opening {
            conn,
            timeout_ms,
            read_only: request.read_only,
        };
        if request.session_id == SessionId::NONE {
            self.create_session(opening, now, wall_ms);
        } else if self.asks_leader_for(request.session_id)
            && request.password == password(request.session_id)
        {
            if let Some(old) = self.sessions.conn(request.session_id) {
                self.close(old);
            }
            self.forward_revalidation(request.session_id, opening);
        } else if self.renew_session(conn, request, timeout_ms, now) {
            self.established(request.session_id, opening);
        } else {
            self.turned_away(opening);
        }
    }

    fn create_session(&mut self, opening: Opening, now: Mono, wall_ms: i64) {
        if self.probe.buggify("server: skip a session id") {
            self.session_ids.next();
        }
        let mut session = self.session_ids.next();
        while self.sessions.contains(session) {
            // Another run of the server has handed it out, by a clock that was ahead.
            session = self.session_ids.next();
        }
        let timeout_ms = opening.timeout_ms;
        if let Some((connection, _)) = self.connections.get_mut(opening.conn) {
            connection.begin(session);
        }
        if self.begins_local_sessions() {
            return self.create_local_session(session, opening, now);
        }
        if self.role == Role::Learner {
            return self.forward_create_session(session, opening);
        }
        self.sessions.add(session, timeout_ms, opening.conn, now);
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let who = Requester::anonymous(session, Xid(0));
        let txn = self.prep.create_session(timeout_ms, who, world);
        debug!(%session, timeout_ms, "session created");
        self.propose(Proposal::asked(txn, Waiting::Open(opening)));
    }

    fn established(&mut self, session: SessionId, opening: Opening) {
        let read_only = self.read_only_byte(opening.read_only);
        if let Some((connection, _)) = self.connections.get_mut(opening.conn)
            && !connection.is_closing()
        {
            connection.establish(session, opening.timeout_ms, read_only);
        }
    }

    /// The session asked for is gone, or the password is wrong.
    fn turned_away(&mut self, opening: Opening) {
        let read_only = self.read_only_byte(opening.read_only);
        if let Some((connection, _)) = self.connections.get_mut(opening.conn) {
            connection.refuse(read_only);
        }
    }

    /// False if the session is gone or the password is wrong. The connection that
    /// spoke for the session so far is closed in any case, as Apache does.
    fn renew_session(
        &mut self,
        conn: ConnId,
        request: &ConnectRequest,
        timeout_ms: i32,
        now: Mono,
    ) -> bool {
        let session = request.session_id;
        if let Some(old) = self.sessions.conn(session) {
            self.probe
                .reached("server: session moved to another connection");
            self.close(old);
        }
        let is_valid = request.password == password(session)
            && self.sessions.renew(session, timeout_ms, conn, now);
        if is_valid {
            self.sessions.set_origin(session, Origin::Here);
        }
        debug!(%session, is_valid, "session to be renewed");
        if !is_valid {
            self.probe.reached("server: session to be renewed is gone");
        }
        is_valid
    }

    fn close_session(&mut self, conn: ConnId, request: &Request<'_>, wall_ms: i64) {
        let (session, xid) = (request.session, request.xid);
        self.sessions.set_closing(session);
        let asker = Asker {
            conn,
            xid,
            op: OpCode::CloseSession,
        };
        self.propose_close(session, xid, Some(Waiting::Write(asker)), wall_ms);
        debug!(%session, "session closed");
    }

    /// Ends a session that is closing already. Its connection goes first and hears
    /// nothing of it.
    fn end_session(&mut self, session: SessionId, wall_ms: i64) {
        if self.sessions.is_local(session) {
            return self.end_local_session(session, None);
        }
        if let Some(conn) = self.sessions.conn(session) {
            self.close(conn);
        }
        self.propose_close(session, Xid(0), None, wall_ms);
    }

    fn propose_close(
        &mut self,
        session: SessionId,
        cxid: Xid,
        waiting: Option<Waiting>,
        wall_ms: i64,
    ) {
        let world = world(&self.tree, &self.sessions, &self.connections, wall_ms);
        let who = Requester::anonymous(session, cxid);
        let txn = self.prep.close_session(who, world);
        if matches!(&txn.body, TxnBody::CloseSession { paths } if !paths.is_empty()) {
            self.probe
                .reached("server: ephemerals deleted with their session");
        }
        self.propose(match waiting {
            Some(waiting) => Proposal::asked(txn, waiting),
            None => Proposal::unasked(txn),
        });
    }
}

/// What everything else is made of.
impl ZooKeeperServer {
    /// Closes a connection for a reason that lies outside of it.
    fn close(&mut self, conn: ConnId) {
        if let Some((connection, _)) = self.connections.get_mut(conn) {
            connection.close();
        }
        self.settle(conn);
    }

    /// After a connection was acted upon: one that is closing has no watches and
    /// speaks for no session.
    fn settle(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        if connection.is_closing() {
            self.watches.remove_conn(conn);
            self.sessions.disconnect(connection.session(), conn);
        }
        self.connections.mark_ready(conn);
    }
}

fn world<'w>(
    tree: &'w DataTree,
    sessions: &'w Sessions,
    connections: &'w Connections,
    time_ms: i64,
) -> World<'w> {
    World {
        tree,
        sessions,
        schemes: connections.schemes(),
        time_ms,
    }
}

/// The time from which session ids are made. Not the monotonic clock's, which may
/// begin with the process: a server that starts anew with an empty tree must not hand
/// out the ids that clients of the last one still hold. Shifted by up to a quarter of
/// an hour, so that two servers do not share ids because a test started both in the
/// same millisecond.
const fn id_origin(wall_ms: i64, seed: u64) -> i64 {
    const SHIFT_BITS: u32 = 20;
    wall_ms.wrapping_add((seed >> (u64::BITS - SHIFT_BITS)) as i64)
}

/// Session timeouts travel as `i32` of milliseconds, which the configuration has
/// checked.
fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
