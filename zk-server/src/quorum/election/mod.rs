//! Fast leader election: who leads, agreed on over the election port.
//!
//! [`FastLeaderElection`] is the pure machine that votes; `cnx` has the rules of the
//! connections the votes travel by, and `driver` carries both.

mod cnx;
mod driver;
mod links;
mod machine;
mod notification;
mod round;
#[cfg(test)]
mod tests;
mod vote;

pub(crate) use driver::{ElectionPort, ElectionPortOptions, Notice};
pub(crate) use links::LinkEvent;
pub(crate) use machine::{Decision, ElectionOptions, FastLeaderElection, InitialVote, Output};
pub(crate) use notification::Notification;
pub use vote::PeerState;
pub(crate) use vote::{Candidate, Vote};
