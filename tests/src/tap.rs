//! A proxy that understands frames: it keeps what clients sent, and can refuse
//! operations as a server does that does not know them.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use zk_proto::{Decode, ErrorCode, OpCode, Reader, ReplyHeader, RequestHeader, Zxid};

use crate::fake_server::{Raw, Request};
use crate::wire::Wire;

/// A request as it went by.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection, counted from 0.
    pub connection: usize,
    /// The request. A handshake counts as `createSession`, xid 0.
    pub request: Request,
}

impl Seen {
    /// Whether it is this operation.
    pub fn is(&self, op: OpCode) -> bool {
        self.request.op == i32::from(op)
    }
}

#[derive(Debug, Default)]
struct Log {
    connections: usize,
    seen: Vec<Seen>,
}

/// Sits between client and server on a loopback port of its own.
#[derive(Debug)]
pub struct Tap {
    addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    listener: JoinHandle<()>,
}

impl Tap {
    /// Watches the way to `host`.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had.
    pub async fn start(host: &str) -> Self {
        Self::lacking(host, &[]).await
    }

    /// Makes the server look like an older one: each of `ops` is answered
    /// `Unimplemented` and the connection closed, ahead of replies still due, as
    /// servers do since 3.4.6.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had.
    pub async fn lacking(host: &str, ops: &'static [OpCode]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a loopback port");
        let upstream = host.to_owned();
        let log = Arc::default();
        Self {
            addr: listener.local_addr().expect("a bound address"),
            listener: tokio::spawn(accept(listener, upstream, ops, Arc::clone(&log))),
            log,
        }
    }

    /// Where clients connect: `host:port`.
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.log).seen.clone()
    }

    /// How often an operation was asked for.
    pub fn count(&self, op: OpCode) -> usize {
        lock(&self.log)
            .seen
            .iter()
            .filter(|seen| seen.is(op))
            .count()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        lock(&self.log).connections
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    upstream: String,
    lacking: &'static [OpCode],
    log: Arc<Mutex<Log>>,
) {
    // Dropped with the listener's task, which ends the connections too.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let connection = {
            let mut log = lock(&log);
            log.connections += 1;
            log.connections - 1
        };
        let (upstream, log) = (upstream.clone(), Arc::clone(&log));
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(&upstream).await {
                let link = Link {
                    connection,
                    lacking,
                    log,
                };
                link.carry(client, server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Link {
    connection: usize,
    lacking: &'static [OpCode],
    log: Arc<Mutex<Log>>,
}

impl Link {
    /// Carries frames until either side ends or an operation is refused.
    async fn carry(self, client: TcpStream, server: TcpStream) {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (mut client, mut server) = (Wire::new(client), Wire::new(server));
        let mut handshaken = false;
        loop {
            tokio::select! {
                frame = client.read_frame() => {
                    let Ok(Some(frame)) = frame else { return };
                    let request = request(&frame, handshaken);
                    handshaken = true;
                    let refused = self.refusal(&request);
                    self.note(request);
                    if let Some(header) = refused {
                        let _ = client.write_frame(&header).await;
                        return;
                    }
                    if server.write_frame(&Raw(&frame)).await.is_err() {
                        return;
                    }
                }
                frame = server.read_frame() => {
                    let Ok(Some(frame)) = frame else { return };
                    if client.write_frame(&Raw(&frame)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn note(&self, request: Request) {
        lock(&self.log).seen.push(Seen {
            connection: self.connection,
            request,
        });
    }

    fn refusal(&self, request: &Request) -> Option<ReplyHeader> {
        let op = OpCode::try_from(request.op).ok()?;
        self.lacking.contains(&op).then_some(ReplyHeader {
            xid: request.xid,
            zxid: Zxid(-1),
            err: ErrorCode::Unimplemented,
        })
    }
}

/// The request in a frame; what is not one shows as `error`, xid −1.
fn request(frame: &Bytes, handshaken: bool) -> Request {
    if !handshaken {
        return Request::new(0, OpCode::CreateSession.into(), frame.clone());
    }
    let mut reader = Reader::new(frame);
    match RequestHeader::decode(&mut reader) {
        Ok(header) => Request::new(header.xid.0, header.op, reader.rest()),
        Err(_) => Request::new(-1, OpCode::Error.into(), frame.clone()),
    }
}
