//! Faults of links and hosts take effect and end.

use super::connection::Ending;
use super::links::{LinkFaults, LinkId};
use crate::observe::{ConnectionId, Observation, Side};
use crate::world::{HostId, World};

/// How often each fault of a host has begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct HostFaults {
    pub(crate) isolations: u32,
    pub(crate) blackholes: u32,
    pub(crate) full_queues: u32,
    pub(crate) refusals: u32,
    pub(crate) hang_ups: u32,
}

impl World {
    /// Resets every connection between `a` and `b` at once, at both ends.
    pub(crate) fn reset_between(&mut self, a: HostId, b: HostId) {
        for (id, from) in self.directions(a, b) {
            let connection = self.connection(id);
            if connection.forgotten {
                continue;
            }
            connection.end_mut(from).broken = true;
            let direction = connection.sent_by(from);
            direction.clear();
            direction.sent_end = Some(Ending::Reset);
            direction.end = Some(Ending::Reset);
            let wakers = [direction.reader.take(), direction.writer.take()];
            wakers.into_iter().for_each(|waker| self.wakes.add(waker));
            self.tell(&Observation::Closed {
                connection: id,
                side: from,
                is_reset: true,
            });
        }
    }

    /// Ends every connection between `a` and `b` with a FIN at both ends.
    pub(crate) fn finish_between(&mut self, a: HostId, b: HostId) {
        for (id, from) in self.directions(a, b) {
            let connection = self.connection(id);
            if !connection.is_dialling() && !connection.forgotten {
                self.send_fin(id, from);
            }
        }
    }

    /// Lets the connections between `a` and `b` be dead from now on. Dials go on.
    pub(crate) fn forget_between(&mut self, a: HostId, b: HostId) {
        for (id, from) in self.directions(a, b) {
            let connection = self.connection(id);
            if !connection.is_dialling() {
                connection.forgotten = true;
                let direction = connection.sent_by(from);
                direction.in_flight.clear();
                direction.scheduled = None;
            }
        }
    }

    /// Changes the faults of links; what is in flight looks again whether it is held.
    pub(crate) fn change_links<const N: usize>(
        &mut self,
        links: [LinkId; N],
        change: impl Fn(&mut LinkFaults),
    ) {
        for link in links {
            change(&mut self.links.get_mut(link).faults);
        }
        self.reconsider_where(|_, direction_link| links.contains(&direction_link));
    }

    /// Changes the faults of a host, likewise.
    pub(crate) fn change_host(&mut self, host: HostId, change: impl FnOnce(&mut HostFaults)) {
        change(&mut self.host_mut(host).faults);
        self.reconsider_host(host);
        self.admit_all();
    }

    /// What concerns a host looks again whether it is held.
    pub(crate) fn reconsider_host(&mut self, host: HostId) {
        self.reconsider_where(|ends, _| ends.0 == host || ends.1 == host);
    }

    fn reconsider_where(&mut self, concerns: impl Fn((HostId, HostId), LinkId) -> bool) {
        let mut concerned = Vec::new();
        for (id, connection) in &self.connections {
            for from in Side::BOTH {
                if concerns(connection.hosts(from), connection.direction(from).link) {
                    concerned.push((*id, from));
                }
            }
        }
        for (id, from) in concerned {
            self.reconsider(id, from);
        }
    }

    /// A fault that made segments late has ended between `a` and `b`.
    pub(crate) fn hasten_between(&mut self, a: HostId, b: HostId) {
        for link in self.links.between(a, b) {
            self.links.get_mut(link).empty_queue();
        }
        for (id, from) in self.directions(a, b) {
            self.hasten(id, from);
        }
    }

    /// Ends every fault of the link between `a` and `b`.
    pub(crate) fn heal(&mut self, a: HostId, b: HostId) {
        let links = self.links.between(a, b);
        self.change_links(links, |faults| *faults = LinkFaults::default());
        self.hasten_between(a, b);
    }

    /// Ends every fault of links and hosts.
    pub(crate) fn heal_all(&mut self) {
        for host in &mut self.hosts {
            host.faults = HostFaults::default();
        }
        for link in self.links.all() {
            link.faults = LinkFaults::default();
            link.empty_queue();
        }
        let all: Vec<_> = self.connections.keys().copied().collect();
        for (id, from) in all.iter().flat_map(|id| Side::BOTH.map(|from| (*id, from))) {
            self.reconsider(id, from);
            self.hasten(id, from);
        }
        self.admit_all();
    }

    /// Both directions of every connection between `a` and `b`.
    fn directions(&self, a: HostId, b: HostId) -> Vec<(ConnectionId, Side)> {
        if a == b {
            return Vec::new();
        }
        self.connections
            .iter()
            .filter(|(_, connection)| connection.joins(a, b))
            .flat_map(|(id, _)| Side::BOTH.map(|from| (*id, from)))
            .collect()
    }
}

/// One more of a fault.
pub(crate) fn begin(count: &mut u32) {
    *count = count.saturating_add(1);
}

/// One less, if there is any.
pub(crate) fn end(count: &mut u32) {
    *count = count.saturating_sub(1);
}

/// One value less of a fault that has values.
pub(crate) fn end_value<T: PartialEq>(values: &mut Vec<T>, value: &T) {
    if let Some(index) = values.iter().position(|other| other == value) {
        values.remove(index);
    }
}
