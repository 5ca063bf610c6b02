//! The whole machine, driven frame by frame under a virtual clock.

mod acl;
mod commit;
mod fuzz;
mod learner;
mod local;
mod multi;
mod observe;
mod operations;
mod pair;
mod quota;
mod read_only;
mod refusals;
mod roles;
mod sasl;
mod sessions;
mod watches;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_env::{EnvRng, Mono};
use zk_proto::data::open_acl;
use zk_proto::record::{
    AuthPacket, ConnectRequest, ConnectResponse, Create2Response, CreateRequest, CreateTtlRequest,
    Credential, DeleteRequest, ExistsRequest, GetDataRequest, MultiOp, MultiRequest,
    SetDataRequest, WatcherEvent,
};
use zk_proto::{
    Acl, Decode, Encode, ErrorCode, EventType, FrameDecoder, OpCode, Password, Reader, ReplyHeader,
    RequestHeader, SessionId, Stat, Xid, Zxid,
};

use super::{ConnId, Output, ZooKeeperServer};
use crate::config::{ServerConfig, ServerConfigBuilder};

/// A server, its clock, and what it has sent.
struct Fixture {
    server: ZooKeeperServer,
    now: Mono,
    wall_ms: i64,
    conns: u64,
    inboxes: BTreeMap<ConnId, Inbox>,
}

#[derive(Default)]
struct Inbox {
    frames: VecDeque<Bytes>,
    is_closed: bool,
}

/// A client with a session.
#[derive(Clone)]
struct Client {
    conn: ConnId,
    session: SessionId,
    password: Password,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reply {
    xid: Xid,
    zxid: Zxid,
    err: ErrorCode,
    body: Bytes,
}

/// An event as a client gets it.
type Event = (EventType, String, Zxid);

impl Reply {
    fn read(frame: &Bytes) -> Self {
        let mut reader = Reader::new(frame);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        Self {
            xid: header.xid,
            zxid: header.zxid,
            err: header.err,
            body: reader.rest(),
        }
    }

    /// The body of an answer that is no error.
    #[track_caller]
    fn body<T: for<'a> Decode<'a>>(&self) -> T {
        assert_eq!(self.err, ErrorCode::Ok);
        T::decode(&mut Reader::new(&self.body)).unwrap()
    }
}

/// Bytes that pretend to be a record.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.0);
    }
}

/// Ticks of a second, sessions of 4 s, TTL znodes, super user `super:admin`.
fn config() -> ServerConfigBuilder {
    ServerConfig::builder()
        .tick_time(Duration::from_secs(1))
        .extended_types(true)
        .super_digest("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=")
}

const TIMEOUT_MS: i32 = 4000;

impl Fixture {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: ServerConfigBuilder) -> Self {
        let (now, wall_ms) = (Mono::ZERO, 1_700_000_000_000);
        Self {
            server: ZooKeeperServer::new(&config.build().unwrap(), now, wall_ms, 42)
                .with_nonces(EnvRng::from_seed(42)),
            now,
            wall_ms,
            conns: 0,
            inboxes: BTreeMap::new(),
        }
    }

    /// A connection without a session.
    fn accept(&mut self) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        self.server.handle_accepted(conn, peer);
        self.inboxes.insert(conn, Inbox::default());
        conn
    }

    /// Feeds a frame and collects what comes of it.
    fn feed(&mut self, conn: ConnId, payload: &impl Encode) {
        let mut frame = BytesMut::new();
        payload.encode(&mut frame);
        self.server
            .handle_frame(conn, &frame.freeze(), self.now, self.wall_ms);
        self.collect();
    }

    fn collect(&mut self) {
        let decoder = FrameDecoder::new(usize::MAX);
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send {
                    conn,
                    frames,
                    count,
                } => {
                    let inbox = self.inboxes.get_mut(&conn).unwrap();
                    assert!(!inbox.is_closed, "{conn:?} was closed");
                    let (mut bytes, before) = (BytesMut::from(frames), inbox.frames.len());
                    while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                        inbox.frames.push_back(frame);
                    }
                    assert!(!bytes.has_remaining(), "half a frame");
                    assert_eq!(inbox.frames.len() - before, count as usize);
                }
                Output::Close { conn } => {
                    let inbox = self.inboxes.get_mut(&conn).unwrap();
                    assert!(
                        !std::mem::replace(&mut inbox.is_closed, true),
                        "{conn:?} twice"
                    );
                }
            }
        }
    }

    /// Time passes, in steps of which each is a timeout of the machine.
    fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.set_time(due.max(self.now));
            self.server.handle_timeout(self.now, self.wall_ms);
            self.collect();
        }
        self.set_time(end);
    }

    fn set_time(&mut self, now: Mono) {
        self.wall_ms += i64::try_from(now.since(self.now).as_millis()).unwrap();
        self.now = now;
    }

    /// Sends a ConnectRequest; the response, or `None` if there was none.
    fn handshake(&mut self, conn: ConnId, request: &ConnectRequest) -> Option<ConnectResponse> {
        self.feed(conn, request);
        let frame = self.inboxes.get_mut(&conn)?.frames.pop_front()?;
        Some(ConnectResponse::decode(&mut Reader::new(&frame)).unwrap())
    }

    /// A client with a new session.
    fn client(&mut self) -> Client {
        let conn = self.accept();
        let response = self.handshake(conn, &new_session()).unwrap();
        assert_eq!(response.timeout_ms, TIMEOUT_MS);
        Client {
            conn,
            session: response.session_id,
            password: response.password,
        }
    }

    /// The client comes back on another connection; the server's word on it.
    fn reconnect(&mut self, client: &mut Client) -> ConnectResponse {
        client.conn = self.accept();
        let request = ConnectRequest {
            session_id: client.session,
            password: client.password.clone(),
            ..new_session()
        };
        self.handshake(client.conn, &request).unwrap()
    }

    /// A request and its answer; events before it stay in the inbox.
    #[track_caller]
    fn call(&mut self, client: &Client, op: OpCode, body: &impl Encode) -> Reply {
        self.call_xid(client, Xid(7), op.into(), body)
    }

    #[track_caller]
    fn call_xid(&mut self, client: &Client, xid: Xid, op: i32, body: &impl Encode) -> Reply {
        self.feed(client.conn, &(RequestHeader { xid, op }, body));
        let frame = self.inbox(client).frames.pop_back().expect("an answer");
        Reply::read(&frame)
    }

    fn inbox(&mut self, client: &Client) -> &mut Inbox {
        self.inboxes.get_mut(&client.conn).unwrap()
    }

    fn is_closed(&self, client: &Client) -> bool {
        self.inboxes[&client.conn].is_closed
    }

    /// The events that have come since the last call.
    fn events(&mut self, client: &Client) -> Vec<Event> {
        let frames = std::mem::take(&mut self.inbox(client).frames);
        frames
            .iter()
            .map(|frame| {
                let reply = Reply::read(frame);
                assert_eq!((reply.xid, reply.err), (Xid::NOTIFICATION, ErrorCode::Ok));
                let event: WatcherEvent<'_> =
                    Decode::decode(&mut Reader::new(&reply.body)).unwrap();
                assert_eq!(event.state, 3);
                let event_type = EventType::try_from(event.event_type).unwrap();
                (event_type, event.path.into_owned(), reply.zxid)
            })
            .collect()
    }

    // The operations that most tests need.

    #[track_caller]
    fn create(&mut self, client: &Client, path: &str, flags: i32) -> String {
        let reply = self.call(client, OpCode::Create, &create(path, flags));
        reply.body::<String>()
    }

    #[track_caller]
    fn create2(&mut self, client: &Client, path: &str, flags: i32) -> (String, Stat) {
        let reply = self.call(client, OpCode::Create2, &create(path, flags));
        let mut reader = Reader::new(&reply.body);
        let created = Create2Response::decode(&mut reader).unwrap();
        (created.path.into_owned(), created.stat)
    }

    fn delete(&mut self, client: &Client, path: &str, version: i32) -> ErrorCode {
        let path = path.into();
        self.call(client, OpCode::Delete, &DeleteRequest { path, version })
            .err
    }

    fn set_data(&mut self, client: &Client, path: &str, data: &[u8], version: i32) -> Reply {
        self.call(client, OpCode::SetData, &set_data(path, data, version))
    }

    fn exists(&mut self, client: &Client, path: &str, watch: bool) -> Result<Stat, ErrorCode> {
        let path = path.into();
        let reply = self.call(client, OpCode::Exists, &ExistsRequest { path, watch });
        match reply.err {
            ErrorCode::Ok => Ok(reply.body()),
            error => Err(error),
        }
    }

    fn get_data(&mut self, client: &Client, path: &str) -> Result<Option<Vec<u8>>, ErrorCode> {
        let request = GetDataRequest {
            path: path.into(),
            watch: false,
        };
        let reply = self.call(client, OpCode::GetData, &request);
        match reply.err {
            ErrorCode::Ok => {
                let mut reader = Reader::new(&reply.body);
                let data = Option::<Bytes>::decode(&mut reader).unwrap();
                Ok(data.map(|data| data.to_vec()))
            }
            error => Err(error),
        }
    }

    fn multi(&mut self, client: &Client, ops: Vec<MultiOp<'_>>) -> Reply {
        self.call(client, OpCode::Multi, &MultiRequest { ops })
    }

    fn auth(&mut self, client: &Client, scheme: &str, auth: Option<&str>) -> Reply {
        let packet = AuthPacket {
            kind: 0,
            scheme: scheme.into(),
            auth: Credential(auth.map(|auth| auth.as_bytes().into())),
        };
        self.call_xid(client, Xid::AUTH, OpCode::Auth.into(), &packet)
    }

    fn zxid(&self) -> Zxid {
        self.server.last_zxid()
    }
}

fn new_session() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: TIMEOUT_MS,
        session_id: SessionId::NONE,
        password: Password::none(),
        read_only: Some(false),
    }
}

fn create(path: &str, flags: i32) -> CreateRequest<'_> {
    create_with(path, flags, open_acl())
}

fn create_with(path: &str, flags: i32, acl: Vec<Acl>) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: Some(b"x".as_slice().into()),
        acl: Some(acl),
        flags,
    }
}

fn create_ttl(path: &str, flags: i32, ttl_ms: i64) -> CreateTtlRequest<'_> {
    CreateTtlRequest {
        path: path.into(),
        data: None,
        acl: Some(open_acl()),
        flags,
        ttl_ms,
    }
}

fn set_data<'a>(path: &'a str, data: &'a [u8], version: i32) -> SetDataRequest<'a> {
    SetDataRequest {
        path: path.into(),
        data: Some(data.into()),
        version,
    }
}

fn delete(path: &str, version: i32) -> DeleteRequest<'_> {
    DeleteRequest {
        path: path.into(),
        version,
    }
}
