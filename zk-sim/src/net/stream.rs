//! The two things a host holds: streams and listeners.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ports::{Dialled, ListenerId};
use crate::Sim;
use crate::observe::{ConnectionId, Side};
use crate::world::HostId;
use zk_env::{BoxStream, Listener};

/// One end of a connection. Dropping it sends what was written, then a FIN.
#[derive(Debug)]
pub(crate) struct SimStream {
    sim: Sim,
    id: ConnectionId,
    side: Side,
}

impl SimStream {
    /// Connects `host` to `address`.
    ///
    /// Cancel safe: dropped halfway, the peer sees nothing or a closed connection.
    pub(crate) async fn connect(sim: Sim, host: HostId, address: SocketAddr) -> io::Result<Self> {
        let id = match sim.with(|world| world.dial(host, address))? {
            Dialled::Calling(id) => id,
            Dialled::Unreachable(after) => return Err(unreachable(address, after).await),
            Dialled::Unanswered => std::future::pending().await,
        };
        let stream = Self {
            sim,
            id,
            side: Side::Connector,
        };
        std::future::poll_fn(|cx| {
            stream
                .sim
                .with(|world| world.poll_established(id, cx.waker()))
        })
        .await?;
        Ok(stream)
    }
}

async fn unreachable(address: SocketAddr, after: Duration) -> io::Error {
    tokio::time::sleep(after).await;
    let message = format!("no host has the address {}", address.ip());
    io::Error::new(io::ErrorKind::HostUnreachable, message)
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.sim
            .with(|world| world.poll_read(self.id, self.side, room, cx.waker()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sim
            .with(|world| world.poll_write(self.id, self.side, bytes, cx.waker()))
    }

    /// Written is sent; there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sim.with(|world| world.shutdown(self.id, self.side));
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.sim.with(|world| world.close(self.id, self.side));
    }
}

/// A bound port. Dropping it closes the connections that wait to be accepted.
#[derive(Debug)]
pub(crate) struct SimListener {
    sim: Sim,
    id: ListenerId,
    host: HostId,
    address: SocketAddr,
}

impl SimListener {
    pub(crate) fn bind(sim: Sim, host: HostId, address: SocketAddr) -> io::Result<Self> {
        let (id, address) = sim.with(|world| world.bind(host, address))?;
        Ok(Self {
            sim,
            id,
            host,
            address,
        })
    }
}

impl Listener for SimListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        let (host, port) = (self.host, self.address.port());
        self.sim
            .with(|world| world.poll_accept(host, port, self.id, cx.waker()))
            .map_ok(|(id, peer)| {
                let stream = SimStream {
                    sim: self.sim.clone(),
                    id,
                    side: Side::Acceptor,
                };
                (Box::new(stream) as BoxStream, peer)
            })
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.sim
            .with(|world| world.unbind(self.host, self.address.port(), self.id));
    }
}
