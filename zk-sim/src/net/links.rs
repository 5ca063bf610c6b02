//! The links between hosts, one per direction: how long segments take, and what is
//! wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::trace::derive;
use crate::world::HostId;
use zk_env::EnvRng;

/// Under [`Link::garbles`] one segment of this many is changed.
const GARBLED_ONE_IN: u64 = 8;

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

    /// One that is drawn from it.
    pub(crate) fn draw(self, rng: &mut EnvRng) -> Duration {
        if self.jitter.is_zero() {
            return self.base;
        }
        self.base + self.jitter.mul_f64(rng.fraction())
    }
}

/// A direction between two hosts, in the order of their first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId(usize);

/// How often each fault has begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct LinkFaults {
    pub(crate) cuts: u32,
    pub(crate) silences: u32,
    pub(crate) forgets: u32,
    pub(crate) trickles: u32,
    pub(crate) garbles: u32,
    pub(crate) slow: Vec<Duration>,
    /// In bytes a second.
    pub(crate) bandwidths: Vec<u64>,
}

/// One direction between two hosts.
#[derive(Debug)]
pub(crate) struct Link {
    is_loopback: bool,
    /// Set for these two hosts; otherwise the network's.
    latency: Option<Latency>,
    pub(crate) faults: LinkFaults,
    /// Under a limited bandwidth: when what was sent before has left.
    busy_until: Option<Instant>,
    /// Its own, so that traffic elsewhere does not shift it.
    jitter: EnvRng,
    garbler: EnvRng,
}

impl Link {
    fn new(seed: u64, from: HostId, to: HostId) -> Self {
        let names = [from.0.to_string(), to.0.to_string()];
        let rng = |purpose| EnvRng::from_seed(derive(seed, &[purpose, &names[0], &names[1]]));
        Self {
            is_loopback: from == to,
            latency: None,
            faults: LinkFaults::default(),
            busy_until: None,
            jitter: rng("jitter"),
            garbler: rng("garble"),
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.faults.silences > 0 || self.faults.forgets > 0
    }

    /// How long the next segment takes; none within a host.
    fn delay(&mut self, everywhere: Latency) -> Duration {
        if self.is_loopback {
            return Duration::ZERO;
        }
        let mut latency = self.latency.unwrap_or(everywhere);
        for slow in &self.faults.slow {
            latency.base = latency.base.max(*slow);
        }
        latency.draw(&mut self.jitter)
    }

    /// When a segment of `len` bytes has left that is sent now.
    fn departure(&mut self, now: Instant, len: usize) -> Instant {
        let Some(bytes_per_second) = self.faults.bandwidths.iter().min() else {
            return now;
        };
        let nanos = len as u128 * 1_000_000_000 / u128::from((*bytes_per_second).max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let departure = self.busy_until.map_or(now, |busy| busy.max(now)) + takes;
        self.busy_until = Some(departure);
        departure
    }

    /// What was queued for the bandwidth that was is to be queued anew.
    pub(crate) fn empty_queue(&mut self) {
        self.busy_until = None;
    }

    /// Which bit of a segment of `len` bytes to flip, if any.
    pub(crate) fn garbles(&mut self, len: usize) -> Option<(usize, u8)> {
        if self.faults.garbles == 0 || self.garbler.below(GARBLED_ONE_IN) != 0 {
            return None;
        }
        let bit = self.garbler.below(len as u64 * 8);
        Some(((bit / 8) as usize, 1 << (bit % 8)))
    }
}

#[derive(Debug)]
pub(crate) struct Links {
    seed: u64,
    everywhere: Latency,
    links: Vec<Link>,
    ids: BTreeMap<(HostId, HostId), LinkId>,
}

impl Links {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            everywhere: Latency::DEFAULT,
            links: Vec::new(),
            ids: BTreeMap::new(),
        }
    }

    /// The link from one host to another, or within one.
    pub(crate) fn id(&mut self, from: HostId, to: HostId) -> LinkId {
        *self.ids.entry((from, to)).or_insert_with(|| {
            self.links.push(Link::new(self.seed, from, to));
            LinkId(self.links.len() - 1)
        })
    }

    /// Both directions between two hosts.
    pub(crate) fn between(&mut self, a: HostId, b: HostId) -> [LinkId; 2] {
        [self.id(a, b), self.id(b, a)]
    }

    pub(crate) fn get(&self, id: LinkId) -> &Link {
        &self.links[id.0]
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> &mut Link {
        &mut self.links[id.0]
    }

    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }

    pub(crate) fn set_everywhere(&mut self, latency: Latency) {
        self.everywhere = latency;
        for link in &mut self.links {
            link.latency = None;
        }
    }

    pub(crate) fn set_between(&mut self, a: HostId, b: HostId, latency: Latency) {
        for id in self.between(a, b) {
            self.get_mut(id).latency = Some(latency);
        }
    }

    /// When a segment of `len` bytes arrives that is sent now.
    pub(crate) fn arrival(&mut self, id: LinkId, now: Instant, len: usize) -> Instant {
        let everywhere = self.everywhere;
        let link = self.get_mut(id);
        link.departure(now, len) + link.delay(everywhere)
    }

    /// How long a question and its answer take.
    pub(crate) fn round_trip(&mut self, there: LinkId, back: LinkId) -> Duration {
        let everywhere = self.everywhere;
        self.get_mut(there).delay(everywhere) + self.get_mut(back).delay(everywhere)
    }

    /// The same where nobody is at the other end.
    pub(crate) fn usual_round_trip(&self) -> Duration {
        2 * (self.everywhere.base + self.everywhere.jitter)
    }
}
