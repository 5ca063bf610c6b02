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
//! answered with a reset. A port nobody listens on, or whose 128 places are
//! taken, refuses.
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

use crate::net::links::Latency;
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
    origin: Instant,
    world: Mutex<World>,
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
            origin,
            world: Mutex::new(World::new(seed, WINDOW, origin)),
            pump: tokio::spawn(Pump::new(shared.clone())).abort_handle(),
        }))
    }

    /// The environment of the host called `name`. Every call gives the same
    /// host: address, disk and random streams.
    pub fn env(&self, name: &str) -> Arc<dyn Env> {
        Arc::new(SimEnv::new(self.clone(), name))
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

    /// Cuts the link between `a` and `b`. Existing connections fail at both
    /// ends, at once, with `ConnectionReset`; what was in flight or unread is
    /// lost. New ones are refused after a round trip.
    pub fn cut(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.cut(a, b);
        });
    }

    /// Silences the link between `a` and `b`: nothing sent over it arrives and
    /// nobody is told, connects hang, writers wait once the window is full.
    /// Bytes are held, not lost: what TCP would retransmit, FIN included,
    /// arrives after [`Sim::heal`] and in order, and a connection whose ends
    /// stayed open goes on.
    pub fn silence(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.silence(a, b);
        });
    }

    /// Ends the fault between `a` and `b`. What silence held arrives after the
    /// usual latency; what a cut has reset stays so.
    pub fn heal(&self, a: &str, b: &str) {
        self.with(|world| {
            let (a, b) = (world.host(a), world.host(b));
            world.heal(a, b);
        });
    }

    /// A hash over every delivery so far, in order: its time since the network
    /// was made, the addresses from and to, what it was (bytes, or an opening or
    /// closing) and the bytes. The same on every machine.
    pub fn trace(&self) -> u64 {
        self.with(|world| world.trace())
    }

    /// How many segments with bytes have been delivered so far.
    pub fn deliveries(&self) -> u64 {
        self.with(|world| world.deliveries)
    }

    pub(crate) fn origin(&self) -> Instant {
        self.0.origin
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
        wakes.into_iter().for_each(std::task::Waker::wake);
        result
    }
}
