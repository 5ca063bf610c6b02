//! One connection: two ends and what flows between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use crate::world::HostId;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Connector,
    Acceptor,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Connector, Self::Acceptor];

    pub(crate) fn peer(self) -> Self {
        match self {
            Self::Connector => Self::Acceptor,
            Self::Acceptor => Self::Connector,
        }
    }
}

/// What travels, in TCP's words.
#[derive(Debug)]
pub(crate) enum Payload {
    Syn,
    SynAck,
    Bytes(Bytes),
    Fin,
    Reset,
}

impl Payload {
    /// A number per kind, for the trace.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::Syn => 0,
            Self::SynAck => 1,
            Self::Bytes(_) => 2,
            Self::Fin => 3,
            Self::Reset => 4,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Syn | Self::SynAck | Self::Fin | Self::Reset => &[],
        }
    }
}

/// A payload under way.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) due: Instant,
    /// Breaks ties between segments due at the same time, in sending order.
    pub(crate) seq: u64,
    pub(crate) payload: Payload,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Fin,
    Reset,
}

/// What flows from one end to the other.
#[derive(Debug)]
pub(crate) struct Direction {
    /// In sending order, which is the order of arrival too.
    pub(crate) in_flight: VecDeque<Segment>,
    /// Nothing sent later arrives before this.
    pub(crate) last_due: Instant,
    /// Arrived, not yet read.
    pub(crate) received: VecDeque<Bytes>,
    /// Bytes sent and not yet read; what the window bounds.
    pub(crate) unread: usize,
    /// What the writer has sent as its last.
    pub(crate) sent_end: Option<Ending>,
    /// What the reader meets behind the received bytes.
    pub(crate) end: Option<Ending>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Direction {
    fn new(now: Instant) -> Self {
        Self {
            in_flight: VecDeque::new(),
            last_due: now,
            received: VecDeque::new(),
            unread: 0,
            sent_end: None,
            end: None,
            reader: None,
            writer: None,
        }
    }

    /// Forgets what is in flight and what was not read.
    pub(crate) fn clear(&mut self) {
        self.in_flight.clear();
        self.received.clear();
        self.unread = 0;
    }

    /// Moves received bytes into `room`; how many.
    pub(crate) fn read(&mut self, room: &mut tokio::io::ReadBuf<'_>) -> usize {
        let before = room.filled().len();
        while let Some(chunk) = self.received.front_mut() {
            let len = chunk.len().min(room.remaining());
            room.put_slice(&chunk.split_to(len));
            if !chunk.is_empty() {
                break;
            }
            self.received.pop_front();
        }
        let len = room.filled().len() - before;
        self.unread -= len;
        len
    }
}

/// Whether an end has a stream that reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The connection has not reached a listener.
    Absent,
    /// In a listener's queue, or in use.
    Open,
    /// Dropped.
    Gone,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) address: SocketAddr,
    pub(crate) presence: Presence,
    /// The peer's reset has arrived: nothing can be sent any more.
    pub(crate) broken: bool,
}

impl End {
    pub(crate) fn new(host: HostId, address: SocketAddr, presence: Presence) -> Self {
        Self {
            host,
            address,
            presence,
            broken: false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    connector: End,
    acceptor: End,
    to_acceptor: Direction,
    to_connector: Direction,
    /// The acceptor's answer has arrived at the connector.
    pub(crate) established: bool,
}

impl Connection {
    pub(crate) fn new(connector: End, acceptor: End, now: Instant) -> Self {
        Self {
            connector,
            acceptor,
            to_acceptor: Direction::new(now),
            to_connector: Direction::new(now),
            established: false,
        }
    }

    pub(crate) fn end(&self, side: Side) -> &End {
        match side {
            Side::Connector => &self.connector,
            Side::Acceptor => &self.acceptor,
        }
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Connector => &mut self.connector,
            Side::Acceptor => &mut self.acceptor,
        }
    }

    /// The hosts of `from` and of its peer.
    pub(crate) fn hosts(&self, from: Side) -> (HostId, HostId) {
        (self.end(from).host, self.end(from.peer()).host)
    }

    /// What `side` sends.
    pub(crate) fn sent_by(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Connector => &mut self.to_acceptor,
            Side::Acceptor => &mut self.to_connector,
        }
    }

    /// What `side` reads.
    pub(crate) fn read_by(&mut self, side: Side) -> &mut Direction {
        self.sent_by(side.peer())
    }

    pub(crate) fn joins(&self, a: HostId, b: HostId) -> bool {
        let ends = (self.connector.host, self.acceptor.host);
        ends == (a, b) || ends == (b, a)
    }
}
