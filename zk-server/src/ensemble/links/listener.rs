//! Where a peer waits for the others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use zk_env::{BoxStream, Listener};

use super::Links;

/// Connections made before they are accepted; those who dial wait for room.
pub(super) const BACKLOG: usize = 128;

/// A connection that somebody dialled, and where from.
pub(super) type Dialled = (BoxStream, SocketAddr);

/// Where connections come from.
pub(super) enum Source {
    /// Others in this process dial by a queue.
    Memory(mpsc::Receiver<Dialled>),
    /// A socket of its own.
    Tcp(Box<dyn Listener>),
}

/// A peer's quorum or election port. Dropping it closes those that wait to be accepted, and
/// later dials are refused.
pub(super) struct PeerListener {
    pub(super) source: Source,
    /// As the ensemble's configuration has it.
    pub(super) addr: SocketAddr,
    pub(super) links: Arc<Links>,
}

impl Listener for PeerListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Dialled>> {
        match &mut self.source {
            Source::Memory(queue) => queue.poll_recv(cx).map(|dialled| {
                // The queue's other end goes when this listener does.
                dialled.ok_or_else(|| io::ErrorKind::NotConnected.into())
            }),
            Source::Tcp(listener) => listener.poll_accept(cx),
        }
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.links.unbind(self.addr);
    }
}
