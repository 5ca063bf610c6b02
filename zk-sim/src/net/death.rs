//! A host is killed, and comes back.

use super::connection::{Ending, Payload, Presence};
use crate::observe::{ConnectionId, Observation, Side};
use crate::world::{HostId, World};

impl World {
    /// Everything on `host` is gone at once, without a FIN: connections, listeners,
    /// dials. Of what it had sent, a part still arrives. What is left of it, streams
    /// and listeners of its tasks, can be dropped in any order without effect.
    pub(crate) fn kill(&mut self, host: HostId) {
        if !std::mem::replace(&mut self.host_mut(host).is_up, false) {
            return;
        }
        let ports: Vec<_> = self.listeners.keys().copied().collect();
        for key in ports.into_iter().filter(|(owner, _)| *owner == host) {
            let waker = self.listeners.remove(&key).and_then(|mut b| b.take_waker());
            self.wakes.add(waker);
        }
        let touched: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.touches(host))
            .map(|(id, connection)| (*id, connection.hosts(Side::Connector)))
            .collect();
        for (id, hosts) in touched {
            match (hosts.0 == host, hosts.1 == host) {
                (true, true) => self.remove(id),
                (true, false) => self.vanish(id, Side::Connector),
                _ => self.vanish_acceptor(id),
            }
        }
    }

    /// A killed host is up again, with nothing on it: what comes for its former
    /// connections is answered with a reset, and what was sent to it meanwhile is
    /// sent again.
    pub(crate) fn restart(&mut self, host: HostId) {
        if !std::mem::replace(&mut self.host_mut(host).is_up, true) {
            self.reconsider_host(host);
        }
    }

    /// One that the connector does not know to stand yet is dialled again.
    fn vanish_acceptor(&mut self, id: ConnectionId) {
        let connection = self.connection(id);
        if connection.established {
            self.vanish(id, Side::Acceptor);
            return;
        }
        if connection.sent_by(Side::Acceptor).sent_end == Some(Ending::Reset) {
            // Refused, or cut: that stands.
            return;
        }
        if connection.end(Side::Connector).presence != Presence::Open {
            self.remove(id);
            return;
        }
        connection.start_over();
        self.send(id, Side::Connector, Payload::Syn);
    }

    /// The end is gone, and its peer does not know.
    fn vanish(&mut self, id: ConnectionId, side: Side) {
        let connection = self.connection(id);
        if connection.end(side.peer()).presence != Presence::Open {
            self.remove(id);
            return;
        }
        connection.end_mut(side).presence = Presence::Vanished;
        self.lose_unsent(id, side);
        self.reconsider(id, side.peer());
        let incoming = self.connection(id).read_by(side);
        incoming.received.clear();
        let reader = incoming.reader.take();
        let writer = self.connection(id).sent_by(side).writer.take();
        self.wakes.add(reader);
        self.wakes.add(writer);
        self.tell(&Observation::Closed {
            connection: id,
            side,
            is_reset: true,
        });
    }

    /// What had left the host still arrives, which may be anything up to all of what
    /// it had sent; nothing will send the rest again.
    fn lose_unsent(&mut self, id: ConnectionId, side: Side) {
        let len = self.connection(id).sent_by(side).in_flight.len();
        let has_left = if self.is_held(id, side) {
            0
        } else {
            self.fate.below(len as u64 + 1) as usize
        };
        let direction = self.connection(id).sent_by(side);
        direction.in_flight.truncate(has_left);
        if has_left == 0 {
            direction.scheduled = None;
        }
    }
}
