//! The links between hosts: how long they take, and what is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::connection::{Connection, Ending, Side};
use crate::trace::derive;
use crate::world::{ConnectionId, HostId, World};
use zk_env::EnvRng;

/// How long a segment travels: `base`, and up to `jitter` more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) base: Duration,
    pub(crate) jitter: Duration,
}

impl Latency {
    pub(crate) const DEFAULT: Self = Self {
        base: Duration::from_millis(1),
        jitter: Duration::from_millis(1),
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Cut,
    Silent,
}

/// The two hosts in one order, for what holds in both directions.
fn pair(a: HostId, b: HostId) -> (HostId, HostId) {
    (a.min(b), a.max(b))
}

#[derive(Debug)]
pub(crate) struct Links {
    seed: u64,
    everywhere: Latency,
    latencies: BTreeMap<(HostId, HostId), Latency>,
    faults: BTreeMap<(HostId, HostId), Fault>,
    /// A generator per direction, so that traffic elsewhere does not shift it.
    jitters: BTreeMap<(HostId, HostId), EnvRng>,
}

impl Links {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            everywhere: Latency::DEFAULT,
            latencies: BTreeMap::new(),
            faults: BTreeMap::new(),
            jitters: BTreeMap::new(),
        }
    }

    pub(crate) fn set_everywhere(&mut self, latency: Latency) {
        self.everywhere = latency;
        self.latencies.clear();
    }

    pub(crate) fn set_between(&mut self, a: HostId, b: HostId, latency: Latency) {
        self.latencies.insert(pair(a, b), latency);
    }

    /// How long the next segment takes; none within a host.
    pub(crate) fn draw(&mut self, from: HostId, to: HostId) -> Duration {
        if from == to {
            return Duration::ZERO;
        }
        let latency = self.latencies.get(&pair(from, to));
        let latency = *latency.unwrap_or(&self.everywhere);
        let seed = self.seed;
        let jitter = self.jitters.entry((from, to)).or_insert_with(|| {
            let names = [from.0.to_string(), to.0.to_string()];
            EnvRng::from_seed(derive(seed, &["jitter", &names[0], &names[1]]))
        });
        latency.base + latency.jitter.mul_f64(jitter.fraction())
    }

    pub(crate) fn is_silent(&self, a: HostId, b: HostId) -> bool {
        self.faults.get(&pair(a, b)) == Some(&Fault::Silent)
    }

    pub(crate) fn is_cut(&self, a: HostId, b: HostId) -> bool {
        self.faults.get(&pair(a, b)) == Some(&Fault::Cut)
    }
}

impl World {
    /// Resets every connection between `a` and `b` at once, at both ends.
    pub(crate) fn cut(&mut self, a: HostId, b: HostId) {
        self.links.faults.insert(pair(a, b), Fault::Cut);
        for (id, from) in self.directions(a, b) {
            self.hold(id, from);
            let connection = self.connection(id);
            connection.end_mut(from).broken = true;
            let direction = connection.sent_by(from);
            direction.clear();
            direction.sent_end = Some(Ending::Reset);
            direction.end = Some(Ending::Reset);
            let wakers = [direction.reader.take(), direction.writer.take()];
            self.wakes.extend(wakers.into_iter().flatten());
        }
    }

    /// Holds what is in flight between `a` and `b`, and what will be sent.
    pub(crate) fn silence(&mut self, a: HostId, b: HostId) {
        self.links.faults.insert(pair(a, b), Fault::Silent);
        for (id, from) in self.directions(a, b) {
            self.hold(id, from);
        }
    }

    /// Ends a fault; what a silent link held travels from now on.
    pub(crate) fn heal(&mut self, a: HostId, b: HostId) {
        if self.links.faults.remove(&pair(a, b)) == Some(Fault::Silent) {
            for (id, from) in self.directions(a, b) {
                self.resend(id, from);
            }
        }
    }

    /// Both directions of every connection between `a` and `b`.
    fn directions(&self, a: HostId, b: HostId) -> Vec<(ConnectionId, Side)> {
        let joining = |(_, connection): &(&ConnectionId, &Connection)| connection.joins(a, b);
        self.connections
            .iter()
            .filter(joining)
            .flat_map(|(id, _)| Side::BOTH.map(|from| (*id, from)))
            .collect()
    }
}
