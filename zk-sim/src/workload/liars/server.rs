//! The lying server: every connection follows a script.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use zk_env::{EnvRng, accept};
use zk_proto::record::{ConnectRequest, ConnectResponse, MultiResponse, MultiResult};
use zk_proto::{Decode, ErrorCode, OpCode, Password, Reader, SessionId, Xid, Zxid};

use super::super::clients::ms;
use super::answers::Request;
use super::scripts::Script;
use super::wire::{Wire, frame};
use crate::runner::Stage;

/// What every port is that clients look for.
const PORT: u16 = 2181;
/// Connections in a row of which all are refused to whoever has seen anything.
const BEHIND: u32 = 40;
/// What it says of itself to whoever asks: that it has forgotten everything.
const HARDLY_BEGUN: &str = "Zookeeper version: 3.9.5\nZxid: 0x1\nMode: standalone\n";
/// The transaction that the first honest answer speaks of.
const FIRST_ZXID: i64 = 1_000;

/// Takes connections until the run is over.
pub(super) async fn serve(stage: Arc<Stage>) {
    let mut rng = stage.rng("lies");
    let mut behind: u32 = 0;
    let zxids = Arc::new(AtomicI64::new(FIRST_ZXID));
    let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let mut listener = match stage.env().bind(addr).await {
        Ok(listener) => listener,
        Err(error) => return stage.fail(format!("{addr}: {error}")),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stage.over() => return,
            accepted = accept(&mut *listener) => accepted,
        };
        let Ok((stream, _)) = accepted else {
            stage.pause(ms(5, 50)).await;
            continue;
        };
        // Now and then nobody is any further than the server that everybody has left.
        if rng.below(40) == 0 {
            behind = BEHIND;
        }
        behind = behind.saturating_sub(1);
        let script = match behind {
            0 => Script::draw(&mut rng),
            _ => Script::Behind,
        };
        stage.env().probe().reached(script.place());
        stage.progress("turn");
        let liar = Liar {
            stage: Arc::clone(&stage),
            wire: Wire::new(stream),
            script,
            rng: EnvRng::from_seed(rng.next_u64()),
            zxids: Arc::clone(&zxids),
            is_known: false,
        };
        stage.env().spawn("liar", Box::pin(liar.run()));
    }
}

/// One connection.
struct Liar {
    stage: Arc<Stage>,
    wire: Wire,
    script: Script,
    rng: EnvRng,
    /// Of the last transaction, for all connections.
    zxids: Arc<AtomicI64>,
    /// Whether the client has a zxid to compare others with.
    is_known: bool,
}

impl Liar {
    /// Until the client leaves, the script ends, or the run.
    async fn run(mut self) {
        let stage = Arc::clone(&self.stage);
        tokio::select! {
            biased;
            () = stage.over() => {}
            _ = self.play() => {}
        }
    }

    async fn play(&mut self) -> io::Result<()> {
        match self.script {
            Script::AcceptAndClose => return Ok(()),
            Script::Silent => {
                self.stage.pause(ms(500, 30_000)).await;
                return Ok(());
            }
            Script::Drip => return self.drip().await,
            Script::Noise => {
                let mut bytes = vec![0; 1 + self.rng.below(200) as usize];
                self.rng.fill(&mut bytes);
                return self.wire.write(&bytes).await;
            }
            _ => {}
        }
        if self.wire.begins_with(b"srvr").await? {
            return self.wire.write(HARDLY_BEGUN.as_bytes()).await;
        }
        self.greet().await?;
        // Honest for a while, then not.
        let mut honest = self.rng.below(8);
        loop {
            let Some(request) = Request::read(self.wire.read().await?) else {
                return Ok(());
            };
            self.stage.progress("turn");
            if honest > 0 || !request.is_ordinary() {
                honest = honest.saturating_sub(1);
                self.reply(&request).await?;
            } else {
                self.lie(&request).await?;
            }
            if request.op == Some(OpCode::CloseSession) {
                return Ok(());
            }
        }
    }

    async fn drip(&mut self) -> io::Result<()> {
        let response = frame(&grant(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 4_000,
            session_id: SessionId::NONE,
            password: Password::none(),
            read_only: Some(false),
        }));
        for byte in response {
            self.wire.write(&[byte]).await?;
            self.stage.pause(ms(500, 1_500)).await;
        }
        Ok(())
    }

    async fn greet(&mut self) -> io::Result<()> {
        let request = self.wire.read().await?;
        let Ok(request) = ConnectRequest::decode(&mut Reader::new(&request)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut response = grant(&request);
        match self.script {
            Script::Behind if request.last_zxid_seen > Zxid(0) => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Script::ReadOnly => response.read_only = Some(true),
            Script::OddHandshake => self.distort(&mut response),
            _ => {}
        }
        let mut bytes = frame(&response);
        if self.script == Script::Cut && self.rng.below(2) == 0 {
            bytes.truncate(self.rng.below(bytes.len() as u64) as usize);
            self.wire.write(&bytes).await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.wire.write(&bytes).await
    }

    fn distort(&mut self, response: &mut ConnectResponse) {
        match self.rng.below(6) {
            0 => response.timeout_ms = 0,
            1 => response.timeout_ms = -1,
            // More than was asked for, and no more than a client can wait for at the end.
            2 => response.timeout_ms = 40_000,
            3 => response.session_id = SessionId(7),
            4 => response.read_only = None,
            _ => response.password = Password::new([1, 2, 3]),
        }
    }

    fn zxid(&self, request: &Request) -> Zxid {
        let step = i64::from(request.is_write());
        Zxid(self.zxids.fetch_add(step, Ordering::Relaxed) + step)
    }

    async fn reply(&mut self, request: &Request) -> io::Result<()> {
        let zxid = self.zxid(request);
        self.is_known |= request.is_ordinary();
        let reply = match (self.script, request.op) {
            (Script::RefusesCredentials, Some(OpCode::Auth)) => {
                request.refusal(zxid, ErrorCode::AuthFailed)
            }
            (Script::ReadOnly, _) if request.is_write() => {
                request.refusal(zxid, ErrorCode::NotReadOnly)
            }
            _ => request.reply(zxid),
        };
        self.wire.write(&reply).await
    }

    /// The script's moment. An error ends the connection.
    async fn lie(&mut self, request: &Request) -> io::Result<()> {
        let zxid = self.zxid(request);
        let closed = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let reply = match self.script {
            Script::Cut => {
                let mut reply = request.reply(zxid);
                reply.truncate(self.rng.below(reply.len() as u64) as usize);
                self.wire.write(&reply).await?;
                return Err(closed());
            }
            // Who has seen nothing yet cannot know.
            Script::Past if !self.is_known => return self.reply(request).await,
            Script::Past => request.reply_as(request.xid, Zxid(FIRST_ZXID - 1), "a lie"),
            Script::Old if request.op == Some(OpCode::MultiRead) => return Err(closed()),
            Script::WrongXid => {
                let off = if self.rng.below(2) == 0 { 1 } else { -1 };
                request.reply_as(Xid(request.xid.0.wrapping_add(off)), zxid, "a lie")
            }
            Script::Twice => {
                let reply = request.reply(zxid);
                self.wire.write(&reply).await?;
                reply
            }
            Script::Unsolicited => {
                let odd = [request.xid.0.wrapping_add(1_000), -2, -4, -8, -3, i32::MIN];
                let xid = odd[self.rng.below(odd.len() as u64) as usize];
                request.reply_as(Xid(xid), zxid, "a lie")
            }
            Script::BadLength => {
                let lengths = [-1, 0, 1, i32::MAX, i32::MIN, 64 * 1024 + 1];
                let length = lengths[self.rng.below(lengths.len() as u64) as usize];
                self.wire.write(&length.to_be_bytes()).await?;
                return Err(closed());
            }
            Script::BadBody => {
                let body = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1];
                request.reply_with(zxid, &body[..self.rng.below(9) as usize])
            }
            Script::BadMulti => self.bad_multi(request, zxid),
            Script::Honest
            | Script::AcceptAndClose
            | Script::Silent
            | Script::Drip
            | Script::OddHandshake
            | Script::Behind
            | Script::ReadOnly
            | Script::RefusesCredentials
            | Script::Old
            | Script::Noise => return self.reply(request).await,
        };
        self.wire.write(&reply).await
    }

    fn bad_multi(&mut self, request: &Request, zxid: Zxid) -> bytes::BytesMut {
        if !matches!(request.op, Some(OpCode::Multi | OpCode::MultiRead)) {
            return request.reply(zxid);
        }
        let results = match self.rng.below(4) {
            0 => Vec::new(),
            1 => vec![MultiResult::Check; 3],
            2 => vec![MultiResult::Delete, MultiResult::Error(ErrorCode::NoNode)],
            _ => vec![MultiResult::Error(ErrorCode::Ok), MultiResult::Check],
        };
        let mut body = bytes::BytesMut::new();
        zk_proto::Encode::encode(&MultiResponse { results }, &mut body);
        request.reply_with(zxid, &body)
    }
}

/// A session as asked for.
fn grant(request: &ConnectRequest) -> ConnectResponse {
    let session_id = match request.session_id {
        SessionId::NONE => SessionId(0x1_0000_0001),
        known => known,
    };
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: request.timeout_ms,
        session_id,
        password: Password::new([9; 16]),
        read_only: request.read_only.map(|_| false),
    }
}
