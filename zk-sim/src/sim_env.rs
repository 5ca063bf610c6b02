//! The environment of one host in the sim.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Sim;
use crate::disk::SimDisk;
use crate::net::stream::{SimListener, SimStream};
use crate::trace::derive;
use crate::world::{HostId, World};
use zk_env::Disk;
use zk_env::EnvRng;
use zk_env::TaskHandle;
use zk_env::TokioTimer;
use zk_env::literal;
use zk_env::{Boot, Mono, Timer};
use zk_env::{BoxFuture, BoxStream, Env, Listener};

/// What the wall clock shows when the network is made: 2020-01-01 00:00 UTC.
const WALL_ORIGIN: Duration = Duration::from_secs(1_577_836_800);

pub(crate) struct SimEnv {
    sim: Sim,
    id: HostId,
    name: String,
    disk: Arc<SimDisk>,
}

impl SimEnv {
    pub(crate) fn new(sim: Sim, name: &str) -> Self {
        let (id, disk) = sim.with(|world| {
            let id = world.host(name);
            (id, Arc::clone(&world.host_mut(id).disk))
        });
        Self {
            sim,
            id,
            name: name.to_owned(),
            disk,
        }
    }

    fn since_origin(&self) -> Duration {
        self.sim.with(|world| world.since_origin())
    }
}

impl fmt::Debug for SimEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimEnv").field(&self.name).finish()
    }
}

impl Env for SimEnv {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        let dialled = SimStream::connect(self.sim.clone(), self.id, addr);
        Box::pin(async move { Ok(Box::new(dialled.await?) as BoxStream) })
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let (sim, id) = (self.sim.clone(), self.id);
        Box::pin(async move {
            let listener = SimListener::bind(sim, id, addr)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let sim = self.sim.clone();
        let host = host.to_owned();
        Box::pin(async move {
            let ip = sim.with(|world| lookup(world, &host))?;
            Ok(vec![SocketAddr::new(ip, port)])
        })
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        TaskHandle::new(tokio::spawn(task))
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(TokioTimer::new(self.sim.origin()))
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
        let seed = self.sim.with(|world| world.seed);
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
