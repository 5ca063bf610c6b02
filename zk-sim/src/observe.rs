//! What the simulator tells those who watch it, while it happens.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// A connection of the network, in the order in which they were dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// That dialled.
    Connector,
    /// That accepted.
    Acceptor,
}

/// Something that happened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields are what the variant's line says")]
pub enum Observation<'o> {
    /// A host has sent the first segment of a connection.
    Dialled {
        connection: ConnectionId,
        from: &'o str,
        to: &'o str,
        port: u16,
    },
    /// The connector knows that the connection stands.
    Established { connection: ConnectionId },
    /// An end has written bytes, which are on their way.
    Wrote {
        connection: ConnectionId,
        side: Side,
        bytes: &'o Bytes,
    },
    /// This many bytes written by `side` have arrived at the other end.
    Arrived {
        connection: ConnectionId,
        side: Side,
        len: usize,
    },
    /// A byte written by `side` was changed on its way: the one at this offset of all
    /// that it wrote.
    Garbled {
        connection: ConnectionId,
        side: Side,
        offset: u64,
    },
    /// An end has stopped writing (`is_reset` false) or is gone.
    Closed {
        connection: ConnectionId,
        side: Side,
        is_reset: bool,
    },
    /// A fault begins or ends.
    Fault { what: &'o str, begins: bool },
    /// Something else worth a line in the timeline: who, and what.
    Note {
        host: &'o str,
        what: fmt::Arguments<'o>,
    },
}

/// Watches a simulation. Called while the simulator's lock is held: it must not call
/// back into it.
pub trait Observer: Send + 'static {
    /// This happened, `at` after the simulation began.
    fn observe(&mut self, at: Duration, observation: &Observation<'_>);
}
