//! Reading, writing and closing.

use std::io;
use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::connection::{Ending, Payload, Presence, Side};
use crate::world::{ConnectionId, World};

impl World {
    pub(crate) fn poll_read(
        &mut self,
        id: ConnectionId,
        side: Side,
        room: &mut ReadBuf<'_>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let direction = self.connection(id).read_by(side);
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if direction.read(room) > 0 {
            let writer = direction.writer.take();
            self.wakes.extend(writer);
            return Poll::Ready(Ok(()));
        }
        match direction.end {
            Some(Ending::Fin) => Poll::Ready(Ok(())),
            Some(Ending::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                direction.reader = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        id: ConnectionId,
        side: Side,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let window = self.window;
        let connection = self.connection(id);
        if connection.end(side).broken {
            return Poll::Ready(Err(self.broken(id, side)));
        }
        let direction = connection.sent_by(side);
        if direction.sent_end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = bytes.len().min(window.saturating_sub(direction.unread));
        if len == 0 {
            direction.writer = Some(waker.clone());
            return Poll::Pending;
        }
        direction.unread += len;
        let payload = Payload::Bytes(Bytes::copy_from_slice(&bytes[..len]));
        self.send(id, side, payload);
        Poll::Ready(Ok(len))
    }

    /// Changes the window; writers that wait look again.
    pub(crate) fn set_window(&mut self, bytes: usize) {
        self.window = bytes;
        for connection in self.connections.values_mut() {
            for side in Side::BOTH {
                self.wakes.extend(connection.sent_by(side).writer.take());
            }
        }
    }

    /// What a write meets after the peer's reset.
    fn broken(&mut self, id: ConnectionId, side: Side) -> io::Error {
        match self.connection(id).read_by(side).end {
            Some(Ending::Fin) => io::ErrorKind::BrokenPipe.into(),
            Some(Ending::Reset) | None => io::ErrorKind::ConnectionReset.into(),
        }
    }

    /// Ends what `side` sends; what was written before still arrives.
    pub(crate) fn shutdown(&mut self, id: ConnectionId, side: Side) {
        let connection = self.connection(id);
        if connection.end(side).broken || connection.sent_by(side).sent_end.is_some() {
            return;
        }
        connection.sent_by(side).sent_end = Some(Ending::Fin);
        self.send(id, side, Payload::Fin);
    }

    /// The stream of `side` was dropped.
    pub(crate) fn close(&mut self, id: ConnectionId, side: Side) {
        let connection = self.connection(id);
        connection.end_mut(side).presence = Presence::Gone;
        if connection.end(side.peer()).presence != Presence::Open {
            self.remove(id);
            return;
        }
        let incoming = connection.read_by(side);
        let unread: usize = incoming.received.iter().map(Bytes::len).sum();
        incoming.unread -= unread;
        incoming.received.clear();
        incoming.reader = None;
        let writer = incoming.writer.take();
        self.wakes.extend(writer);
        self.shutdown(id, side);
    }

    /// Forgets a connection without ends, with all that is still in flight.
    fn remove(&mut self, id: ConnectionId) {
        for side in Side::BOTH {
            self.hold(id, side);
        }
        self.connections.remove(&id);
    }
}
