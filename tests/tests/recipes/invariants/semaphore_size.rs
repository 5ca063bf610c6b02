//! A semaphore is never over its size.

use zk_recipes::Ownership;

use super::is_held;

/// That no more leases are valid than there are.
pub(crate) fn no_more_leases_than_the_size(leases: &[Ownership], size: usize) {
    let valid: Vec<_> = leases.iter().filter(|lease| is_held(lease)).collect();
    assert!(valid.len() <= size, "{} of {size}: {valid:?}", valid.len());
}
