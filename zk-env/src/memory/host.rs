//! The environment of one host in the network.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Network;
use super::disk::MemoryDisk;
use super::stream::{MemoryListener, MemoryStream};
use super::trace::derive;
use super::world::{HostId, World};
use crate::disk::Disk;
use crate::env::{BoxFuture, BoxStream, Env, Listener};
use crate::rng::EnvRng;
use crate::task::TaskHandle;
use crate::time::{Boot, Mono, Timer};
use crate::tokio_env::literal;
use crate::tokio_timer::TokioTimer;

/// What the wall clock shows when the network is made: 2020-01-01 00:00 UTC.
const WALL_ORIGIN: Duration = Duration::from_secs(1_577_836_800);

pub(super) struct MemoryEnv {
    network: Network,
    id: HostId,
    name: String,
    disk: Arc<MemoryDisk>,
}

impl MemoryEnv {
    pub(super) fn new(network: Network, name: &str) -> Self {
        let (id, disk) = network.with(|world| {
            let id = world.host(name);
            (id, Arc::clone(&world.host_mut(id).disk))
        });
        Self {
            network,
            id,
            name: name.to_owned(),
            disk,
        }
    }

    fn since_origin(&self) -> Duration {
        self.network.with(|world| world.since_origin())
    }
}

impl fmt::Debug for MemoryEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryEnv").field(&self.name).finish()
    }
}

impl Env for MemoryEnv {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        let dialled = MemoryStream::connect(self.network.clone(), self.id, addr);
        Box::pin(async move { Ok(Box::new(dialled.await?) as BoxStream) })
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let (network, id) = (self.network.clone(), self.id);
        Box::pin(async move {
            let listener = MemoryListener::bind(network, id, addr)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let network = self.network.clone();
        let host = host.to_owned();
        Box::pin(async move {
            let ip = network.with(|world| lookup(world, &host))?;
            Ok(vec![SocketAddr::new(ip, port)])
        })
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        TaskHandle::new(tokio::spawn(task))
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(TokioTimer::new(self.network.origin()))
    }

    fn now(&self) -> Mono {
        Mono::from_origin(self.since_origin())
    }

    fn boot_now(&self) -> Boot {
        Boot::from_origin(self.since_origin())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + WALL_ORIGIN + self.since_origin()
    }

    fn rng(&self, name: &str) -> EnvRng {
        let seed = self.network.with(|world| world.seed);
        EnvRng::from_seed(derive(seed, &["host", &self.name, name]))
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }
}

/// The address of the host called `name`, or the one that `name` spells.
fn lookup(world: &mut World, name: &str) -> io::Result<IpAddr> {
    if let Some(ip) = literal(name) {
        return Ok(ip);
    }
    if name == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let Some(id) = world.names.get(name).copied() else {
        let message = format!("no host is called {name}");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    };
    Ok(world.host_mut(id).ip)
}
