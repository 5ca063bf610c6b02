//! Leader election.

mod candidate;
mod latch;
pub use candidate::{Candidate, CloseMode, Leadership};
pub use latch::{LeaderLatch, LeaderLatchBuilder, Participant};
