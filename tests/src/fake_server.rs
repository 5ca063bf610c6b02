//! A server that follows a script: what no real server does on demand.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use zk_proto::record::{ConnectRequest, ConnectResponse, WatcherEvent};
use zk_proto::{Decode, Encode, ErrorCode, EventType, KeeperState, OpCode, Password, Reader};
use zk_proto::{ReplyHeader, RequestHeader, SessionId, Xid, Zxid};

use crate::wire::Wire;

/// The session that [`FakeConnection::handshake`] grants.
pub const SESSION: SessionId = SessionId(0x5e55_1017);

/// The timeout it grants, in milliseconds.
pub const TIMEOUT_MS: i32 = 10_000;

/// A request, header taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's number for it.
    pub xid: Xid,
    /// The operation's code.
    pub op: i32,
    /// What follows the header.
    pub body: Bytes,
}

impl Request {
    pub(crate) const fn new(xid: i32, op: i32, body: Bytes) -> Self {
        Self {
            xid: Xid(xid),
            op,
            body,
        }
    }

    /// The body as a record.
    ///
    /// # Panics
    ///
    /// If it is not one.
    pub fn decode<'a, T: Decode<'a>>(&'a self) -> T {
        T::decode(&mut Reader::new(&self.body)).expect("a request body")
    }
}

/// Bytes as a record.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.0);
    }
}

/// Listens on a loopback port of its own; every connection runs the script.
#[derive(Debug)]
pub struct FakeServer {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    listener: JoinHandle<()>,
}

impl FakeServer {
    /// Starts the server. `script` gets each connection and its number, counted
    /// from 0; the connection closes when the script drops it. A script that
    /// panics fails the test when the server is dropped.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had.
    pub async fn start<F>(script: impl Fn(FakeConnection, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a loopback port");
        let addr = listener.local_addr().expect("a bound address");
        let connections = Arc::new(AtomicUsize::new(0));
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let (count, failed) = (Arc::clone(&connections), Arc::clone(&failures));
        let accept = async move {
            let mut scripts = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let number = count.fetch_add(1, Ordering::SeqCst);
                let wire = Wire::new(stream);
                let run = AssertUnwindSafe(script(FakeConnection { wire }, number)).catch_unwind();
                let failed = Arc::clone(&failed);
                scripts.spawn(async move {
                    if let Err(panic) = run.await {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.unwrap_or_else(|| "a panic".to_owned());
                        failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(text);
                    }
                });
                while scripts.try_join_next().is_some() {}
            }
        };
        Self {
            addr,
            connections,
            failures,
            listener: tokio::spawn(accept),
        }
    }

    /// Where clients connect: `host:port`.
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.listener.abort();
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(failures.is_empty(), "fake server: {failures:?}");
        }
    }
}

/// One connection of a [`FakeServer`]. What it sends to a client that has gone
/// is lost without an error, as it would be.
#[derive(Debug)]
pub struct FakeConnection {
    wire: Wire,
}

impl FakeConnection {
    /// Reads the handshake; `None` if the client closes instead.
    pub async fn connect_request(&mut self) -> Option<ConnectRequest> {
        let frame = self.frame().await?;
        let request = ConnectRequest::decode(&mut Reader::new(&frame));
        Some(request.expect("a ConnectRequest"))
    }

    /// Answers the handshake: read-write, session [`SESSION`].
    pub async fn handshake(&mut self) -> Option<ConnectRequest> {
        let request = self.connect_request().await?;
        self.send(&session_granted()).await;
        Some(request)
    }

    /// Sends any record as a frame.
    pub async fn send(&mut self, record: &impl Encode) {
        let _ = self.wire.write_frame(record).await;
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.wire.write_raw(bytes).await;
    }

    /// The next request that is not a ping; pings are answered with `zxid`.
    /// `None` when the client has closed.
    pub async fn request(&mut self, zxid: i64) -> Option<Request> {
        loop {
            let frame = self.frame().await?;
            let mut reader = Reader::new(&frame);
            let header = RequestHeader::decode(&mut reader).expect("a RequestHeader");
            if header.op != i32::from(OpCode::Ping) {
                return Some(Request::new(header.xid.0, header.op, reader.rest()));
            }
            self.reply(Xid::PING, zxid, ErrorCode::Ok, &()).await;
        }
    }

    /// The next request that is not a ping, which must be this operation; `None`
    /// when the client has closed.
    ///
    /// # Panics
    ///
    /// If it is another operation.
    pub async fn expect(&mut self, op: OpCode, zxid: i64) -> Option<Request> {
        let request = self.request(zxid).await?;
        assert_eq!(
            OpCode::try_from(request.op),
            Ok(op),
            "a request of another kind"
        );
        Some(request)
    }

    /// Sends a reply.
    pub async fn reply(&mut self, xid: Xid, zxid: i64, err: ErrorCode, body: &impl Encode) {
        let header = ReplyHeader {
            xid,
            zxid: Zxid(zxid),
            err,
        };
        self.send(&(header, body)).await;
    }

    /// Sends a watch event.
    pub async fn event(&mut self, event_type: EventType, path: &str) {
        let event = WatcherEvent {
            event_type: event_type.into(),
            state: KeeperState::SyncConnected.into(),
            path: path.into(),
        };
        self.reply(Xid::NOTIFICATION, -1, ErrorCode::Ok, &event)
            .await;
    }

    /// Serves a session that wants nothing: pings are answered, closeSession is
    /// answered and ends it, and so does the client's leaving.
    ///
    /// # Panics
    ///
    /// At any other request.
    pub async fn idle(mut self, zxid: i64) {
        if let Some(close) = self.expect(OpCode::CloseSession, zxid).await {
            self.reply(close.xid, zxid, ErrorCode::Ok, &()).await;
        }
    }

    /// Says nothing more, whatever comes, and keeps the connection open.
    pub async fn fall_silent(self) {
        pending::<()>().await;
    }

    /// Reads and drops what comes, says nothing, until the client leaves.
    pub async fn until_closed(mut self) {
        while self.frame().await.is_some() {}
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    async fn frame(&mut self) -> Option<Bytes> {
        self.wire.read_frame().await.ok().flatten()
    }
}

/// The answer that grants [`SESSION`] for [`TIMEOUT_MS`].
pub fn session_granted() -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: TIMEOUT_MS,
        session_id: SESSION,
        password: Password::new(*b"0123456789abcdef"),
        read_only: Some(false),
    }
}

/// An address where nobody listens, and nobody else can while this lives.
#[derive(Debug)]
pub struct DeadHost(Socket);

impl DeadHost {
    /// Takes a loopback port without listening on it.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any_port.into()).expect("a loopback port");
        Self(socket)
    }

    /// Where clients connect: `host:port`.
    ///
    /// # Panics
    ///
    /// Never: the socket is bound.
    pub fn host(&self) -> String {
        let addr = self.0.local_addr().expect("a bound address");
        addr.as_socket().expect("an internet address").to_string()
    }
}

impl Default for DeadHost {
    fn default() -> Self {
        Self::new()
    }
}
