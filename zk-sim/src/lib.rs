//! A deterministic simulator: many hosts in one thread, with a network, clocks,
//! tasks and disks of their own, in which ZooKeeper clients and servers run
//! unchanged, and faults strike from a seed.

mod disk;
mod net;
mod pump;
mod sim;
mod sim_env;
mod trace;
mod world;

pub use sim::{Sim, runtime};
