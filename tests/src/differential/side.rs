//! One of the two servers, and the run's connections to it. Every operation is
//! `begin`, which sends, and `collect`, which receives, so that both servers can
//! work at the same time; `calm` ends it: a ping on every connection, whose reply
//! proves that no event of this operation is still under way.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::record::{ConnectRequest, ConnectResponse};
use zk_proto::{Decode, Encode, OpCode, Password, Reader, RequestHeader, SessionId, Xid, Zxid};

use super::observation::{Line, Observation, Seen};
use super::op::{Handshake, OBSERVER, Op, Ordinal, PasswordChoice, Request, ZxidArg};
use super::reply::Incoming;
use crate::raw::{RawConnection, Received};

/// For an answer. Nothing but a dead or badly stuck server takes as long.
const ANSWER: Duration = Duration::from_secs(20);

/// Between two questions whether a barrier is passed.
const BARRIER_POLL: Duration = Duration::from_millis(10);

/// For a barrier, about forty seconds: the reaper's interval and the shortest
/// session timeout are far below.
const BARRIER_POLLS: usize = 4_000;

/// A server, and what the run has with it.
pub(crate) struct Side {
    address: SocketAddr,
    sessions: Vec<Session>,
    /// The zxid that opened the run's first session.
    base: Option<Zxid>,
    /// The newest zxid seen.
    last: Zxid,
    /// The zxid at which the operation under way has done what it does itself.
    done_at: Zxid,
    /// Made by `begin`, for `collect`.
    arriving: Option<RawConnection>,
    seen: Vec<Observation>,
}

struct Session {
    id: SessionId,
    password: Password,
    connection: Option<RawConnection>,
    xid: Xid,
}

impl Side {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sessions: Vec::new(),
            base: None,
            last: Zxid::ZERO,
            done_at: Zxid::ZERO,
            arriving: None,
            seen: Vec::new(),
        }
    }

    /// Ids of the sessions, by ordinal.
    pub(crate) fn session_ids(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().map(|session| session.id)
    }

    pub(crate) fn is_connected(&self, session: Ordinal) -> bool {
        self.sessions[session.0].connection.is_some()
    }

    /// Whether both have the same sessions, and the same of them connected.
    pub(crate) fn has_sessions_of(&self, other: &Self) -> bool {
        let connected = |side: &Self| -> Vec<_> {
            side.sessions
                .iter()
                .map(|it| it.connection.is_some())
                .collect()
        };
        connected(self) == connected(other)
    }

    pub(crate) const fn base(&self) -> Option<Zxid> {
        self.base
    }

    /// How far the run has come.
    pub(crate) const fn last_offset(&self) -> i64 {
        match self.base {
            Some(base) => self.last.0 - base.0,
            None => 0,
        }
    }

    /// What the operation under way has shown so far.
    pub(crate) fn seen(&self) -> &[Observation] {
        &self.seen
    }

    /// What the operation has shown, all of it.
    pub(crate) fn take_seen(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.seen)
    }

    // --- sending ---

    pub(crate) fn begin(&mut self, op: &Op) {
        self.done_at = self.last;
        match op {
            Op::Open(handshake) => {
                self.dial(&self.connect_request(handshake, SessionId::NONE, Password::none()));
            }
            Op::Visit {
                handshake,
                password_len,
                hasty,
            } => {
                let password = Password::new(vec![b'x'; *password_len]);
                self.dial(&self.connect_request(handshake, SessionId::NONE, password));
                if let (true, Some(connection)) = (hasty, &mut self.arriving) {
                    let _ = connection.send(&FAREWELL);
                }
            }
            Op::Late { session, handshake } => {
                self.begin_resume(*session, handshake, PasswordChoice::Right);
            }
            Op::Resume {
                session,
                handshake,
                password,
            } => self.begin_resume(*session, handshake, *password),
            Op::Stranger { handshake, id } => {
                self.dial(&self.connect_request(handshake, SessionId(*id), Password::none()));
            }
            Op::Intrude(payload) => self.dial(&Verbatim(payload)),
            Op::Disconnect(session) => self.sessions[session.0].connection = None,
            Op::Request(session, request) => self.send(*session, std::slice::from_ref(request)),
            Op::Pipeline(session, requests) => self.send(*session, requests),
            Op::Garble(session, bytes) => {
                if let Some(connection) = &mut self.sessions[session.0].connection {
                    // A broken connection shows when it is read from.
                    let _ = connection.send_bytes(bytes);
                }
            }
            Op::Expire { session, connected } => self.begin_expiry(*session, *connected),
        }
    }

    fn begin_resume(&mut self, session: Ordinal, handshake: &Handshake, choice: PasswordChoice) {
        let Session { id, password, .. } = &self.sessions[session.0];
        let password = match choice {
            PasswordChoice::Right => password.clone(),
            PasswordChoice::Wrong => Password::new(*b"not the password"),
            PasswordChoice::Empty => Password::new([]),
            PasswordChoice::Long => Password::new([password.as_bytes(), b"x"].concat()),
        };
        self.dial(&self.connect_request(handshake, *id, password));
    }

    /// The shortest timeout there is starts with the handshake, so that is done
    /// here.
    fn begin_expiry(&mut self, session: Ordinal, connected: bool) {
        let handshake = Handshake {
            protocol_version: 0,
            last_zxid: ZxidArg::Literal(0),
            timeout_ms: 1,
            read_only: Some(false),
        };
        self.begin_resume(session, &handshake, PasswordChoice::Right);
        self.collect_resume(session);
        if !connected {
            self.sessions[session.0].connection = None;
        }
    }

    fn connect_request(
        &self,
        handshake: &Handshake,
        session_id: SessionId,
        password: Password,
    ) -> ConnectRequest {
        ConnectRequest {
            protocol_version: handshake.protocol_version,
            last_zxid_seen: self.zxid(handshake.last_zxid),
            timeout_ms: handshake.timeout_ms,
            session_id,
            password,
            read_only: handshake.read_only,
        }
    }

    fn zxid(&self, arg: ZxidArg) -> Zxid {
        match arg {
            ZxidArg::Literal(zxid) => Zxid(zxid),
            ZxidArg::Offset(offset) => Zxid(self.base.map_or(0, |base| base.0) + offset),
        }
    }

    fn dial(&mut self, first: &impl Encode) {
        self.arriving = RawConnection::connect(self.address)
            .and_then(|mut connection| connection.send(first).map(|()| connection))
            .ok();
    }

    /// All of them in one write.
    fn send(&mut self, session: Ordinal, requests: &[Request]) {
        let mut bytes = BytesMut::new();
        for request in requests {
            let xid = match request.own_xid() {
                Some(xid) => Xid(xid),
                None => {
                    let session = &mut self.sessions[session.0];
                    session.xid = session.xid.next();
                    session.xid
                }
            };
            let mut body = BytesMut::new();
            request.encode_body(&|arg| self.zxid(arg), &mut body);
            let header = RequestHeader {
                xid,
                op: request.op(),
            };
            zk_proto::encode_frame(&mut bytes, &(header, Verbatim(&body)));
        }
        if let Some(connection) = &mut self.sessions[session.0].connection {
            let _ = connection.send_bytes(&bytes);
        }
    }

    // --- receiving ---

    pub(crate) fn collect(&mut self, op: &Op) {
        match op {
            Op::Open(_) => {
                if let Some((connection, response)) = self.welcome(None) {
                    self.sessions.push(Session {
                        id: response.session_id,
                        password: response.password,
                        connection: Some(connection),
                        xid: Xid(0),
                    });
                }
            }
            Op::Resume { session, .. } => self.collect_resume(*session),
            Op::Visit { hasty, .. } => self.collect_visit(*hasty),
            Op::Late { .. } | Op::Stranger { .. } | Op::Intrude(_) => self.collect_visit(false),
            // What it does shows on the other connections, if at all.
            Op::Disconnect(_) | Op::Garble(_, _) => {}
            Op::Request(session, request) => {
                self.replies(*session, std::slice::from_ref(request));
            }
            Op::Pipeline(session, requests) => self.replies(*session, requests),
            Op::Expire { session, .. } => self.collect_expiry(*session),
        }
    }

    /// The handshake's answer on the connection that `begin` made, and the
    /// connection if the server accepted it. `resumed` is the session it is about.
    fn welcome(&mut self, resumed: Option<Ordinal>) -> Option<(RawConnection, ConnectResponse)> {
        let Some(mut connection) = self.arriving.take() else {
            self.note(Line::New, Seen::Refused);
            return None;
        };
        let frame = match connection.receive(ANSWER) {
            Received::Frame(frame) => frame,
            Received::Closed => {
                self.note(Line::New, Seen::Closed);
                return None;
            }
            Received::TimedOut => {
                self.note(Line::New, Seen::Silence);
                return None;
            }
        };
        let Some(response) = connect_response(&frame) else {
            self.note(Line::New, Seen::Frame(Incoming::Unreadable(frame), None));
            return None;
        };
        let is_own =
            resumed.is_some_and(|session| self.sessions[session.0].password == response.password);
        self.note(Line::New, Seen::Connected(response.clone(), is_own));
        if response.timeout_ms > 0 {
            return Some((connection, response));
        }
        // The server closes behind the bad news.
        self.wait_for_end(Line::New, connection);
        None
    }

    fn collect_resume(&mut self, session: Ordinal) {
        let accepted = self.welcome(Some(session));
        let former = self.sessions[session.0].connection.take();
        let kept = former.and_then(|connection| self.calm_one(Line::Former(session), connection));
        self.sessions[session.0].connection = match accepted {
            Some((connection, _)) => Some(connection),
            None => kept,
        };
    }

    /// No session of this kind may stay: it would expire in the middle of the run.
    fn collect_visit(&mut self, has_said_farewell: bool) {
        let Some((mut connection, _)) = self.welcome(None) else {
            return;
        };
        if !has_said_farewell {
            let _ = connection.send(&FAREWELL);
        }
        loop {
            match connection.receive(ANSWER) {
                Received::Frame(frame) => {
                    let frame = Incoming::parse(&frame);
                    self.note(Line::New, Seen::Frame(frame, Some(FAREWELL.op)));
                }
                Received::Closed => return self.note(Line::New, Seen::Closed),
                Received::TimedOut => return self.note(Line::New, Seen::Silence),
            }
        }
    }

    /// Frames up to the last request's reply, or the end of the connection.
    fn replies(&mut self, session: Ordinal, requests: &[Request]) {
        let mut waiting = requests.iter();
        let Some(mut connection) = self.sessions[session.0].connection.take() else {
            return;
        };
        let mut next = waiting.next();
        let mut ends = false;
        while let Some(request) = next {
            match connection.receive(ANSWER) {
                Received::Frame(frame) => match Incoming::parse(&frame) {
                    Incoming::Reply(reply) => {
                        self.done_at = self.done_at.max(reply.header.zxid);
                        ends = reply.announces_end(request.op());
                        let reply = Incoming::Reply(reply);
                        self.note(Line::Of(session), Seen::Frame(reply, Some(request.op())));
                        next = waiting.next();
                    }
                    other => self.note(Line::Of(session), Seen::Frame(other, None)),
                },
                Received::Closed => return self.note(Line::Of(session), Seen::Closed),
                Received::TimedOut => {
                    self.note(Line::Of(session), Seen::Silence);
                    break;
                }
            }
        }
        if ends {
            // Not asked with a ping: Apache may still answer one before it closes.
            self.wait_for_end(Line::Of(session), connection);
        } else {
            self.sessions[session.0].connection = Some(connection);
        }
    }

    /// Receives up to the end that the server owes.
    fn wait_for_end(&mut self, line: Line, mut connection: RawConnection) {
        loop {
            match connection.receive(ANSWER) {
                Received::Frame(frame) => {
                    self.note(line, Seen::Frame(Incoming::parse(&frame), None));
                }
                Received::Closed => return self.note(line, Seen::Closed),
                Received::TimedOut => return self.note(line, Seen::Silence),
            }
        }
    }

    /// What the session itself still hears is not looked at: Apache queues the
    /// events of its ephemerals' end, then closes the socket without regard to
    /// what has been written.
    fn collect_expiry(&mut self, session: Ordinal) {
        self.done_at = Zxid(self.last.0 + 1);
        self.wait_for(self.done_at, "the session did not expire");
        let Some(mut connection) = self.sessions[session.0].connection.take() else {
            return;
        };
        let end = loop {
            match connection.receive(ANSWER) {
                Received::Frame(_) => {}
                Received::Closed => break Seen::Closed,
                Received::TimedOut => break Seen::Silence,
            }
        };
        self.note(Line::Of(session), end);
    }

    // --- barriers ---

    /// Waits for `count` transactions of the reaper, behind those of the operation.
    pub(crate) fn wait_for_reaper(&mut self, count: usize) {
        self.wait_for(
            Zxid(self.done_at.0 + count as i64),
            "the reaper did not come",
        );
    }

    /// Waits until the server has come as far as `zxid`.
    fn wait_for(&mut self, zxid: Zxid, otherwise: &'static str) {
        let line = Line::Of(OBSERVER);
        let mut connection = self.sessions[OBSERVER.0].connection.take();
        for _ in 0..BARRIER_POLLS {
            connection = connection.and_then(|connection| self.ping(line, connection, false));
            let Some(open) = &mut connection else {
                return;
            };
            if self.last >= zxid {
                self.sessions[OBSERVER.0].connection = connection;
                return;
            }
            match open.receive(BARRIER_POLL) {
                Received::Frame(frame) => {
                    self.note(line, Seen::Frame(Incoming::parse(&frame), None))
                }
                // What has been closed shows at the next ping.
                Received::Closed | Received::TimedOut => {}
            }
        }
        self.note(line, Seen::Overdue(otherwise));
        self.sessions[OBSERVER.0].connection = connection;
    }

    /// Ends an operation: everything it caused has arrived.
    pub(crate) fn calm(&mut self) {
        for session in &mut self.sessions {
            if let Some(connection) = &mut session.connection {
                let _ = connection.send(&PING);
            }
        }
        for at in 0..self.sessions.len() {
            let session = Ordinal(at);
            if let Some(connection) = self.sessions[at].connection.take() {
                self.sessions[at].connection = self.pong(Line::Of(session), connection, true);
            }
        }
        self.base.get_or_insert(self.last);
    }

    fn calm_one(&mut self, line: Line, connection: RawConnection) -> Option<RawConnection> {
        self.ping(line, connection, true)
    }

    fn ping(
        &mut self,
        line: Line,
        mut connection: RawConnection,
        tell: bool,
    ) -> Option<RawConnection> {
        let _ = connection.send(&PING);
        self.pong(line, connection, tell)
    }

    /// Receives up to the reply of a ping. The connection comes back if it lives.
    fn pong(
        &mut self,
        line: Line,
        mut connection: RawConnection,
        tell: bool,
    ) -> Option<RawConnection> {
        loop {
            match connection.receive(ANSWER) {
                Received::Frame(frame) => match Incoming::parse(&frame) {
                    Incoming::Reply(reply) if reply.is_ping() => {
                        self.last = self.last.max(reply.header.zxid);
                        if tell {
                            self.note(line, Seen::Calm(reply.header.zxid));
                        }
                        return Some(connection);
                    }
                    frame => self.note(line, Seen::Frame(frame, None)),
                },
                Received::Closed => {
                    self.note(line, Seen::Closed);
                    return None;
                }
                Received::TimedOut => {
                    self.note(line, Seen::Silence);
                    return None;
                }
            }
        }
    }

    fn note(&mut self, on: Line, seen: Seen) {
        self.seen.push(Observation { on, seen });
    }
}

/// Bytes as they are.
struct Verbatim<'a>(&'a [u8]);

impl Encode for Verbatim<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}

const PING: RequestHeader = RequestHeader {
    xid: Xid::PING,
    op: OpCode::Ping as i32,
};

const FAREWELL: RequestHeader = RequestHeader {
    xid: Xid(1),
    op: OpCode::CloseSession as i32,
};

/// `None` unless the frame is exactly that.
fn connect_response(frame: &Bytes) -> Option<ConnectResponse> {
    let response = ConnectResponse::decode(&mut Reader::new(frame)).ok()?;
    let mut again = BytesMut::new();
    response.encode(&mut again);
    (again == frame).then_some(response)
}
