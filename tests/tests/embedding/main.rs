//! Ensembles of bundled servers in this process, and the client on them: peers are killed,
//! frozen, cut off and restarted; what was acknowledged stays, sessions outlive their
//! servers, and all peers end up with the same tree.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod empty_disk;
mod faults;
mod leader_loss;
mod lost_creates;
mod members;
mod observer_masters;
mod partitions;
mod restarts;
mod stage;
mod start;
mod tls;
