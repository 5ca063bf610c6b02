//! Hashing of keys that clients choose.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Hashes with a seed that clients do not know, so that nobody can pile their
/// paths into one bucket; the same seed gives the same order, so that a simulated
/// run repeats. Nothing that clients see depends on the order all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeededState(pub(crate) u64);

impl BuildHasher for SeededState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}
