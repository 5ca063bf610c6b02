//! One connection: two ends and what flows between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use super::links::LinkId;
use crate::observe::Side;
use crate::world::HostId;

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
    pub(crate) link: LinkId,
    /// In sending order, which is the order of arrival too.
    pub(crate) in_flight: VecDeque<Segment>,
    /// When the first in flight arrives and its number, while that is on the
    /// schedule; none while it is held.
    pub(crate) scheduled: Option<(Instant, u64)>,
    /// Nothing sent later arrives before this.
    pub(crate) last_due: Instant,
    /// Arrived, not yet read.
    pub(crate) received: VecDeque<Bytes>,
    /// Bytes sent and not yet read, as far as the writer knows; what the window
    /// bounds.
    pub(crate) unread: usize,
    /// Of those, the ones that were read without the writer hearing of it, as
    /// the way back is silent.
    pub(crate) unseen: usize,
    /// All bytes ever written.
    pub(crate) written: u64,
    /// What was sent as the last.
    pub(crate) sent_end: Option<Ending>,
    /// What the reader meets behind the received bytes.
    pub(crate) end: Option<Ending>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Direction {
    fn new(link: LinkId, now: Instant) -> Self {
        Self {
            link,
            in_flight: VecDeque::new(),
            scheduled: None,
            last_due: now,
            received: VecDeque::new(),
            unread: 0,
            unseen: 0,
            written: 0,
            sent_end: None,
            end: None,
            reader: None,
            writer: None,
        }
    }

    /// Forgets what is in flight and what was not read.
    pub(crate) fn clear(&mut self) {
        self.in_flight.clear();
        self.scheduled = None;
        self.received.clear();
        self.unread = 0;
        self.unseen = 0;
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
        room.filled().len() - before
    }

    /// The writer hears that `len` bytes were read, or will if `is_heard` is false.
    pub(crate) fn make_room(&mut self, len: usize, is_heard: bool) -> Option<Waker> {
        if !is_heard {
            self.unseen += len;
            return None;
        }
        self.unread -= len;
        self.writer.take()
    }
}

/// Whether an end has a stream that reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The connection is not in a listener's queue yet.
    Absent,
    /// In a listener's queue, or in use.
    Open,
    /// Dropped.
    Gone,
    /// Its host was killed: it says nothing while the host is down, and answers
    /// with a reset once that is up again.
    Vanished,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) address: SocketAddr,
    pub(crate) presence: Presence,
    /// Its owner has shut its sending down.
    pub(crate) is_shut: bool,
    /// The peer's reset has arrived: nothing can be sent any more.
    pub(crate) broken: bool,
}

impl End {
    pub(crate) fn new(host: HostId, address: SocketAddr, presence: Presence) -> Self {
        Self {
            host,
            address,
            presence,
            is_shut: false,
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
    /// Dead for good, unseen: whatever is sent vanishes.
    pub(crate) forgotten: bool,
}

impl Connection {
    /// `links`: the one from the connector and the one from the acceptor.
    pub(crate) fn new(connector: End, acceptor: End, links: [LinkId; 2], now: Instant) -> Self {
        Self {
            connector,
            acceptor,
            to_acceptor: Direction::new(links[0], now),
            to_connector: Direction::new(links[1], now),
            established: false,
            forgotten: false,
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

    /// The same, to look at.
    pub(crate) fn direction(&self, from: Side) -> &Direction {
        match from {
            Side::Connector => &self.to_acceptor,
            Side::Acceptor => &self.to_connector,
        }
    }

    /// What `side` reads.
    pub(crate) fn read_by(&mut self, side: Side) -> &mut Direction {
        self.sent_by(side.peer())
    }

    /// Whether the first segment is still on its way to the listener.
    pub(crate) fn is_dialling(&self) -> bool {
        self.acceptor.presence == Presence::Absent
    }

    /// The acceptor's host was killed before the connector knew of the connection,
    /// which is dialled again.
    pub(crate) fn start_over(&mut self) {
        self.acceptor.presence = Presence::Absent;
        self.to_acceptor.clear();
        self.to_connector.clear();
        self.to_connector.sent_end = None;
    }

    pub(crate) fn joins(&self, a: HostId, b: HostId) -> bool {
        let ends = (self.connector.host, self.acceptor.host);
        ends == (a, b) || ends == (b, a)
    }

    pub(crate) fn touches(&self, host: HostId) -> bool {
        self.connector.host == host || self.acceptor.host == host
    }

    /// All who wait at either end.
    pub(crate) fn take_wakers(&mut self) -> impl Iterator<Item = Waker> {
        [&mut self.to_acceptor, &mut self.to_connector]
            .into_iter()
            .flat_map(|direction| [direction.reader.take(), direction.writer.take()])
            .flatten()
    }
}
