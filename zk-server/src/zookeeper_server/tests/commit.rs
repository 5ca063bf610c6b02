//! A machine whose transactions are committed from outside.

use super::*;

impl Fixture {
    fn deferring() -> Self {
        let mut fixture = Self::new();
        fixture.server = fixture.server.defer_commits();
        fixture
    }

    /// The transactions that are to be made durable now.
    fn polled(&mut self) -> Vec<Zxid> {
        let mut zxids = Vec::new();
        while let Some(txn) = self.server.poll_txn() {
            zxids.push(txn.header.zxid);
        }
        zxids
    }

    pub(super) fn commit(&mut self, zxid: i64) {
        self.server.handle_committed(Zxid(zxid));
        self.collect();
    }

    pub(super) fn commit_all(&mut self) {
        if let Some(last) = self.polled().last() {
            self.commit(last.0);
        }
    }

    fn client_committed(&mut self) -> Client {
        let conn = self.accept();
        assert!(self.handshake(conn, &new_session()).is_none());
        self.commit_all();
        let frame = self.inboxes.get_mut(&conn).unwrap().frames.pop_front();
        let response = ConnectResponse::decode(&mut Reader::new(&frame.unwrap())).unwrap();
        Client {
            conn,
            session: response.session_id,
            password: response.password,
        }
    }

    pub(super) fn send(&mut self, client: &Client, xid: i32, op: OpCode, body: &impl Encode) {
        let header = RequestHeader {
            xid: Xid(xid),
            op: op.into(),
        };
        self.feed(client.conn, &(header, body));
    }

    /// The xids answered since the last call, events left out, with their errors.
    pub(super) fn answers(&mut self, client: &Client) -> Vec<(i32, ErrorCode)> {
        let frames = std::mem::take(&mut self.inbox(client).frames);
        let replies = frames.iter().map(Reply::read);
        replies
            .filter(|reply| reply.xid != Xid::NOTIFICATION)
            .map(|reply| (reply.xid.0, reply.err))
            .collect()
    }
}

pub(super) const OK: ErrorCode = ErrorCode::Ok;

pub(super) fn exists(path: &str) -> ExistsRequest<'_> {
    ExistsRequest {
        path: path.into(),
        watch: false,
    }
}

#[test]
fn a_session_opens_with_its_commit_and_sends_nothing_before() {
    let mut s = Fixture::deferring();
    let conn = s.accept();
    assert!(s.server.wants_frames(conn));
    assert!(s.handshake(conn, &new_session()).is_none());
    assert!(!s.server.wants_frames(conn), "a session first");
    assert_eq!(s.polled(), [Zxid(1)]);
    assert_eq!(s.polled(), [], "each once");
    assert_eq!(s.server.last_zxid(), Zxid::ZERO);
    s.commit(1);
    assert!(s.server.wants_frames(conn));
    assert_eq!(s.inboxes[&conn].frames.len(), 1);
    assert_eq!(s.server.last_zxid(), Zxid(1));
}

#[test]
fn nothing_is_answered_or_seen_before_its_commit() {
    let mut s = Fixture::deferring();
    let (a, b) = (s.client_committed(), s.client_committed());
    s.send(&a, 1, OpCode::Create, &create("/a", 0));
    s.send(&b, 1, OpCode::Exists, &exists("/a"));
    assert_eq!(s.answers(&a), []);
    assert_eq!(s.answers(&b), [(1, ErrorCode::NoNode)]);
    s.commit(9);
    assert_eq!(s.answers(&a), [], "it has not even been handed out");
    s.commit_all();
    assert_eq!(s.answers(&a), [(1, OK)]);
    s.send(&b, 2, OpCode::Exists, &exists("/a"));
    assert_eq!(s.answers(&b), [(2, OK)]);
}

#[test]
fn reads_wait_behind_writes_of_their_own_session() {
    let mut s = Fixture::deferring();
    let c = s.client_committed();
    s.send(&c, 1, OpCode::Create, &create("/a", 0));
    s.send(&c, 2, OpCode::Exists, &exists("/a"));
    s.send(&c, 3, OpCode::Create, &create("/a/b", 0));
    s.send(&c, 4, OpCode::Create, &Raw(b"nonsense"));
    s.send(&c, 5, OpCode::Exists, &exists("/a/b"));
    assert_eq!(
        s.polled(),
        [Zxid(2), Zxid(3)],
        "writes do not wait for reads"
    );
    assert_eq!(s.answers(&c), []);
    s.commit(2);
    assert_eq!(s.answers(&c), [(1, OK), (2, OK)]);
    s.commit(3);
    let marshalling = ErrorCode::MarshallingError;
    assert_eq!(s.answers(&c), [(3, OK), (4, marshalling), (5, OK)]);
}

#[test]
fn pings_wait_for_nothing() {
    let mut s = Fixture::deferring();
    let c = s.client_committed();
    s.send(&c, 1, OpCode::Create, &create("/a", 0));
    s.send(&c, -2, OpCode::Ping, &());
    assert_eq!(s.answers(&c), [(-2, OK)]);
}

#[test]
fn a_line_goes_on_over_the_connections_of_its_session() {
    let mut s = Fixture::deferring();
    let mut c = s.client_committed();
    s.send(&c, 1, OpCode::Create, &create("/a", 0));
    let response = s.reconnect(&mut c);
    assert_eq!(response.session_id, c.session);
    s.send(&c, 2, OpCode::Exists, &exists("/a"));
    assert_eq!(s.answers(&c), [], "the write came first");
    s.commit_all();
    assert_eq!(s.answers(&c), [(2, OK)], "who asked for the write is gone");
}

#[test]
fn a_session_ends_with_its_commit_and_takes_what_waits_along() {
    let mut s = Fixture::deferring();
    let c = s.client_committed();
    s.send(&c, 1, OpCode::Create, &create("/e", 1));
    s.send(&c, 2, OpCode::Exists, &exists("/e"));
    s.send(&c, 3, OpCode::CloseSession, &());
    s.send(&c, 4, OpCode::Exists, &exists("/e"));
    assert_eq!(s.server.session_count(), 1);
    s.commit_all();
    assert_eq!(s.answers(&c), [(1, OK), (2, OK), (3, OK)]);
    assert!(s.is_closed(&c));
    assert_eq!(s.server.session_count(), 0);
    assert_eq!(s.server.ephemerals_count(), 0);
}

#[test]
fn an_expiry_spares_nothing_that_was_under_way() {
    let mut s = Fixture::deferring();
    let c = s.client_committed();
    s.send(&c, 1, OpCode::Create, &create("/e", 1));
    s.send(&c, 2, OpCode::Exists, &exists("/e"));
    s.advance(Duration::from_secs(10));
    assert!(s.is_closed(&c));
    s.commit_all();
    assert_eq!(s.server.session_count(), 0);
    assert_eq!(s.server.ephemerals_count(), 0);
    assert_eq!(s.answers(&c), []);
}

#[test]
fn a_line_has_a_bound() {
    let mut s = Fixture::with(config().global_outstanding_limit(3));
    s.server = s.server.defer_commits();
    let c = s.client_committed();
    for xid in 1..=3 {
        assert!(s.server.wants_frames(c.conn), "{xid}");
        s.send(&c, xid, OpCode::Create, &create(&format!("/{xid}"), 0));
    }
    assert!(!s.server.wants_frames(c.conn));
    assert_eq!(s.polled().len(), 3);
    s.commit(2);
    assert!(s.server.wants_frames(c.conn));
}

#[test]
fn the_reaper_spares_what_is_being_written_to() {
    let mut s = Fixture::with(config().container_check_interval(Duration::from_secs(1)));
    s.server = s.server.defer_commits();
    let c = s.client_committed();
    s.send(&c, 1, OpCode::CreateTtl, &create_ttl("/t", 5, 1500));
    s.commit_all();
    s.advance(Duration::from_millis(2900));
    s.send(&c, 2, OpCode::SetData, &set_data("/t", b"again", -1));
    s.advance(Duration::from_millis(300));
    assert_eq!(s.polled(), [Zxid(3)], "no deletion");
    s.commit(3);
    assert_eq!(s.answers(&c), [(1, OK), (2, OK)]);
}
