//! Seeded randomness.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A stream of random numbers that belongs to one task or component.
#[derive(Clone)]
pub struct EnvRng(ChaCha8Rng);

/// Shows nothing of the state: secrets are drawn from it.
impl fmt::Debug for EnvRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvRng").finish_non_exhaustive()
    }
}

impl EnvRng {
    /// The stream that `seed` names; equal seeds give equal streams.
    pub fn from_seed(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The stream that a full-length key names: what secrets are drawn from.
    pub(crate) fn from_key(key: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias of one part in 2⁶⁴⁻ᵏ
    /// for a bound of k bits is of no consequence here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Fills `bytes` with random ones.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Shuffles `items` (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams() {
        let (mut a, mut b) = (EnvRng::from_seed(7), EnvRng::from_seed(7));
        let mut other = EnvRng::from_seed(8);
        let drawn: Vec<u64> = (0..8).map(|_| a.next_u64()).collect();
        assert_eq!(drawn, (0..8).map(|_| b.next_u64()).collect::<Vec<_>>());
        assert_ne!(drawn, (0..8).map(|_| other.next_u64()).collect::<Vec<_>>());
    }

    /// A simulation's seed must mean the same run after an update of the
    /// generator's crate.
    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        let mut rng = EnvRng::from_seed(0);
        assert_eq!(rng.next_u64(), 13_080_132_717_333_068_652);
    }

    #[test]
    fn numbers_below_a_bound_stay_below_it_and_reach_all() {
        let mut rng = EnvRng::from_seed(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn fractions_stay_below_one() {
        let mut rng = EnvRng::from_seed(2);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.fraction())));
    }

    #[test]
    fn shuffling_keeps_the_items() {
        let mut rng = EnvRng::from_seed(3);
        let mut items: Vec<u32> = (0..50).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        rng.shuffle::<u32>(&mut []);
    }

    #[test]
    fn debug_output_does_not_depend_on_the_state() {
        let (a, b) = (EnvRng::from_seed(1), EnvRng::from_seed(2));
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }
}
