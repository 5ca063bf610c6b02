//! The task of one election connection: dials, reads, writes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zk_env::{BoxStream, Env, sleep_until};

use super::core::Input;
use crate::quorum::HostPort;
use crate::quorum::election::cnx::{ConnId, DialError};

/// What is read at once.
const READ_BYTES: usize = 8 << 10;
/// How long a connection that is being closed may take to write the rest.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// One connection and its way to the core.
pub(super) struct CnxTask {
    pub(super) env: Arc<dyn Env>,
    pub(super) conn: ConnId,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Ends when the connection is to be closed.
    pub(super) to_write: mpsc::Receiver<Bytes>,
    /// Cancelled then as well.
    pub(super) closing: CancellationToken,
}

impl CnxTask {
    /// Dials, then carries.
    pub(super) async fn dial(self, addrs: Vec<HostPort>, timeout: Duration) {
        let dialed = {
            let closing = self.closing.clone();
            tokio::select! {
                biased;
                () = closing.cancelled() => return,
                dialed = dial(&*self.env, &addrs, timeout) => dialed,
            }
        };
        let conn = self.conn;
        match dialed {
            Ok(stream) => {
                if self.inputs.send(Input::Dialed(conn)).await.is_ok() {
                    self.carry(stream).await;
                }
            }
            Err(error) => {
                // Without a core there is nobody to tell.
                let _ = self.inputs.send(Input::DialFailed(conn, error)).await;
            }
        }
    }

    /// Reads and writes until either side ends the connection.
    pub(super) async fn carry(mut self, stream: BoxStream) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (conn, inputs) = (self.conn, &self.inputs);
        let read = async {
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(READ_BYTES);
                let count = (&mut reader)
                    .take(READ_BYTES as u64)
                    .read_buf(&mut buffer)
                    .await?;
                if count == 0 {
                    return Ok(());
                }
                let bytes = buffer.split().freeze();
                if inputs.send(Input::Bytes(conn, bytes)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let to_write = &mut self.to_write;
        let write = async {
            while let Some(bytes) = to_write.recv().await {
                writer.write_all(&bytes).await?;
                writer.flush().await?;
                if inputs.send(Input::Written(conn)).await.is_err() {
                    return Ok(());
                }
            }
            writer.shutdown().await
        };
        let mut timer = self.env.timer();
        let give_up = async {
            self.closing.cancelled().await;
            sleep_until(&mut *timer, self.env.now() + FLUSH_LIMIT).await;
        };
        let ended: io::Result<()> = tokio::select! {
            ended = read => ended,
            ended = write => ended,
            () = give_up => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an election connection broke");
        }
        let _ = self.inputs.send(Input::Closed(conn)).await;
    }
}

/// Tries one address after the other. Refused is only who was refused everywhere.
async fn dial(
    env: &dyn Env,
    addrs: &[HostPort],
    timeout: Duration,
) -> Result<BoxStream, DialError> {
    let mut timer = env.timer();
    let mut is_refused = true;
    for addr in addrs {
        let deadline = env.now() + timeout;
        let dialed = tokio::select! {
            biased;
            dialed = dial_one(env, addr) => dialed,
            () = sleep_until(&mut *timer, deadline) => Err(io::ErrorKind::TimedOut.into()),
        };
        match dialed {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                tracing::debug!(%addr, %error, "cannot dial for an election");
                is_refused &= error.kind() == io::ErrorKind::ConnectionRefused;
            }
        }
    }
    Err(if is_refused {
        DialError::Refused
    } else {
        DialError::Unreachable
    })
}

/// A name is looked up with every dial (ZOOKEEPER-3320, ZOOKEEPER-3991).
async fn dial_one(env: &dyn Env, addr: &HostPort) -> io::Result<BoxStream> {
    let found: Vec<SocketAddr> = env.resolve(&addr.host, addr.port).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for addr in found {
        match env.connect(addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
