//! Segments on their way: sending, holding, arriving.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::connection::{Connection, Ending, Payload, Presence, Segment};
use super::schedule::Flight;
use super::traffic::remember;
use crate::observe::{ConnectionId, Observation, Side};
use crate::world::World;

/// Between two bytes that trickle.
const TRICKLE: Duration = Duration::from_millis(1);

impl World {
    /// When the pump must come back; it is woken if that becomes earlier.
    pub(crate) fn next_due(&mut self, pump: &std::task::Waker) -> Option<Instant> {
        remember(&mut self.pump, pump);
        // Or the clock would jump to where nothing happens any more.
        while let Some(flight) = self.schedule.first() {
            if self.is_current(flight) {
                return Some(flight.due);
            }
            self.schedule.remove_first();
        }
        None
    }

    /// How many segments wait for their time to come.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.connections
            .values()
            .flat_map(|connection| Side::BOTH.map(|side| connection.direction(side)))
            .filter(|direction| direction.scheduled.is_some())
            .map(|direction| direction.in_flight.len())
            .sum()
    }

    /// Delivers what is due by `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some(flight) = self.schedule.first()
            && flight.due <= now
        {
            self.schedule.remove_first();
            if self.is_current(flight) {
                // Answers given on arrival leave at the time of arrival.
                self.now = self.now.max(flight.due);
                self.deliver(flight);
            }
        }
        self.now = self.now.max(now);
    }

    /// Whether the schedule's entry still holds.
    fn is_current(&self, flight: Flight) -> bool {
        self.connections
            .get(&flight.connection)
            .is_some_and(|connection| {
                connection.direction(flight.from).scheduled == Some((flight.due, flight.seq))
            })
    }

    /// Puts `payload` on its way from `from`.
    pub(crate) fn send(&mut self, id: ConnectionId, from: Side, payload: Payload) {
        let link = self.connection(id).sent_by(from).link;
        let due = self.links.arrival(link, self.now, payload.bytes().len());
        self.send_until(id, from, payload, due);
    }

    /// Puts `payload` on its way from `from`, to arrive at `due`.
    pub(crate) fn send_until(
        &mut self,
        id: ConnectionId,
        from: Side,
        payload: Payload,
        due: Instant,
    ) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let connection = self.connection(id);
        if connection.forgotten {
            return;
        }
        let direction = connection.sent_by(from);
        let due = direction.last_due.max(due);
        direction.last_due = due;
        direction.in_flight.push_back(Segment { due, seq, payload });
        if direction.in_flight.len() == 1 && !self.is_held(id, from) {
            self.enlist(id, from);
        }
    }

    /// Puts the first in flight on the schedule.
    pub(crate) fn enlist(&mut self, id: ConnectionId, from: Side) {
        let now = self.now;
        let direction = self.connection(id).sent_by(from);
        let Some(first) = direction.in_flight.front_mut() else {
            return;
        };
        // One that trickles in makes those behind it late.
        first.due = first.due.max(now);
        direction.scheduled = Some((first.due, first.seq));
        let flight = Flight {
            due: first.due,
            seq: first.seq,
            connection: id,
            from,
        };
        if self.schedule.add(flight) {
            self.wakes.add(self.pump.take());
        }
    }

    /// Whether what `from` sends does not arrive for now.
    pub(crate) fn is_held(&self, id: ConnectionId, from: Side) -> bool {
        let connection = &self.connections[&id];
        let (sender, receiver) = connection.hosts(from);
        if sender == receiver {
            return false;
        }
        let (sender, receiver) = (self.host_ref(sender), self.host_ref(receiver));
        let is_first = from == Side::Connector && connection.is_dialling();
        connection.forgotten
            || !receiver.is_up
            || self.links.get(connection.direction(from).link).is_silent()
            || sender.faults.isolations > 0
            || receiver.faults.isolations > 0
            || (is_first && receiver.faults.blackholes > 0)
    }

    /// Looks again whether what `from` sends is held: a fault has begun or ended.
    pub(crate) fn reconsider(&mut self, id: ConnectionId, from: Side) {
        let is_held = self.is_held(id, from);
        let was_held = self.connection(id).sent_by(from).scheduled.is_none();
        match (was_held, is_held) {
            (false, true) => self.hold(id, from),
            (true, false) => self.release(id, from),
            (false, false) | (true, true) => {}
        }
        if !is_held {
            self.hear_of_room(id, from);
        }
    }

    /// Takes what `from` has in flight off the schedule.
    pub(crate) fn hold(&mut self, id: ConnectionId, from: Side) {
        let connection = self.connection(id);
        let is_dead = connection.end(from).presence == Presence::Vanished;
        let direction = connection.sent_by(from);
        direction.scheduled = None;
        if is_dead {
            // Nobody is there to send it again.
            direction
                .in_flight
                .retain(|segment| matches!(segment.payload, Payload::Reset));
        }
    }

    /// Sends again what `from` has in flight, in its order.
    fn release(&mut self, id: ConnectionId, from: Side) {
        self.reschedule(id, from, |_, new| new);
        self.enlist(id, from);
    }

    /// Lets what `from` has in flight arrive earlier if it can by now.
    pub(crate) fn hasten(&mut self, id: ConnectionId, from: Side) {
        if self.connection(id).sent_by(from).scheduled.is_some() {
            self.reschedule(id, from, Instant::min);
            self.enlist(id, from);
        }
    }

    /// Gives all that `from` has in flight new times: `choose` of the old and the new.
    fn reschedule(
        &mut self,
        id: ConnectionId,
        from: Side,
        choose: impl Fn(Instant, Instant) -> Instant,
    ) {
        let now = self.now;
        let direction = self
            .connections
            .get_mut(&id)
            .expect("a fault strikes connections that exist")
            .sent_by(from);
        let mut last = now;
        for segment in &mut direction.in_flight {
            let len = segment.payload.bytes().len();
            let new = self.links.arrival(direction.link, now, len);
            last = last.max(choose(segment.due, new));
            segment.due = last;
        }
        direction.last_due = last;
    }

    /// The way from `reader` is open again: its peer learns what was read.
    fn hear_of_room(&mut self, id: ConnectionId, reader: Side) {
        let direction = self.connection(id).read_by(reader);
        let unseen = std::mem::take(&mut direction.unseen);
        if unseen > 0 {
            let writer = direction.make_room(unseen, true);
            self.wakes.add(writer);
        }
    }

    fn deliver(&mut self, flight: Flight) {
        let (id, to) = (flight.connection, flight.from.peer());
        let payload = self.arrived(flight);
        self.record(flight, &payload);
        match payload {
            Payload::Syn => self.knock(id),
            Payload::SynAck => self.greet(id),
            Payload::Bytes(bytes) => self.receive(id, to, bytes),
            Payload::Fin => self.finish(id, to, Ending::Fin),
            Payload::Reset => self.finish(id, to, Ending::Reset),
        }
        self.wake_reader(id, to);
    }

    /// Takes what arrives off its direction, whose next comes onto the schedule.
    fn arrived(&mut self, flight: Flight) -> Payload {
        let (id, from) = (flight.connection, flight.from);
        let link = self.connection(id).sent_by(from).link;
        let trickles = self.links.get(link).faults.trickles > 0;
        let direction = self.connection(id).sent_by(from);
        direction.scheduled = None;
        let first = direction.in_flight.front_mut();
        let first = first.expect("a scheduled segment is in flight");
        let payload = match &mut first.payload {
            Payload::Bytes(bytes) if trickles && bytes.len() > 1 => {
                Payload::Bytes(bytes.split_to(1))
            }
            whole => {
                let payload = std::mem::replace(whole, Payload::Reset);
                direction.in_flight.pop_front();
                payload
            }
        };
        if trickles && let Some(next) = direction.in_flight.front_mut() {
            next.due = next.due.max(flight.due + TRICKLE);
        }
        // It is not held, or this one would not have arrived.
        self.enlist(id, from);
        payload
    }

    fn greet(&mut self, id: ConnectionId) {
        match self.connection(id).end(Side::Connector).presence {
            Presence::Vanished => self.reset_peer(id, Side::Connector),
            Presence::Absent | Presence::Open | Presence::Gone => {
                self.connection(id).established = true;
                self.tell(&Observation::Established { connection: id });
            }
        }
    }

    fn receive(&mut self, id: ConnectionId, side: Side, bytes: Bytes) {
        let len = bytes.len();
        let connection = self.connection(id);
        let is_open = connection.end(side).presence == Presence::Open;
        let direction = connection.read_by(side);
        // Behind the end comes only what was written after the network had ended
        // the connection by itself.
        if !is_open || direction.end.is_some() {
            self.reset_peer(id, side);
            return;
        }
        direction.received.push_back(bytes);
        self.tell(&Observation::Arrived {
            connection: id,
            side: side.peer(),
            len,
        });
    }

    /// The peer's last word has arrived at `side`.
    fn finish(&mut self, id: ConnectionId, side: Side, ending: Ending) {
        let connection = self.connection(id);
        if connection.end(side).presence == Presence::Vanished && ending == Ending::Fin {
            self.reset_peer(id, side);
            return;
        }
        connection.read_by(side).end.get_or_insert(ending);
        if ending == Ending::Reset {
            connection.end_mut(side).broken = true;
            let outgoing = connection.sent_by(side);
            // What has arrived there can still be read.
            outgoing.in_flight.clear();
            outgoing.scheduled = None;
            let writer = outgoing.writer.take();
            self.wakes.add(writer);
        }
    }

    /// Something arrived where nobody reads any more: `gone` answers with a reset.
    pub(crate) fn reset_peer(&mut self, id: ConnectionId, gone: Side) {
        let direction = self.connection(id).sent_by(gone);
        if direction.sent_end == Some(Ending::Reset) {
            return;
        }
        direction.sent_end = Some(Ending::Reset);
        self.send(id, gone, Payload::Reset);
        self.tell(&Observation::Closed {
            connection: id,
            side: gone,
            is_reset: true,
        });
    }

    fn wake_reader(&mut self, id: ConnectionId, side: Side) {
        let reader = self.connection(id).read_by(side).reader.take();
        self.wakes.add(reader);
    }

    fn record(&mut self, flight: Flight, payload: &Payload) {
        let at = flight.due.duration_since(self.origin);
        let connection: &Connection = &self.connections[&flight.connection];
        let peer = flight.from.peer();
        self.trace.time(at);
        self.trace.address(connection.end(flight.from).address);
        self.trace.address(connection.end(peer).address);
        self.trace.number(payload.kind());
        self.trace.bytes(payload.bytes());
        if let Payload::Bytes(_) = payload {
            self.deliveries += 1;
        }
    }
}
