//! Barriers.

#[expect(
    clippy::module_inception,
    reason = "the recipe is called as the family is"
)]
mod barrier;
mod decide;
mod double_barrier;
mod member;
pub use barrier::{Barrier, BarrierBuilder};
pub use double_barrier::{DoubleBarrier, DoubleBarrierBuilder, Inside};
