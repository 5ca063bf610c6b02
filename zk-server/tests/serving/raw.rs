//! The server under test and clients that speak in frames.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zk_env::{BoxStream, Env, Mono, Probe, ProbedEnv, sleep_until};
use zk_proto::data::open_acl;
use zk_proto::record::{
    ConnectRequest, ConnectResponse, CreateRequest, CreateResponse, ExistsRequest, GetDataRequest,
    SetDataRequest, WatcherEvent,
};
use zk_proto::{
    CreateMode, Decode, Encode, ErrorCode, FrameDecoder, OpCode, Password, Reader, ReplyHeader,
    RequestHeader, SessionId, Xid, Zxid, encode_frame,
};
use zk_server::{Server, ServerConfig, ServerConfigBuilder};
use zk_sim::Sim;

/// A server on a host of its own.
pub(crate) struct World {
    pub(crate) net: Sim,
    pub(crate) server: Server,
}

impl World {
    /// With the defaults for tests.
    pub(crate) async fn start() -> Self {
        Self::with(ServerConfig::embedded()).await
    }

    pub(crate) async fn with(config: ServerConfigBuilder) -> Self {
        Self::probed(config, Probe::default()).await
    }

    /// A server that is seen and disturbed.
    pub(crate) async fn probed(config: ServerConfigBuilder, probe: Probe) -> Self {
        Self::on(Sim::new(7), config, probe).await
    }

    /// On machines that may have something on their disks.
    pub(crate) async fn on(net: Sim, config: ServerConfigBuilder, probe: Probe) -> Self {
        let any_address = SocketAddr::from(([0, 0, 0, 0], 2181));
        let config = config.client_addr(any_address).build().unwrap();
        let server = Server::builder()
            .config(config)
            .env(ProbedEnv::new(net.env("server"), probe));
        let server = server.start().await.unwrap();
        Self { net, server }
    }

    /// A connection from the host `client`.
    pub(crate) async fn connect(&self) -> Raw {
        self.connect_from("client").await
    }

    pub(crate) async fn connect_from(&self, host: &str) -> Raw {
        let env = self.net.env(host);
        let addr = env.resolve("server", 2181).await.unwrap()[0];
        Raw::connect(env, addr).await
    }

    /// A connection with a session.
    pub(crate) async fn session(&self) -> Raw {
        let mut raw = self.connect().await;
        assert!(raw.handshake(10_000).await.timeout_ms > 0);
        raw
    }

    /// The answer to a four-letter word.
    pub(crate) async fn word(&self, word: &str) -> String {
        self.bytes(word.as_bytes()).await
    }

    /// All that comes back for `bytes` on a connection of their own.
    pub(crate) async fn bytes(&self, bytes: &[u8]) -> String {
        let mut raw = self.connect().await;
        raw.send(bytes).await;
        String::from_utf8(raw.rest().await).unwrap()
    }

    /// Lets virtual time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        let env = self.net.env("client");
        let mut timer = env.timer();
        sleep_until(&mut *timer, env.now() + time).await;
    }
}

/// A client that does what it is told.
pub(crate) struct Raw {
    env: Arc<dyn Env>,
    stream: BoxStream,
    input: BytesMut,
    xid: Xid,
}

/// A reply's header and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: ReplyHeader,
    frame: Bytes,
}

impl Answer {
    pub(crate) fn body<'a, T: Decode<'a>>(&'a self) -> T {
        let mut reader = Reader::new(&self.frame);
        ReplyHeader::decode(&mut reader).unwrap();
        T::decode(&mut reader).unwrap()
    }
}

/// A frame around any payload.
pub(crate) fn frame(payload: &impl Encode) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(&mut out, payload);
    out
}

impl Raw {
    pub(crate) async fn connect(env: Arc<dyn Env>, addr: SocketAddr) -> Self {
        let stream = env.connect(addr).await.unwrap();
        Self::of(env, stream)
    }

    pub(crate) fn of(env: Arc<dyn Env>, stream: BoxStream) -> Self {
        Self {
            env,
            stream,
            input: BytesMut::new(),
            xid: Xid(0),
        }
    }

    pub(crate) fn now(&self) -> Mono {
        self.env.now()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Fails if the server has closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next frame; `None` at the end of the connection, however it came.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            let frame = FrameDecoder::new(64 << 20).decode(&mut self.input).unwrap();
            if frame.is_some() {
                return frame;
            }
            let read = self.stream.read_buf(&mut self.input).await;
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything up to the end of the connection, however that came.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.stream.read_buf(&mut self.input).await.unwrap_or(0) > 0 {}
        self.input.split().to_vec()
    }

    /// Nothing comes any more, and not because the connection was reset.
    pub(crate) async fn orderly_end(&mut self) -> io::Result<()> {
        let read = self.stream.read_buf(&mut self.input).await?;
        assert_eq!(read, 0);
        Ok(())
    }

    /// Nothing comes any more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    pub(crate) async fn handshake(&mut self, timeout_ms: i32) -> ConnectResponse {
        self.resume(timeout_ms, SessionId::NONE, Password::none())
            .await
            .unwrap()
    }

    /// `None` if the connection was closed instead.
    pub(crate) async fn resume(
        &mut self,
        timeout_ms: i32,
        session_id: SessionId,
        password: Password,
    ) -> Option<ConnectResponse> {
        self.send(&connect_request(timeout_ms, session_id, password))
            .await;
        self.response().await
    }

    /// As `resume`, and `None` also if the connection is closed already.
    pub(crate) async fn try_resume(
        &mut self,
        timeout_ms: i32,
        session_id: SessionId,
        password: Password,
    ) -> Option<ConnectResponse> {
        let request = connect_request(timeout_ms, session_id, password);
        self.try_send(&request).await.ok()?;
        self.response().await
    }

    async fn response(&mut self) -> Option<ConnectResponse> {
        let frame = self.frame().await?;
        Some(ConnectResponse::decode(&mut Reader::new(&frame)).unwrap())
    }

    /// Sends a request without waiting for its reply.
    pub(crate) async fn request(&mut self, op: OpCode, body: &impl Encode) -> Xid {
        let (xid, frame) = self.encode(op, body);
        self.send(&frame).await;
        xid
    }

    /// A request as it goes over the wire.
    pub(crate) fn encode(&mut self, op: OpCode, body: &impl Encode) -> (Xid, BytesMut) {
        self.xid = self.xid.next();
        let mut out = BytesMut::new();
        let header = RequestHeader {
            xid: self.xid,
            op: op.into(),
        };
        encode_frame(&mut out, &(header, body));
        (self.xid, out)
    }

    /// The next reply; `None` at the end of the connection.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let frame = self.frame().await?;
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        Some(Answer { header, frame })
    }

    /// Whether a ping is answered before anything else.
    pub(crate) async fn ping_first(&mut self) -> bool {
        self.ping()
            .await
            .is_some_and(|answer| answer.header.xid == Xid::PING)
    }

    /// A request and its reply, which is the next thing to come.
    pub(crate) async fn call(&mut self, op: OpCode, body: &impl Encode) -> Answer {
        let xid = self.request(op, body).await;
        let answer = self.answer().await.unwrap();
        assert_eq!(answer.header.xid, xid);
        answer
    }

    /// A round trip that changes nothing.
    pub(crate) async fn ping(&mut self) -> Option<Answer> {
        let header = RequestHeader {
            xid: Xid::PING,
            op: OpCode::Ping.into(),
        };
        self.send(&frame(&header)).await;
        self.answer().await
    }

    pub(crate) async fn create(&mut self, path: &str, data: &[u8], mode: CreateMode) -> String {
        let answer = self
            .call(OpCode::Create, &create_request(path, data, mode))
            .await;
        assert_eq!(answer.header.err, ErrorCode::Ok);
        answer.body::<CreateResponse<'_>>().path.into_owned()
    }

    pub(crate) async fn set_data(&mut self, path: &str, data: &[u8]) {
        let request = SetDataRequest {
            path: path.into(),
            data: Some(data.into()),
            version: -1,
        };
        assert_eq!(
            self.call(OpCode::SetData, &request).await.header.err,
            ErrorCode::Ok
        );
    }

    pub(crate) async fn exists(&mut self, path: &str) -> bool {
        let request = ExistsRequest {
            path: path.into(),
            watch: false,
        };
        self.call(OpCode::Exists, &request).await.header.err == ErrorCode::Ok
    }

    pub(crate) async fn watch_data(&mut self, path: &str) {
        let request = GetDataRequest {
            path: path.into(),
            watch: true,
        };
        assert_eq!(
            self.call(OpCode::GetData, &request).await.header.err,
            ErrorCode::Ok
        );
    }

    /// The path of the next frame, which is a watch event.
    pub(crate) async fn event_path(&mut self) -> String {
        let event = self.answer().await.unwrap();
        assert_eq!(event.header.xid, Xid::NOTIFICATION);
        event.body::<WatcherEvent<'_>>().path.into_owned()
    }
}

pub(crate) fn create_request<'a>(
    path: &'a str,
    data: &'a [u8],
    mode: CreateMode,
) -> CreateRequest<'a> {
    CreateRequest {
        path: path.into(),
        data: Some(data.into()),
        acl: Some(open_acl()),
        flags: mode.flags(),
    }
}

pub(crate) fn connect_request(
    timeout_ms: i32,
    session_id: SessionId,
    password: Password,
) -> BytesMut {
    frame(&ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms,
        session_id,
        password,
        read_only: Some(false),
    })
}
