//! The state of the network: hosts, what is between them, the trace. Pure: `now`
//! comes in, wakers go out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::dns::Dns;
use crate::net::connection::Connection;
use crate::net::links::Links;
use crate::net::ports::{Backlog, FIRST};
use crate::net::schedule::Schedule;
use crate::net::strikes::HostFaults;
use crate::observe::{ConnectionId, Observation, Observers};
use crate::trace::{Hash, derive};
use zk_env::EnvRng;

/// Connections that wait to be accepted at a listener, until told otherwise.
const ACCEPT_QUEUE: usize = 128;

/// A host, in the order in which hosts were first named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u16);

impl HostId {
    /// Its address: 10.0.0.1 for the first.
    fn ip(self) -> IpAddr {
        let [high, low] = (self.0 + 1).to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
    }

    /// Who has that address, if there are as many hosts.
    pub(crate) fn at(ip: IpAddr) -> Option<Self> {
        let IpAddr::V4(ip) = ip else { return None };
        let [10, 0, high, low] = ip.octets() else {
            return None;
        };
        u16::from_be_bytes([high, low]).checked_sub(1).map(Self)
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    /// The port to try next where the caller leaves the choice.
    pub(crate) next_port: u16,
    /// Not killed.
    pub(crate) is_up: bool,
    pub(crate) faults: HostFaults,
}

/// Those to be woken once the lock has been let go: a waker may run foreign drops.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Most visits wake one or two; those need no allocation.
    few: [Option<Waker>; 2],
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.more.push(waker),
        }
    }

    /// Wakes all, in the order in which they were added.
    pub(crate) fn wake(self) {
        let few = self.few.into_iter().flatten();
        few.chain(self.more).for_each(Waker::wake);
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) origin: Instant,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) names: BTreeMap<String, HostId>,
    pub(crate) dns: Dns,
    pub(crate) listeners: BTreeMap<(HostId, u16), Backlog>,
    pub(crate) next_listener: u64,
    /// Connections that wait to be accepted at each.
    pub(crate) accept_queue: usize,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) next_connection: u64,
    pub(crate) links: Links,
    /// Bytes that one direction of a connection holds between write and read.
    pub(crate) window: usize,
    pub(crate) schedule: Schedule,
    pub(crate) next_seq: u64,
    /// How much of what a killed host had sent arrives.
    pub(crate) fate: EnvRng,
    pub(crate) trace: Hash,
    pub(crate) deliveries: u64,
    /// Bits flipped so far.
    pub(crate) garbled: u64,
    pub(crate) wakes: Wakes,
    /// The task that comes back at the next due time.
    pub(crate) pump: Option<Waker>,
    pub(crate) observers: Observers,
}

impl World {
    pub(crate) fn new(seed: u64, window: usize, now: Instant) -> Self {
        Self {
            origin: now,
            now,
            hosts: Vec::new(),
            names: BTreeMap::new(),
            dns: Dns::new(seed),
            listeners: BTreeMap::new(),
            next_listener: 0,
            accept_queue: ACCEPT_QUEUE,
            connections: BTreeMap::new(),
            next_connection: 0,
            links: Links::new(seed),
            window,
            schedule: Schedule::default(),
            next_seq: 0,
            fate: EnvRng::from_seed(derive(seed, &["fate"])),
            trace: Hash::new(),
            deliveries: 0,
            garbled: 0,
            wakes: Wakes::default(),
            pump: None,
            observers: Observers::default(),
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
            .map(HostId)
            .expect("a network has at most 65534 hosts");
        self.hosts.push(Host {
            name: name.to_owned(),
            ip: id.ip(),
            next_port: FIRST,
            is_up: true,
            faults: HostFaults::default(),
        });
        self.names.insert(name.to_owned(), id);
        id
    }

    pub(crate) fn host_ref(&self, id: HostId) -> &Host {
        &self.hosts[usize::from(id.0)]
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

    /// Tells those who watch.
    pub(crate) fn tell(&mut self, observation: &Observation<'_>) {
        self.observers.tell(self.since_origin(), observation);
    }

    pub(crate) fn trace(&self) -> u64 {
        self.trace.value()
    }
}
