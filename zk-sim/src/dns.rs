//! Names and the addresses they have.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::Sim;
use crate::faults::DnsFault;
use crate::net::links::Latency;
use crate::net::strikes::end_value;
use crate::trace::derive;
use crate::world::World;
use zk_env::{EnvRng, literal};

/// A lookup that fails at once would let a caller try again forever without the
/// clock moving.
const LATENCY: Latency = Latency {
    base: Duration::from_millis(1),
    jitter: Duration::ZERO,
};

/// The addresses under [`DnsFault::Many`] at which nobody is: 192.0.2.1 and on.
const DEAD: u8 = 19;

/// What was ever said about a name.
#[derive(Debug)]
struct Name {
    /// In place of what the host of that name has.
    addresses: Option<Vec<IpAddr>>,
    /// Begun and not ended; the last one counts.
    faults: Vec<DnsFault>,
    /// How long lookups take.
    jitter: EnvRng,
}

#[derive(Debug)]
pub(crate) struct Dns {
    seed: u64,
    latency: Latency,
    names: BTreeMap<String, Name>,
    /// Tells lookups that hang to look again.
    changed: Arc<Notify>,
}

impl Dns {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            latency: LATENCY,
            names: BTreeMap::new(),
            changed: Arc::default(),
        }
    }

    fn name(&mut self, name: &str) -> &mut Name {
        let seed = self.seed;
        self.names.entry(name.to_owned()).or_insert_with(|| Name {
            addresses: None,
            faults: Vec::new(),
            jitter: EnvRng::from_seed(derive(seed, &["lookup", name])),
        })
    }

    fn heal_all(&mut self) {
        for name in self.names.values_mut() {
            name.faults.clear();
        }
    }
}

impl Sim {
    /// The address of the host called `name`. It keeps it for life.
    pub fn address(&self, name: &str) -> IpAddr {
        self.with(|world| {
            let id = world.host(name);
            world.host_ref(id).ip
        })
    }

    /// Gives a name, that of a host or any other, these addresses from now on. None at
    /// all is a name that exists without addresses. Connecting to an address that no
    /// host has fails with `HostUnreachable` after a round trip if its last number is
    /// odd, and hangs if it is even.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.change_names(|dns| dns.name(name).addresses = Some(addresses.to_vec()));
    }

    /// Lets lookups take `base` and up to `jitter` more, from now on. The default is
    /// 1 ms. Literals and `localhost` are not looked up.
    pub fn set_lookup_latency(&self, base: Duration, jitter: Duration) {
        self.with(|world| world.dns.latency = Latency { base, jitter });
    }

    /// Lets lookups of `name` go wrong: those that begin later, and those under way.
    /// Of several faults of a name, the last to begin counts.
    pub fn dns(&self, name: &str, how: DnsFault) {
        self.change_names(|dns| dns.name(name).faults.push(how));
    }

    /// Ends one [`Sim::dns`] of that kind. Lookups that hung are answered.
    pub fn end_dns(&self, name: &str, how: DnsFault) {
        self.change_names(|dns| end_value(&mut dns.name(name).faults, &how));
    }

    /// Ends the faults of all names.
    pub(crate) fn heal_names(&self) {
        self.change_names(Dns::heal_all);
    }

    /// Lookups that hang look again, once the lock has been let go.
    fn change_names(&self, change: impl FnOnce(&mut Dns)) {
        let changed = self.with(|world| {
            change(&mut world.dns);
            Arc::clone(&world.dns.changed)
        });
        changed.notify_waiters();
    }

    /// What [`zk_env::Env::resolve`] does.
    pub(crate) async fn lookup(self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(ip) = literal(&host) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if host == "localhost" {
            return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
        }
        let (takes, changed) = self.with(|world| {
            let latency = world.dns.latency;
            let takes = latency.draw(&mut world.dns.name(&host).jitter);
            (takes, Arc::clone(&world.dns.changed))
        });
        tokio::time::sleep(takes).await;
        loop {
            // From here on no change goes unnoticed.
            let changed = changed.notified();
            match self.with(|world| answer(world, &host)) {
                Some(answer) => {
                    let with_port = |ip| SocketAddr::new(ip, port);
                    return answer.map(|ips| ips.into_iter().map(with_port).collect());
                }
                None => changed.await,
            }
        }
    }
}

/// The addresses of a name; none while lookups hang.
fn answer(world: &mut World, name: &str) -> Option<io::Result<Vec<IpAddr>>> {
    let entry = world.dns.name(name);
    let fault = entry.faults.last().copied();
    let addresses = match (&entry.addresses, world.names.get(name)) {
        (Some(addresses), _) => Ok(addresses.clone()),
        (None, Some(host)) => Ok(vec![world.host_ref(*host).ip]),
        (None, None) => Err(unknown(name)),
    };
    let answer = match fault {
        None => addresses,
        Some(DnsFault::Fails) => Err(io::Error::other(format!("lookup of {name} failed"))),
        Some(DnsFault::Hangs) => return None,
        Some(DnsFault::Empty) => Ok(Vec::new()),
        Some(DnsFault::Many) => {
            let dead = (1..=DEAD).map(|last| Ipv4Addr::new(192, 0, 2, last).into());
            addresses.map(|right| dead.chain(right).collect())
        }
        Some(DnsFault::Moved) => Ok(vec![Ipv4Addr::new(198, 51, 100, 1).into()]),
    };
    Some(answer)
}

fn unknown(name: &str) -> io::Error {
    let message = format!("no host is called {name}");
    io::Error::new(io::ErrorKind::NotFound, message)
}
