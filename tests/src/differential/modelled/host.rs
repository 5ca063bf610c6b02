//! Sessions and connections around the model.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::record::{ConnectRequest, ConnectResponse, WatcherEvent};
use zk_proto::{
    Decode, Encode, ErrorCode, KeeperState, OpCode, Password, Reader, ReplyHeader, RequestHeader,
    SessionId, Xid, Zxid, encode_frame,
};
use zk_sim::model::{Answer, Asker, Conn, Event, Model, Settings, is_transaction, sasl};

use super::super::clock::wall_ms;

/// As in `configuration.rs`, in milliseconds.
const SHORTEST: i32 = 2_000;
const LONGEST: i32 = 60_000;
/// Between two rounds of the reaper.
const REAPING: Duration = Duration::from_millis(400);

/// Everything that the server has.
#[derive(Debug)]
pub(super) struct Host {
    model: Model,
    sessions: BTreeMap<SessionId, Session>,
    peers: BTreeMap<Conn, Peer>,
    next_conn: u64,
    next_session: i64,
    next_reaping: Instant,
}

#[derive(Debug)]
struct Session {
    timeout: Duration,
    deadline: Instant,
    conn: Option<Conn>,
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    session: Option<SessionId>,
}

/// A body as it is.
struct Verbatim<'b>(&'b [u8]);

impl Encode for Verbatim<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}

impl Host {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            model: Model::new(settings),
            sessions: BTreeMap::new(),
            peers: BTreeMap::new(),
            next_conn: 0,
            // As of a real server, so that nobody guesses one.
            next_session: 0x0100_0000_0000_0000 | (wall_ms() << 16),
            next_reaping: Instant::now(),
        }
    }

    pub(super) fn accept(&mut self, stream: &TcpStream) -> Option<Conn> {
        let conn = Conn(self.next_conn);
        self.next_conn += 1;
        let ip = stream.peer_addr().ok()?.ip();
        let stream = stream.try_clone().ok()?;
        stream.set_nodelay(true).ok()?;
        self.model.connect(conn, &ip.to_string());
        let peer = Peer {
            stream,
            session: None,
        };
        self.peers.insert(conn, peer);
        Some(conn)
    }

    pub(super) fn close_all(&mut self) {
        for conn in self.peers.keys().copied().collect::<Vec<_>>() {
            self.forget(conn);
        }
    }

    /// A connection is over; its session waits for another.
    pub(super) fn forget(&mut self, conn: Conn) {
        self.model.disconnect(conn);
        let Some(peer) = self.peers.remove(&conn) else {
            return;
        };
        // The client may have closed it before.
        let _ = peer.stream.shutdown(Shutdown::Both);
        let session = peer
            .session
            .and_then(|session| self.sessions.get_mut(&session));
        if let Some(session) = session
            && session.conn == Some(conn)
        {
            session.conn = None;
        }
    }

    /// Whether the connection goes on.
    pub(super) fn handle_frame(&mut self, conn: Conn, frame: &Bytes) -> bool {
        let Some(peer) = self.peers.get(&conn) else {
            return false;
        };
        let goes_on = match peer.session {
            Some(session) => self.request(conn, session, frame),
            None => self.handshake(conn, frame),
        };
        goes_on.unwrap_or(false)
    }

    pub(super) fn handle_tick(&mut self) {
        let now = Instant::now();
        let late =
            |(session, life): (&SessionId, &Session)| (life.deadline < now).then_some(*session);
        for session in self.sessions.iter().filter_map(late).collect::<Vec<_>>() {
            if let Some(conn) = self.sessions[&session].conn {
                self.forget(conn);
            }
            self.close_session(session);
        }
        if now >= self.next_reaping {
            self.next_reaping = now + REAPING;
            for path in self.model.to_be_reaped(wall_ms()) {
                let zxid = self.next_zxid();
                let done = self.model.reap(&path, zxid);
                self.send_events(&done.events, zxid);
            }
        }
    }

    fn next_zxid(&self) -> Zxid {
        Zxid(self.model.last_zxid().0 + 1)
    }

    fn handshake(&mut self, conn: Conn, frame: &Bytes) -> Option<bool> {
        let request = ConnectRequest::decode(&mut Reader::new(frame)).ok()?;
        if request.last_zxid_seen > self.model.last_zxid() {
            return None;
        }
        let timeout_ms = request.timeout_ms.clamp(SHORTEST, LONGEST);
        let session = if request.session_id == SessionId::NONE {
            Some(self.open_session())
        } else {
            self.resume(&request)
        };
        let Some(session) = session else {
            let read_only = request.read_only.map(|_| false);
            self.send(conn, &ConnectResponse::expired(read_only));
            return None;
        };
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).ok()?);
        let life = Session {
            timeout,
            deadline: Instant::now() + timeout,
            conn: Some(conn),
        };
        self.sessions.insert(session, life);
        self.peers.get_mut(&conn)?.session = Some(session);
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: session,
            password: password(session),
            read_only: request.read_only.map(|_| false),
        };
        self.send(conn, &response);
        Some(true)
    }

    fn open_session(&mut self) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.model.open_session(session, self.next_zxid());
        session
    }

    /// Whoever asks, the connection there was is closed.
    fn resume(&mut self, request: &ConnectRequest) -> Option<SessionId> {
        let session = request.session_id;
        if let Some(former) = self.sessions.get(&session)?.conn {
            self.forget(former);
        }
        (request.password == password(session)).then_some(session)
    }

    fn close_session(&mut self, session: SessionId) -> Zxid {
        let zxid = self.next_zxid();
        self.sessions.remove(&session);
        let done = self.model.close_session(session, zxid);
        self.send_events(&done.events, zxid);
        zxid
    }

    fn request(&mut self, conn: Conn, session: SessionId, frame: &Bytes) -> Option<bool> {
        let mut reader = Reader::new(frame);
        let RequestHeader { xid, op: code } = Decode::decode(&mut reader).ok()?;
        let body = reader.rest();
        let op = OpCode::try_from(code).ok();
        if op == Some(OpCode::Auth) {
            return self.authenticate(conn, xid, &body);
        }
        if op == Some(OpCode::Sasl) {
            let answer = sasl(&body)?;
            self.reply(conn, xid, Zxid::ZERO, &answer);
            return Some(true);
        }
        let life = self.sessions.get_mut(&session)?;
        life.deadline = Instant::now() + life.timeout;
        match op {
            Some(OpCode::CloseSession) => {
                let zxid = self.close_session(session);
                self.reply(conn, xid, zxid, &Answer::with(ErrorCode::Ok));
                None
            }
            Some(op) if is_transaction(op, &body) => {
                self.write(conn, session, (xid, op), &body);
                Some(true)
            }
            Some(op) => self.read(conn, session, (xid, op), &body),
            None => self.unimplemented(conn, xid),
        }
    }

    fn authenticate(&mut self, conn: Conn, xid: Xid, body: &Bytes) -> Option<bool> {
        let err = self.model.authenticate(conn, body)?;
        self.reply(conn, xid, Zxid::ZERO, &Answer::with(err));
        Some(err == ErrorCode::Ok)
    }

    fn unimplemented(&mut self, conn: Conn, xid: Xid) -> Option<bool> {
        let answer = Answer::with(ErrorCode::Unimplemented);
        self.reply(conn, xid, Zxid(-1), &answer);
        None
    }

    fn write(&mut self, conn: Conn, session: SessionId, (xid, op): (Xid, OpCode), body: &Bytes) {
        let zxid = self.next_zxid();
        let identities = self.model.identities(conn).to_vec();
        let asker = Asker {
            session,
            identities: &identities,
        };
        let done = self.model.write(asker, op, body, zxid, wall_ms());
        self.send_events(&done.events, zxid);
        self.reply(conn, xid, zxid, &done.answer);
    }

    fn read(
        &mut self,
        conn: Conn,
        session: SessionId,
        (xid, op): (Xid, OpCode),
        body: &Bytes,
    ) -> Option<bool> {
        let done = self.model.read(session, conn, op, body);
        if done.answer.err == ErrorCode::Unimplemented {
            return self.unimplemented(conn, xid);
        }
        self.send_events(&done.events, Zxid(-1));
        let xid = if op == OpCode::Ping { Xid::PING } else { xid };
        self.reply(conn, xid, self.model.last_zxid(), &done.answer);
        Some(true)
    }

    fn send_events(&mut self, events: &[Event], zxid: Zxid) {
        for event in events {
            let header = ReplyHeader {
                xid: Xid::NOTIFICATION,
                zxid,
                err: ErrorCode::Ok,
            };
            let body = WatcherEvent {
                event_type: event.kind.into(),
                state: KeeperState::SyncConnected.into(),
                path: event.path.as_str().into(),
            };
            self.send(event.conn, &(header, body));
        }
    }

    fn reply(&mut self, conn: Conn, xid: Xid, zxid: Zxid, answer: &Answer) {
        let header = ReplyHeader {
            xid,
            zxid,
            err: answer.err,
        };
        self.send(conn, &(header, Verbatim(&answer.body)));
    }

    fn send(&mut self, conn: Conn, payload: &impl Encode) {
        let mut frame = BytesMut::new();
        encode_frame(&mut frame, payload);
        if let Some(peer) = self.peers.get_mut(&conn) {
            // A client that is gone shows when its connection is read from.
            let _ = peer.stream.write_all(&frame);
        }
    }
}

/// Only its holder and this server ever look at it.
fn password(session: SessionId) -> Password {
    Password::new([session.0.to_be_bytes(), session.0.to_le_bytes()].concat())
}
