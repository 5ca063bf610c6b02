//! A deterministic simulator: many hosts in one thread, with a network, clocks,
//! tasks and disks of their own, in which ZooKeeper clients and servers run
//! unchanged, and faults strike from a seed.
#![expect(
    clippy::disallowed_methods,
    reason = "the simulator is the outside world"
)]

mod disk;
pub mod faults;
pub mod history;
mod net;
mod observe;
mod pump;
mod sim;
mod sim_env;
mod trace;
mod world;

pub use observe::{ConnectionId, Observation, Observer, Side};
pub use sim::{Sim, runtime};
