//! What is checked of a run: whether anything happened that should not have.

pub mod invariants;
pub mod linearizability;
pub mod replay;

/// A host's clock runs at most this much fast, in thousandths; a little more than any
/// fault makes it.
const FASTEST: u32 = 1_030;
