//! The state of the network: hosts, the flights between them, the trace. Pure:
//! `now` comes in, wakers go out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::disk::SimDisk;
use crate::net::connection::{Connection, Ending, Payload, Presence, Segment, Side};
use crate::net::links::Links;
use crate::trace::Hash;

/// A host, in the order in which hosts were first named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u16);

/// A connection, in the order in which they were dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) ip: IpAddr,
    pub(crate) disk: Arc<SimDisk>,
    /// The port to try next where the caller leaves the choice.
    pub(crate) next_port: u16,
}

/// A bound port and those who wait behind it.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) ip: IpAddr,
    pub(crate) waiting: VecDeque<ConnectionId>,
    pub(crate) waker: Option<Waker>,
}

/// A segment to be delivered; ordered by time, then by sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    due: Instant,
    seq: u64,
    connection: ConnectionId,
    from: Side,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    origin: Instant,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) names: BTreeMap<String, HostId>,
    pub(crate) listeners: BTreeMap<(HostId, u16), Backlog>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) next_connection: u64,
    pub(crate) links: Links,
    /// Bytes that one direction of a connection holds between write and read.
    pub(crate) window: usize,
    /// Everything in flight, except on silent links.
    schedule: BTreeSet<Flight>,
    next_seq: u64,
    trace: Hash,
    pub(crate) deliveries: u64,
    /// To be woken once the lock has been let go: a waker may run foreign drops.
    pub(crate) wakes: Vec<Waker>,
    /// The task that comes back at the next due time.
    pump: Option<Waker>,
}

impl World {
    pub(crate) fn new(seed: u64, window: usize, now: Instant) -> Self {
        Self {
            seed,
            origin: now,
            now,
            hosts: Vec::new(),
            names: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            links: Links::new(seed),
            window,
            schedule: BTreeSet::new(),
            next_seq: 0,
            trace: Hash::new(),
            deliveries: 0,
            wakes: Vec::new(),
            pump: None,
        }
    }

    /// The host called `name`, made at its first mention.
    pub(crate) fn host(&mut self, name: &str) -> HostId {
        if let Some(host) = self.names.get(name) {
            return *host;
        }
        let id = u16::try_from(self.hosts.len())
            .ok()
            .filter(|id| *id < u16::MAX - 1)
            .expect("a network has at most 65534 hosts");
        let [high, low] = (id + 1).to_be_bytes();
        self.hosts.push(Host {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, high, low)),
            disk: Arc::default(),
            next_port: crate::net::ports::FIRST,
        });
        self.names.insert(name.to_owned(), HostId(id));
        HostId(id)
    }

    pub(crate) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[usize::from(id.0)]
    }

    pub(crate) fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections
            .get_mut(&id)
            .expect("a connection lives as long as one of its streams")
    }

    pub(crate) fn since_origin(&self) -> Duration {
        self.now.duration_since(self.origin)
    }

    pub(crate) fn trace(&self) -> u64 {
        self.trace.value()
    }

    /// When the pump must come back; it is woken if that becomes earlier.
    pub(crate) fn next_due(&mut self, pump: &Waker) -> Option<Instant> {
        self.pump = Some(pump.clone());
        self.schedule.first().map(|flight| flight.due)
    }

    /// How many segments wait for their time to come.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.schedule.len()
    }

    /// Delivers what is due by `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some(flight) = self.schedule.first().copied()
            && flight.due <= now
        {
            self.schedule.remove(&flight);
            // Answers given on arrival leave at the time of arrival.
            self.now = self.now.max(flight.due);
            self.deliver(flight);
        }
        self.now = self.now.max(now);
    }

    /// Puts `payload` on its way from `from`.
    pub(crate) fn send(&mut self, id: ConnectionId, from: Side, payload: Payload) {
        let (sender, receiver) = self.connection(id).hosts(from);
        let delay = self.links.draw(sender, receiver);
        self.send_delayed(id, from, payload, delay);
    }

    /// Puts `payload` on its way from `from`, to arrive after `delay`.
    pub(crate) fn send_delayed(
        &mut self,
        id: ConnectionId,
        from: Side,
        payload: Payload,
        delay: Duration,
    ) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let sent = self.now;
        let connection = self.connection(id);
        let (sender, receiver) = connection.hosts(from);
        let direction = connection.sent_by(from);
        let due = direction.last_due.max(sent + delay);
        direction.last_due = due;
        direction.in_flight.push_back(Segment { due, seq, payload });
        if !self.links.is_silent(sender, receiver) {
            self.enlist(Flight {
                due,
                seq,
                connection: id,
                from,
            });
        }
    }

    fn enlist(&mut self, flight: Flight) {
        self.schedule.insert(flight);
        if self.schedule.first() == Some(&flight) {
            self.wakes.extend(self.pump.take());
        }
    }

    /// Takes what `from` has in flight off the schedule.
    pub(crate) fn hold(&mut self, id: ConnectionId, from: Side) {
        let flights: Vec<_> = self
            .connection(id)
            .sent_by(from)
            .in_flight
            .iter()
            .map(|segment| Flight {
                due: segment.due,
                seq: segment.seq,
                connection: id,
                from,
            })
            .collect();
        for flight in flights {
            self.schedule.remove(&flight);
        }
    }

    /// Sends again what `from` has in flight, in its order.
    pub(crate) fn resend(&mut self, id: ConnectionId, from: Side) {
        let held = std::mem::take(&mut self.connection(id).sent_by(from).in_flight);
        for segment in held {
            self.send(id, from, segment.payload);
        }
    }

    fn deliver(&mut self, flight: Flight) {
        let segment = self
            .connection(flight.connection)
            .sent_by(flight.from)
            .in_flight
            .pop_front()
            .expect("a scheduled segment is in flight");
        self.record(flight, &segment.payload);
        let to = flight.from.peer();
        match segment.payload {
            Payload::Syn => self.knock(flight.connection),
            Payload::SynAck => self.connection(flight.connection).established = true,
            Payload::Bytes(bytes) => {
                if self.connection(flight.connection).end(to).presence == Presence::Open {
                    let direction = self.connection(flight.connection).read_by(to);
                    direction.received.push_back(bytes);
                } else {
                    self.reset_peer(flight.connection, to);
                }
            }
            Payload::Fin => self.finish(flight.connection, to, Ending::Fin),
            Payload::Reset => self.finish(flight.connection, to, Ending::Reset),
        }
        self.wake_reader(flight.connection, to);
    }

    /// The peer's last word has arrived at `side`.
    fn finish(&mut self, id: ConnectionId, side: Side, ending: Ending) {
        let connection = self.connection(id);
        connection.read_by(side).end.get_or_insert(ending);
        if ending == Ending::Reset {
            connection.end_mut(side).broken = true;
            self.hold(id, side);
            let outgoing = self.connection(id).sent_by(side);
            outgoing.clear();
            let writer = outgoing.writer.take();
            self.wakes.extend(writer);
        }
    }

    /// Bytes arrived where nobody reads any more: `gone` answers with a reset.
    pub(crate) fn reset_peer(&mut self, id: ConnectionId, gone: Side) {
        let direction = self.connection(id).sent_by(gone);
        if direction.sent_end != Some(Ending::Reset) {
            direction.sent_end = Some(Ending::Reset);
            self.send(id, gone, Payload::Reset);
        }
    }

    pub(crate) fn wake_reader(&mut self, id: ConnectionId, side: Side) {
        let reader = self.connection(id).read_by(side).reader.take();
        self.wakes.extend(reader);
    }

    fn record(&mut self, flight: Flight, payload: &Payload) {
        let at = flight.due.duration_since(self.origin);
        let connection = &self.connections[&flight.connection];
        self.trace.time(at);
        self.trace.address(connection.end(flight.from).address);
        self.trace
            .address(connection.end(flight.from.peer()).address);
        self.trace.number(payload.kind());
        self.trace.bytes(payload.bytes());
        if let Payload::Bytes(_) = payload {
            self.deliveries += 1;
        }
    }
}
