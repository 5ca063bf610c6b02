//! What is checked of a run: whether anything happened that should not have.

pub mod invariants;
pub mod linearizability;
pub mod replay;
