//! A leader's machine and a learner's, and what goes between them in order.

use super::commit::OK;
use super::*;
use crate::quorum::{LearnerId, Touch};
use crate::session::LocalSessions;
use crate::txn::{Txn, decode_txn, encode_txn};
use crate::zookeeper_server::Upstream;

/// Where the epoch begins in which these two serve.
pub(super) const EPOCH: Zxid = Zxid(0x1_0000_0000);
/// The learner's connection, as the leader numbers it.
pub(super) const LEARNER: LearnerId = LearnerId(1);
const LEADER_ID: u8 = 1;
const LEARNER_ID: u8 = 2;

pub(super) struct Pair {
    pub(super) leader: Fixture,
    pub(super) learner: Fixture,
    /// What the leader has said and the learner has not heard.
    down: VecDeque<Down>,
}

enum Down {
    Committed(Txn),
    Synced,
    Revalidated(SessionId, bool),
}

impl Fixture {
    pub(super) fn in_ensemble(id: u8) -> Self {
        let mut fixture = Self::new();
        fixture.server = fixture.server.in_ensemble(id, fixture.wall_ms, 42);
        fixture
    }

    fn with_local_sessions(mut self, local: LocalSessions) -> Self {
        self.server = self.server.with_local_sessions(local);
        self
    }

    /// The answer to a ConnectRequest, if it has come by now.
    pub(super) fn response(&mut self, conn: ConnId) -> Option<ConnectResponse> {
        let frame = self.inboxes.get_mut(&conn)?.frames.pop_front()?;
        Some(ConnectResponse::decode(&mut Reader::new(&frame)).unwrap())
    }

    /// Presents a session on a new connection.
    pub(super) fn present(&mut self, client: &Client, timeout_ms: i32) -> Client {
        let conn = self.accept();
        let request = ConnectRequest {
            session_id: client.session,
            password: client.password.clone(),
            timeout_ms,
            ..new_session()
        };
        self.feed(conn, &request);
        Client {
            conn,
            ..client.clone()
        }
    }
}

pub(super) fn client_of(conn: ConnId, response: &ConnectResponse) -> Client {
    Client {
        conn,
        session: response.session_id,
        password: response.password.clone(),
    }
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(LocalSessions::Off)
    }

    pub(super) fn with(local: LocalSessions) -> Self {
        let mut leader = Fixture::in_ensemble(LEADER_ID).with_local_sessions(local);
        let mut learner = Fixture::in_ensemble(LEARNER_ID).with_local_sessions(local);
        leader.server.lead(EPOCH, leader.now);
        learner.server.learn(EPOCH);
        Self {
            leader,
            learner,
            down: VecDeque::new(),
        }
    }

    /// The leader hears everything that its learner has for it, and proposes what comes of
    /// it. Neither has applied any of that.
    pub(super) fn up(&mut self) {
        while let Some(next) = self.learner.server.poll_upstream() {
            match next {
                Upstream::Request(request) if request.op == i32::from(OpCode::Sync) => {
                    self.propose();
                    self.down.push_back(Down::Synced);
                }
                Upstream::Request(request) => {
                    let (now, wall) = (self.leader.now, self.leader.wall_ms);
                    let leader = &mut self.leader.server;
                    leader.handle_forwarded(LEARNER, &request, now, wall);
                }
                Upstream::Revalidate {
                    session,
                    timeout_ms,
                } => {
                    self.propose();
                    self.revalidate(session, timeout_ms);
                }
            }
        }
        self.propose();
    }

    fn revalidate(&mut self, session: SessionId, timeout_ms: i32) {
        let now = self.leader.now;
        let leader = &mut self.leader.server;
        let is_valid = leader.handle_revalidate(LEARNER, session, timeout_ms, now);
        self.leader.collect();
        self.down.push_back(Down::Revalidated(session, is_valid));
    }

    /// What the leader has made is on its way.
    pub(super) fn propose(&mut self) {
        while let Some(txn) = self.leader.server.poll_txn() {
            let mut bytes = BytesMut::new();
            encode_txn(txn, &mut bytes);
            let txn = decode_txn(&bytes.freeze()).unwrap();
            self.down.push_back(Down::Committed(txn));
        }
    }

    /// The next transaction on its way, which then never arrives.
    pub(super) fn intercept(&mut self) -> Option<Txn> {
        match self.down.pop_front() {
            Some(Down::Committed(txn)) => Some(txn),
            Some(Down::Synced | Down::Revalidated(..)) | None => None,
        }
    }

    /// Everything is committed, on both sides.
    pub(super) fn down(&mut self) {
        while let Some(next) = self.down.pop_front() {
            let now = self.learner.now;
            match next {
                Down::Committed(txn) => {
                    self.leader.server.handle_committed(txn.header.zxid);
                    self.learner.server.handle_learned(txn, now);
                }
                Down::Synced => self.learner.server.handle_synced(),
                Down::Revalidated(session, is_valid) => {
                    let learner = &mut self.learner.server;
                    learner.handle_revalidated(session, is_valid, now);
                }
            }
        }
        self.leader.collect();
        self.learner.collect();
    }

    /// Whatever was asked for is done.
    pub(super) fn settle(&mut self) {
        self.up();
        self.down();
        self.assert_equal();
    }

    #[track_caller]
    pub(super) fn assert_equal(&self) {
        let digest = |fixture: &Fixture| {
            let tree = fixture.server.tree();
            (tree.last_processed(), tree.digest())
        };
        // An epoch that has seen no transaction has left no trace at its learner.
        if self.learner.zxid() > EPOCH {
            assert_eq!(digest(&self.leader), digest(&self.learner));
        }
        assert_eq!(self.learner.server.digest_mismatch, None);
    }

    /// A client of the learner's with a new session.
    pub(super) fn client(&mut self) -> Client {
        let conn = self.learner.accept();
        self.learner.feed(conn, &new_session());
        self.settle();
        client_of(conn, &self.learner.response(conn).unwrap())
    }

    /// A client of the leader's with a new session.
    pub(super) fn leaders_client(&mut self) -> Client {
        let conn = self.leader.accept();
        self.leader.feed(conn, &new_session());
        self.settle();
        client_of(conn, &self.leader.response(conn).unwrap())
    }

    /// A client of the learner's creates a znode.
    #[track_caller]
    pub(super) fn create(&mut self, client: &Client, path: &str, flags: i32) {
        self.learner
            .send(client, 7, OpCode::Create, &create(path, flags));
        self.settle();
        assert_eq!(self.learner.answers(client), [(7, OK)]);
    }

    /// Time passes on both sides, and the leader's decisions arrive.
    pub(super) fn advance(&mut self, duration: Duration) {
        self.leader.advance(duration);
        self.learner.advance(duration);
        self.settle();
    }

    /// The leader pings, and hears in the answer who has shown life.
    pub(super) fn ping(&mut self) {
        let touched = self.learner.server.take_touched();
        let touched: Vec<_> = touched
            .map(|(session, timeout_ms)| Touch {
                session,
                timeout_ms,
            })
            .collect();
        self.leader.server.handle_touched(&touched, self.leader.now);
    }
}
