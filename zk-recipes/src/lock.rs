//! Locks.

mod mutex;
pub use mutex::{Mutex, MutexBuilder};
