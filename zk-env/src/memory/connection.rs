//! One connection: two ends and what flows between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use super::world::HostId;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Connector,
    Acceptor,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Connector, Self::Acceptor];

    pub(super) fn peer(self) -> Self {
        match self {
            Self::Connector => Self::Acceptor,
            Self::Acceptor => Self::Connector,
        }
    }
}

/// What travels, in TCP's words.
#[derive(Debug)]
pub(super) enum Payload {
    Syn,
    SynAck,
    Bytes(Bytes),
    Fin,
    Reset,
}

impl Payload {
    /// A number per kind, for the trace.
    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::Syn => 0,
            Self::SynAck => 1,
            Self::Bytes(_) => 2,
            Self::Fin => 3,
            Self::Reset => 4,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Syn | Self::SynAck | Self::Fin | Self::Reset => &[],
        }
    }
}

/// A payload under way.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) due: Instant,
    /// Breaks ties between segments due at the same time, in sending order.
    pub(super) seq: u64,
    pub(super) payload: Payload,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Fin,
    Reset,
}

/// What flows from one end to the other.
#[derive(Debug)]
pub(super) struct Direction {
    /// In sending order, which is the order of arrival too.
    pub(super) in_flight: VecDeque<Segment>,
    /// Nothing sent later arrives before this.
    pub(super) last_due: Instant,
    /// Arrived, not yet read.
    pub(super) received: VecDeque<Bytes>,
    /// Bytes sent and not yet read; what the window bounds.
    pub(super) unread: usize,
    /// What the writer has sent as its last.
    pub(super) sent_end: Option<Ending>,
    /// What the reader meets behind the received bytes.
    pub(super) end: Option<Ending>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
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
    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
        self.received.clear();
        self.unread = 0;
    }

    /// Moves received bytes into `room`; how many.
    pub(super) fn read(&mut self, room: &mut tokio::io::ReadBuf<'_>) -> usize {
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
pub(super) enum Presence {
    /// The connection has not reached a listener.
    Absent,
    /// In a listener's queue, or in use.
    Open,
    /// Dropped.
    Gone,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) host: HostId,
    pub(super) address: SocketAddr,
    pub(super) presence: Presence,
    /// The peer's reset has arrived: nothing can be sent any more.
    pub(super) broken: bool,
}

impl End {
    pub(super) fn new(host: HostId, address: SocketAddr, presence: Presence) -> Self {
        Self {
            host,
            address,
            presence,
            broken: false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    connector: End,
    acceptor: End,
    to_acceptor: Direction,
    to_connector: Direction,
    /// The acceptor's answer has arrived at the connector.
    pub(super) established: bool,
}

impl Connection {
    pub(super) fn new(connector: End, acceptor: End, now: Instant) -> Self {
        Self {
            connector,
            acceptor,
            to_acceptor: Direction::new(now),
            to_connector: Direction::new(now),
            established: false,
        }
    }

    pub(super) fn end(&self, side: Side) -> &End {
        match side {
            Side::Connector => &self.connector,
            Side::Acceptor => &self.acceptor,
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Connector => &mut self.connector,
            Side::Acceptor => &mut self.acceptor,
        }
    }

    /// The hosts of `from` and of its peer.
    pub(super) fn hosts(&self, from: Side) -> (HostId, HostId) {
        (self.end(from).host, self.end(from.peer()).host)
    }

    /// What `side` sends.
    pub(super) fn sent_by(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Connector => &mut self.to_acceptor,
            Side::Acceptor => &mut self.to_connector,
        }
    }

    /// What `side` reads.
    pub(super) fn read_by(&mut self, side: Side) -> &mut Direction {
        self.sent_by(side.peer())
    }

    pub(super) fn joins(&self, a: HostId, b: HostId) -> bool {
        let ends = (self.connector.host, self.acceptor.host);
        ends == (a, b) || ends == (b, a)
    }
}
