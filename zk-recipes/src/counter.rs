//! Counters and values that many share.

mod atomic;
mod cached;
mod cell;
mod number;
mod outcome;
mod shared;
mod witness;
pub use atomic::{AtomicLong, AtomicLongBuilder, Changed};
pub use cached::CachedLong;
pub use cell::{CasCell, CasCellBuilder, Stamped};
pub use number::NumberFormat;
pub use outcome::Stamp;
pub use shared::{SharedCount, SharedValue};
