//! Reading, writing and closing.

use std::io;
use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::connection::{Connection, Ending, Payload, Presence};
use crate::observe::{ConnectionId, Observation, Side};
use crate::world::World;

impl World {
    pub(crate) fn poll_read(
        &mut self,
        id: ConnectionId,
        side: Side,
        room: &mut ReadBuf<'_>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let direction = self.living(id, side)?.read_by(side);
        let len = direction.read(room);
        if len > 0 {
            let is_heard = !self.is_held(id, side);
            let writer = self.connection(id).read_by(side).make_room(len, is_heard);
            self.wakes.add(writer);
            self.tell(&Observation::Read {
                connection: id,
                side: side.peer(),
                len,
            });
            return Poll::Ready(Ok(()));
        }
        match direction.end {
            Some(Ending::Fin) => Poll::Ready(Ok(())),
            Some(Ending::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                remember(&mut direction.reader, waker);
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
        let connection = self.living(id, side)?;
        if connection.end(side).broken {
            return Poll::Ready(Err(broken(connection, side)));
        }
        if connection.end(side).is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let direction = connection.sent_by(side);
        let len = bytes.len().min(window.saturating_sub(direction.unread));
        if len == 0 {
            remember(&mut direction.writer, waker);
            return Poll::Pending;
        }
        direction.unread += len;
        self.send_bytes(id, side, Bytes::copy_from_slice(&bytes[..len]));
        Poll::Ready(Ok(len))
    }

    fn send_bytes(&mut self, id: ConnectionId, side: Side, bytes: Bytes) {
        let direction = self.connection(id).sent_by(side);
        let (offset, link) = (direction.written, direction.link);
        direction.written += bytes.len() as u64;
        self.tell(&Observation::Wrote {
            connection: id,
            side,
            bytes: &bytes,
        });
        let Some((index, bit)) = self.links.get_mut(link).garbles(bytes.len()) else {
            self.send(id, side, Payload::Bytes(bytes));
            return;
        };
        let mut garbled = bytes.to_vec();
        garbled[index] ^= bit;
        let becomes = garbled[index];
        self.garbled += 1;
        self.send(id, side, Payload::Bytes(garbled.into()));
        self.tell(&Observation::Garbled {
            connection: id,
            side,
            offset: offset + index as u64,
            becomes,
        });
    }

    /// Changes the window; writers that wait look again.
    pub(crate) fn set_window(&mut self, bytes: usize) {
        self.window = bytes;
        for connection in self.connections.values_mut() {
            for side in Side::BOTH {
                self.wakes.add(connection.sent_by(side).writer.take());
            }
        }
    }

    /// The owner of `side` writes no more; what was written before still arrives.
    pub(crate) fn shutdown(&mut self, id: ConnectionId, side: Side) {
        if let Ok(connection) = self.living(id, side) {
            connection.end_mut(side).is_shut = true;
            self.send_fin(id, side);
        }
    }

    /// Ends what `side` sends.
    pub(crate) fn send_fin(&mut self, id: ConnectionId, side: Side) {
        let connection = self.connection(id);
        if connection.end(side).broken || connection.sent_by(side).sent_end.is_some() {
            return;
        }
        connection.sent_by(side).sent_end = Some(Ending::Fin);
        self.send(id, side, Payload::Fin);
        self.tell(&Observation::Closed {
            connection: id,
            side,
            is_reset: false,
        });
    }

    /// The stream of `side` was dropped. One whose host was killed says nothing.
    pub(crate) fn close(&mut self, id: ConnectionId, side: Side) {
        let Ok(connection) = self.living(id, side) else {
            return;
        };
        connection.end_mut(side).presence = Presence::Gone;
        if connection.end(side.peer()).presence != Presence::Open {
            self.remove(id);
            return;
        }
        let incoming = connection.read_by(side);
        let unread: usize = incoming.received.iter().map(Bytes::len).sum();
        incoming.received.clear();
        let reader = incoming.reader.take();
        let writer = incoming.make_room(unread, true);
        self.wakes.add(reader);
        self.wakes.add(writer);
        self.send_fin(id, side);
    }

    /// Forgets a connection without ends, with all that is still in flight.
    pub(crate) fn remove(&mut self, id: ConnectionId) {
        if let Some(mut connection) = self.connections.remove(&id) {
            connection
                .take_wakers()
                .for_each(|waker| self.wakes.add(Some(waker)));
        }
    }

    /// The connection of a stream, unless the stream's host has been killed since
    /// it was opened.
    pub(crate) fn living(&mut self, id: ConnectionId, side: Side) -> io::Result<&mut Connection> {
        self.connections
            .get_mut(&id)
            .filter(|connection| connection.end(side).presence != Presence::Vanished)
            .ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }
}

/// What a write meets after the peer's reset.
fn broken(connection: &mut Connection, side: Side) -> io::Error {
    match connection.read_by(side).end {
        Some(Ending::Fin) => io::ErrorKind::BrokenPipe.into(),
        Some(Ending::Reset) | None => io::ErrorKind::ConnectionReset.into(),
    }
}

/// Keeps a waker, if it is another than last time.
pub(crate) fn remember(place: &mut Option<Waker>, waker: &Waker) {
    if !place.as_ref().is_some_and(|old| old.will_wake(waker)) {
        *place = Some(waker.clone());
    }
}
