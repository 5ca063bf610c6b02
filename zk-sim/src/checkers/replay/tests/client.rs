//! A client by hand: sends several requests at once, reads what comes, sometimes leaves.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_env::{BoxStream, Env, EnvRng, sleep_until};
use zk_proto::record::{ConnectRequest, ConnectResponse};
use zk_proto::{
    Decode, Encode, FrameDecoder, OpCode, Password, Reader, ReplyHeader, RequestHeader, SessionId,
    Xid, Zxid, encode_frame,
};

use super::gen_ops::{self, Asked};

pub(super) struct Client {
    env: Arc<dyn Env>,
    rng: EnvRng,
    session: SessionId,
    password: Password,
    seen: Zxid,
    xid: Xid,
    decoder: FrameDecoder,
    input: BytesMut,
}

/// A body as it is.
struct Raw<'b>(&'b [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}

impl Client {
    pub(super) fn new(env: Arc<dyn Env>) -> Self {
        Self {
            rng: env.rng("client"),
            env,
            session: SessionId::NONE,
            password: Password::none(),
            seen: Zxid::ZERO,
            xid: Xid(0),
            decoder: FrameDecoder::new(64 << 20),
            input: BytesMut::new(),
        }
    }

    pub(super) async fn work(mut self, mut requests: u64) {
        while requests > 0 {
            if let Some(stream) = self.connect().await {
                self.serve(stream, &mut requests).await;
            }
            // Sometimes for longer than the session lives.
            let away = Duration::from_millis(self.rng.below(3) * self.rng.below(1500));
            self.pause(away).await;
        }
    }

    async fn pause(&self, duration: Duration) {
        let until = self.env.now() + duration;
        sleep_until(&mut *self.env.timer(), until).await;
    }

    async fn connect(&mut self) -> Option<BoxStream> {
        let server = self
            .env
            .resolve("server", 2181)
            .await
            .ok()?
            .first()
            .copied()?;
        let mut stream = self.env.connect(server).await.ok()?;
        self.input.clear();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: 1000,
            session_id: self.session,
            password: self.password.clone(),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        encode_frame(&mut out, &request);
        stream.write_all(&out).await.ok()?;
        let frame = self.frame(&mut stream).await?;
        let response = ConnectResponse::decode(&mut Reader::new(&frame)).ok()?;
        if response.timeout_ms <= 0 {
            self.session = SessionId::NONE;
            self.password = Password::none();
            return None;
        }
        let is_back = self.session != SessionId::NONE;
        self.session = response.session_id;
        self.password = response.password;
        if is_back {
            let watches = gen_ops::set_watches(&mut self.rng, self.seen);
            self.send(&mut stream, &[watches]).await?;
            self.answers(&mut stream, 1).await?;
        }
        Some(stream)
    }

    async fn frame(&mut self, stream: &mut BoxStream) -> Option<bytes::Bytes> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.input).ok()? {
                return Some(frame);
            }
            if stream.read_buf(&mut self.input).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, stream: &mut BoxStream, asked: &[Asked]) -> Option<()> {
        let mut out = BytesMut::new();
        for asked in asked {
            self.xid = self.xid.next();
            let header = RequestHeader {
                xid: self.xid,
                op: asked.op,
            };
            encode_frame(&mut out, &(header, Raw(&asked.body)));
        }
        stream.write_all(&out).await.ok()
    }

    /// Reads so many answers, and the events between them.
    async fn answers(&mut self, stream: &mut BoxStream, count: usize) -> Option<()> {
        let mut left = count;
        while left > 0 {
            let frame = self.frame(stream).await?;
            let header = ReplyHeader::decode(&mut Reader::new(&frame)).ok()?;
            self.seen = self.seen.max(header.zxid);
            left -= usize::from(header.xid != Xid::NOTIFICATION);
        }
        Some(())
    }

    /// Until it has had enough, or the server has.
    async fn serve(&mut self, mut stream: BoxStream, requests: &mut u64) {
        loop {
            let count = 1 + self.rng.below(6).min(*requests);
            let (rng, seen) = (&mut self.rng, self.seen);
            let mut asked: Vec<Asked> = (0..count).map(|_| gen_ops::next(rng, seen)).collect();
            *requests = requests.saturating_sub(count);
            let whim = self.rng.below(60);
            if whim < 2 {
                let op = if whim == 0 {
                    OpCode::CloseSession.into()
                } else {
                    99
                };
                asked.push(Asked {
                    op,
                    body: bytes::Bytes::new(),
                });
            }
            if self.send(&mut stream, &asked).await.is_none() || whim == 2 || *requests == 0 {
                return;
            }
            if self.answers(&mut stream, asked.len()).await.is_none() || whim < 4 {
                return;
            }
            let idle = Duration::from_millis(self.rng.below(40));
            self.pause(idle).await;
        }
    }
}
