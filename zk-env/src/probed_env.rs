//! An environment with a probe of the test's own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::disk::Disk;
use crate::env::{BoxFuture, BoxStream, Env, Listener};
use crate::probe::Probe;
use crate::rng::EnvRng;
use crate::task::TaskHandle;
use crate::time::{Boot, Mono, Timer};

/// Another environment in everything but the probe.
#[derive(Debug)]
pub struct ProbedEnv {
    inner: Arc<dyn Env>,
    probe: Probe,
}

impl ProbedEnv {
    /// `inner`, seen and disturbed by `probe`.
    pub fn new(inner: Arc<dyn Env>, probe: Probe) -> Arc<Self> {
        Arc::new(Self { inner, probe })
    }
}

impl Env for ProbedEnv {
    fn probe(&self) -> Probe {
        self.probe.clone()
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        self.inner.bind(addr)
    }

    fn connect(&self, addr: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        self.inner.connect(addr)
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.inner.resolve(host, port)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        self.inner.spawn(name, task)
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.inner.timer()
    }

    fn now(&self) -> Mono {
        self.inner.now()
    }

    fn boot_now(&self) -> Boot {
        self.inner.boot_now()
    }

    fn wall(&self) -> SystemTime {
        self.inner.wall()
    }

    fn rng(&self, name: &str) -> EnvRng {
        self.inner.rng(name)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.inner.disk()
    }
}
