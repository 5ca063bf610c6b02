#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "the simulator is the outside world"
)]

pub mod catalogue;
pub mod checkers;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod disk;
mod dns;
pub mod faults;
mod gate;
pub mod history;
mod host;
pub mod model;
mod net;
mod observe;
mod probe;
mod pump;
pub mod runner;
mod sim;
mod sim_env;
mod trace;
pub mod workload;
mod world;

pub use disk::Rotten;
pub use gate::Task;
pub use host::Host;
pub use observe::{ConnectionId, Observation, Observer, Side};
pub use probe::{FailpointCount, Failpoints};
pub use sim::{Sim, runtime};
pub use zk_env::{BoxFuture, Env, EnvRng};
