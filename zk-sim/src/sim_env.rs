//! The environment of one host in the sim.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Sim;
use crate::host::Machine;
use crate::net::stream::{SimListener, SimStream};
use zk_env::{Boot, Mono, Timer};
use zk_env::{BoxFuture, BoxStream, Env, Listener};
use zk_env::{Disk, EnvRng, Probe, TaskHandle};

pub(crate) struct SimEnv {
    sim: Sim,
    machine: Arc<Machine>,
}

impl SimEnv {
    pub(crate) fn new(sim: Sim, machine: Arc<Machine>) -> Self {
        Self { sim, machine }
    }
}

impl fmt::Debug for SimEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimEnv").field(&self.machine.name).finish()
    }
}

impl Env for SimEnv {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        let dialled = SimStream::connect(self.sim.clone(), self.machine.id, addr);
        Box::pin(async move { Ok(Box::new(dialled.await?) as BoxStream) })
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let (sim, id) = (self.sim.clone(), self.machine.id);
        Box::pin(async move {
            let listener = SimListener::bind(sim, id, addr)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(self.sim.clone().lookup(host.to_owned(), port))
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        self.machine.gate.spawn(name, task)
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(self.machine.clock.timer())
    }

    fn now(&self) -> Mono {
        self.machine.clock.mono()
    }

    fn boot_now(&self) -> Boot {
        self.machine.clock.boot()
    }

    fn wall(&self) -> SystemTime {
        self.machine.clock.wall()
    }

    fn rng(&self, name: &str) -> EnvRng {
        self.machine.rng(name)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.machine.disk) as Arc<dyn Disk>
    }

    fn probe(&self) -> Probe {
        self.machine.probe.clone()
    }
}
