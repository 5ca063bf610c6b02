//! A small deterministic network in memory, for tests: client and server run
//! unchanged in one runtime whose clock jumps.
//!
//! ```
//! use zk_sim::{Sim, runtime};
//! # fn main() -> std::io::Result<()> {
//! runtime(7)?.block_on(async {
//!     let net = Sim::new(7);
//!     let (server, client) = (net.env("server"), net.env("client"));
//!     let listener = server.bind("0.0.0.0:2181".parse().unwrap()).await?;
//!     let address = client.resolve("server", 2181).await?[0];
//!     let stream = client.connect(address).await?;
//!     net.cut("client", "server"); // `stream` is reset, connects are refused
//!     net.heal("client", "server");
//! #   drop((listener, stream));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! *Model.* A host has a name, which resolves, and one IPv4 address; loopback
//! addresses mean the host itself. A connection is a pair of FIFO directions.
//! Each write is a segment that arrives after the link's latency plus seeded
//! jitter, or at once within a host; a window bounds what was written and not
//! yet read, and room in it is seen without delay. Dropping a stream sends a
//! FIN behind what was written; data that arrives at a dropped stream is
//! answered with a reset. A port nobody listens on refuses; one whose places for
//! connections not yet accepted are all taken lets connects wait, as Linux does. A
//! listener may accept as soon as the first segment of a connection has arrived.
//! What is lost on the way is sent again by TCP, so a fault of the network makes
//! bytes late, never gone from the middle. TCP's own limits on that, minutes long,
//! are not simulated: only a reset, a FIN or somebody's deadline ends a connection.
//!
//! *Faults* of links, hosts and names are methods of [`Sim`] named after
//! [`FaultKind`](crate::faults::FaultKind); connections within a host are not
//! struck.
//!
//! *Time* is tokio's paused clock. A delivery has its exact due time, and tasks
//! that wait for it wake at the next whole millisecond of the clock. Monotonic,
//! boot and wall clock of all hosts agree.
//!
//! *Determinism.* Within one [`runtime`], everything depends on the seed and on
//! what the test does; [`Sim::trace`] lets two runs be compared.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use zk_env::Env;

use crate::host::Machines;
use crate::net::links::Latency;
use crate::observe::{Observation, Observer};
use crate::pump::Pump;
use crate::sim_env::SimEnv;
use crate::world::World;

/// The window until [`Sim::set_window`]: what Linux starts a receiver with.
const WINDOW: usize = 64 * 1024;

/// A current-thread runtime with a paused clock, no real sockets, and tokio's
/// own random choices drawn from `seed`.
///
/// # Errors
///
/// `Unsupported` if tokio was built without `--cfg tokio_unstable`, as only then
/// its choices can be seeded.
pub fn runtime(seed: u64) -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    seed_choices(&mut builder, seed)?;
    builder.build()
}

#[cfg(tokio_unstable)]
fn seed_choices(builder: &mut tokio::runtime::Builder, seed: u64) -> io::Result<()> {
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    Ok(())
}

#[cfg(not(tokio_unstable))]
fn seed_choices(_builder: &mut tokio::runtime::Builder, _seed: u64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "a deterministic runtime needs RUSTFLAGS=\"--cfg tokio_unstable\"",
    ))
}

/// The network; clones are the same one. Hosts come to be at the first mention
/// of their name.
#[derive(Clone)]
pub struct Sim(Arc<Shared>);

pub(crate) struct Shared {
    world: Mutex<World>,
    machines: Machines,
    /// The task that delivers at due times.
    pump: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}

impl Sim {
    /// A network without hosts, whose clocks start now. Its one task ends with
    /// the last clone, environment and stream.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime. The runtime must be a current-thread one that
    /// was started paused, such as that of [`runtime`].
    pub fn new(seed: u64) -> Self {
        let origin = Instant::now();
        Self(Arc::new_cyclic(|shared| Shared {
            world: Mutex::new(World::new(seed, WINDOW, origin)),
            machines: Machines::new(seed, origin),
            pump: tokio::spawn(Pump::new(shared.clone())).abort_handle(),
        }))
    }

    /// The environment of the host called `name`. Every call gives the same
    /// host: address, disk and random streams.
    pub fn env(&self, name: &str) -> Arc<dyn Env> {
        Arc::new(SimEnv::new(self.clone(), self.machine(name)))
    }

    /// Lets segments between any two hosts travel for `base` and up to `jitter`
    /// more, from now on. The default is 1 ms each. Undoes
    /// [`Sim::set_latency_between`].
    pub fn set_latency(&self, base: Duration, jitter: Duration) {
        self.with(|world| world.links.set_everywhere(Latency { base, jitter }));
    }

    /// The same for two hosts, in both directions.
    pub fn set_latency_between(&self, a: &str, b: &str, base: Duration, jitter: Duration) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.links.set_between(a, b, Latency { base, jitter });
        });
    }

    /// Bytes that one direction of a connection holds between write and read
    /// (default 64 KiB); a writer waits above that. At least one byte.
    pub fn set_window(&self, bytes: usize) {
        self.with(|world| world.set_window(bytes.max(1)));
    }

    /// Lets `observer` see everything from now on. Several may watch; each is told
    /// in the order in which they were added.
    pub fn watch(&self, observer: Box<dyn Observer>) {
        self.with(|world| world.observers.push(observer));
    }

    /// Tells those who watch.
    pub fn tell(&self, observation: &Observation<'_>) {
        self.with(|world| world.tell(observation));
    }

    /// How many connections a listener holds until they are accepted (default 128).
    /// Connects above that hang, and are taken up as soon as there is room.
    pub fn set_accept_queue(&self, places: usize) {
        self.with(|world| {
            world.accept_queue = places;
            world.admit_all();
        });
    }

    /// A hash over every delivery so far, in order: its time since the network
    /// was made, the addresses from and to, what it was (bytes, or an opening or
    /// closing) and the bytes. The same on every machine.
    pub fn trace(&self) -> u64 {
        self.with(|world| world.trace())
    }

    /// How many segments with bytes have been delivered so far; under
    /// [`Sim::trickle`] every byte is one.
    pub fn deliveries(&self) -> u64 {
        self.with(|world| world.deliveries)
    }

    /// Simulated time since the network was made, whatever the clocks of hosts say.
    pub fn elapsed(&self) -> Duration {
        self.0.machines.time.now()
    }

    pub(crate) fn machines(&self) -> &Machines {
        &self.0.machines
    }

    pub(crate) fn with<R>(&self, visit: impl FnOnce(&mut World) -> R) -> R {
        self.0.with(visit)
    }
}

impl Shared {
    /// Delivers what is due, then runs `visit`, then wakes whom either concerned.
    pub(crate) fn with<R>(&self, visit: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        // Outside the runtime only the machine's clock could be read, which
        // would let chance deliver; there the network stands still.
        if Handle::try_current().is_ok() {
            world.advance(Instant::now());
        }
        let result = visit(&mut world);
        let wakes = std::mem::take(&mut world.wakes);
        drop(world);
        wakes.wake();
        result
    }
}
