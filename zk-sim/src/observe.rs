//! What the simulator tells those who watch it, while it happens.

use std::fmt;
use std::net::IpAddr;
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

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Connector, Self::Acceptor];

    /// The other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Connector => Self::Acceptor,
            Self::Acceptor => Self::Connector,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields are what the variant's line says")]
pub enum Observation<'o> {
    /// A host has sent the first segment of a connection, from this address.
    Dialled {
        connection: ConnectionId,
        from: &'o str,
        ip: IpAddr,
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
    /// The other end has taken this many of the bytes written by `side`: what had arrived
    /// when a reset came, it never saw.
    Read {
        connection: ConnectionId,
        side: Side,
        len: usize,
    },
    /// A byte written by `side` was changed on its way: the one at this offset of all
    /// that it wrote, which `Wrote` has told as it was, arrives as `becomes`.
    Garbled {
        connection: ConnectionId,
        side: Side,
        offset: u64,
        becomes: u8,
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

/// Those who watch.
#[derive(Default)]
pub(crate) struct Observers(Vec<Box<dyn Observer>>);

impl Observers {
    pub(crate) fn push(&mut self, observer: Box<dyn Observer>) {
        self.0.push(observer);
    }

    pub(crate) fn tell(&mut self, at: Duration, observation: &Observation<'_>) {
        for observer in &mut self.0 {
            observer.observe(at, observation);
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observers").field(&self.0.len()).finish()
    }
}
