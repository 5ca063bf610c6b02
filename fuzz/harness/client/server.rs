//! The server: one connection at a time, one step after the other, then silence.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxStream, Env, Listener, TaskHandle, Timer};
use zk_proto::record::{ConnectRequest, ConnectResponse, WatcherEvent};
use zk_proto::{
    Decode, Encode, ErrorCode, FrameDecoder, KeeperState, OpCode, Password, Reader, ReplyHeader,
    RequestHeader, SessionId, Xid, Zxid, encode_frame,
};

use super::honest;
use super::script::{Change, Step};

/// How long the server listens before each step.
const LISTEN: Duration = Duration::from_millis(4);
/// How long it waits for the client to connect before a step.
const ACCEPT: Duration = Duration::from_secs(3);

/// Its task, which ends with this.
pub(crate) struct Server(TaskHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    pub(crate) async fn start(env: &Arc<dyn Env>, input: Vec<u8>) -> Self {
        let address = "0.0.0.0:2181".parse().expect("an address");
        let listener = env.bind(address).await.expect("a free port");
        let serving = Serving {
            timer: env.timer(),
            env: Arc::clone(env),
            listener,
            connection: None,
            zxid: Zxid(100),
            session: SessionId(0x100),
        };
        Self(env.spawn("server", Box::pin(serving.follow(input))))
    }
}

struct Serving {
    env: Arc<dyn Env>,
    timer: Box<dyn Timer>,
    listener: Box<dyn Listener>,
    connection: Option<Connection>,
    zxid: Zxid,
    session: SessionId,
}

struct Connection {
    stream: BoxStream,
    frames: FrameDecoder,
    input: BytesMut,
    connect: Option<ConnectRequest>,
    unanswered: VecDeque<Request>,
}

struct Request {
    xid: Xid,
    op: i32,
    body: Bytes,
}

impl Serving {
    async fn follow(mut self, input: Vec<u8>) {
        let mut script = &input[..];
        while let Some(step) = Step::next(&mut script) {
            self.listen(ACCEPT, LISTEN).await;
            if self.carry_out(step).await.is_err() {
                self.connection = None;
            }
        }
        loop {
            self.listen(Duration::MAX, Duration::MAX).await;
        }
    }

    /// Waits for a connection if there is none, then for what it brings.
    async fn listen(&mut self, accept: Duration, listen: Duration) {
        if self.connection.is_none() {
            self.timer.reset(self.env.now() + accept);
            let (timer, listener) = (&mut self.timer, &mut self.listener);
            let accepted = poll_fn(|cx| match listener.poll_accept(cx) {
                Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
                Poll::Pending => timer.poll_expired(cx).map(|()| None),
            });
            match accepted.await {
                Some(Ok((stream, _))) => self.connection = Some(Connection::new(stream)),
                Some(Err(_)) | None => return,
            }
        }
        self.timer.reset(self.env.now() + listen);
        let Some(connection) = &mut self.connection else {
            return;
        };
        loop {
            let reading = connection.stream.read_buf(&mut connection.input);
            let mut reading = std::pin::pin!(reading);
            let timer = &mut self.timer;
            let read = poll_fn(|cx| match Future::poll(Pin::as_mut(&mut reading), cx) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => timer.poll_expired(cx).map(|()| None),
            });
            match read.await {
                None => return,
                Some(Ok(1..)) => connection.split(),
                Some(Ok(0) | Err(_)) => {
                    self.connection = None;
                    return;
                }
            }
        }
    }

    async fn carry_out(&mut self, step: Step<'_>) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            return Ok(()); // a step to nobody
        };
        match step {
            Step::Grant {
                is_read_only,
                timeout,
            } => {
                let timeout_ms = i32::try_from(timeout.as_millis()).expect("a byte of tenths");
                self.session = connection
                    .session()
                    .unwrap_or(SessionId(self.session.0 + 1));
                let response = ConnectResponse {
                    protocol_version: 0,
                    timeout_ms,
                    session_id: self.session,
                    password: Password::new(*b"0123456789abcdef"),
                    read_only: Some(is_read_only),
                };
                connection.send(&response).await
            }
            Step::Expire => {
                connection
                    .send(&ConnectResponse::expired(Some(false)))
                    .await
            }
            Step::Answer { err, zxid } => {
                let Some(request) = connection.unanswered.pop_front() else {
                    return Ok(());
                };
                self.zxid = zxid.apply(self.zxid);
                connection.answer(&request, self.zxid, err.into()).await
            }
            Step::Serve(time) => return self.serve(time).await,
            Step::Unknown => {
                if let Some(Request { xid, .. }) = connection.unanswered.pop_front() {
                    let (zxid, err) = (Zxid(-1), ErrorCode::Unimplemented);
                    connection.send(&ReplyHeader { xid, zxid, err }).await?;
                }
                self.connection = None;
                Ok(())
            }
            Step::Reply { zxid, body } => {
                let request = connection.unanswered.pop_front();
                let xid = request.map_or(Xid(1), |request| request.xid);
                self.zxid = zxid.apply(self.zxid);
                let header = ReplyHeader {
                    xid,
                    zxid: self.zxid,
                    err: ErrorCode::Ok,
                };
                connection.send(&(header, Raw(body))).await
            }
            Step::Event { kind, path } => {
                let header = ReplyHeader {
                    xid: Xid::NOTIFICATION,
                    zxid: self.zxid,
                    err: ErrorCode::Ok,
                };
                let state = KeeperState::SyncConnected.into();
                let event = WatcherEvent {
                    event_type: kind,
                    state,
                    path: path.into(),
                };
                connection.send(&(header, event)).await
            }
            Step::Frame(payload) => connection.send(&Raw(payload)).await,
            Step::Bytes(bytes) => connection.stream.write_all(bytes).await,
            Step::Close => {
                self.connection = None;
                Ok(())
            }
            Step::Wait(time) => {
                self.listen(time, time).await;
                Ok(())
            }
        }
    }
}

impl Serving {
    /// Answers whatever comes.
    async fn serve(&mut self, time: Duration) -> io::Result<()> {
        let until = self.env.now() + time;
        while self.env.now() < until {
            self.listen(LISTEN, LISTEN).await;
            let Some(connection) = &mut self.connection else {
                return Ok(());
            };
            while let Some(request) = connection.unanswered.pop_front() {
                self.zxid = Change::By(1).apply(self.zxid);
                connection
                    .answer(&request, self.zxid, ErrorCode::Ok)
                    .await?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn new(stream: BoxStream) -> Self {
        Self {
            stream,
            frames: FrameDecoder::new(usize::MAX),
            input: BytesMut::new(),
            connect: None,
            unanswered: VecDeque::new(),
        }
    }

    /// The client's bytes, which are always well-formed.
    fn split(&mut self) {
        while let Some(frame) = self.frames.decode(&mut self.input).expect("a sound length") {
            let mut reader = Reader::new(&frame);
            if self.connect.is_none() {
                let request = ConnectRequest::decode(&mut reader);
                self.connect = Some(request.expect("a ConnectRequest"));
            } else {
                let RequestHeader { xid, op } = Decode::decode(&mut reader).expect("a header");
                let body = reader.rest();
                self.unanswered.push_back(Request { xid, op, body });
            }
        }
    }

    /// The session that the client wants to resume.
    fn session(&self) -> Option<SessionId> {
        let connect = self.connect.as_ref()?;
        Some(connect.session_id).filter(|session| *session != SessionId::NONE)
    }

    async fn answer(&mut self, request: &Request, zxid: Zxid, err: ErrorCode) -> io::Result<()> {
        let xid = if request.op == i32::from(OpCode::Ping) {
            Xid::PING
        } else {
            request.xid
        };
        let header = ReplyHeader { xid, zxid, err };
        if err == ErrorCode::Ok {
            let body = honest::answer(request.op, &request.body);
            self.send(&(header, Raw(&body))).await
        } else {
            self.send(&header).await
        }
    }

    async fn send(&mut self, payload: &impl Encode) -> io::Result<()> {
        let mut frame = BytesMut::new();
        encode_frame(&mut frame, payload);
        self.stream.write_all(&frame).await
    }
}

/// Bytes for a record.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}
