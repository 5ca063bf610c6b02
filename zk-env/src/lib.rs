//! The seam between the zk crates and the outside world.
//!
//! What the outside world decides (connections, names, time, randomness, task
//! scheduling, disk) is reached only through [`Env`], so that client and server
//! run unchanged under deterministic simulation. [`TokioEnv`] is the production
//! environment. The trait is public for the workspace's own crates and carries
//! no semver promise.
#![doc(hidden)]
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is where the methods are wrapped"
)]

mod disk;
#[cfg(any(test, feature = "disk-contract"))]
#[expect(clippy::unwrap_used, reason = "a test that others run")]
pub mod disk_contract;
mod env;
mod io_thread;
mod memory_disk;
mod probe;
#[cfg(feature = "planted-bugs")]
mod probed_env;
mod rng;
#[cfg(feature = "planted-bugs")]
mod scripted_probe;
mod task;
mod time;
mod tokio_disk;
mod tokio_env;
mod tokio_timer;

pub use disk::{Disk, File, Lock, OpenMode};
pub use env::{BoxFuture, BoxStream, Env, Listener, Stream, accept};
pub use memory_disk::MemoryDisk;
pub use probe::{Probe, Probed};
#[cfg(feature = "planted-bugs")]
pub use probed_env::ProbedEnv;
pub use rng::EnvRng;
#[cfg(feature = "planted-bugs")]
pub use scripted_probe::ScriptedProbe;
pub use task::TaskHandle;
pub use time::{Boot, Mono, Timer, sleep_until};
pub use tokio_env::{TokioEnv, literal};
pub use tokio_timer::TokioTimer;
