//! Leader election.

mod candidate;
mod election;
pub(crate) mod handover;
mod latch;
mod selector;
pub use candidate::{Candidate, CloseMode, Leadership};
pub use election::Participant;
pub use latch::{LeaderLatch, LeaderLatchBuilder};
pub use selector::{LeaderSelector, LeaderSelectorBuilder};
