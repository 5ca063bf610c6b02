//! A semaphore is never over its size.

use super::Held;

/// That no more leases are valid than there are.
pub(crate) fn never_over_its_size(held: &[Held], size: usize) -> Result<(), String> {
    if held.len() <= size {
        return Ok(());
    }
    Err(format!(
        "semaphore size: {} leases of {size}: {held:?}",
        held.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::held;
    use super::*;
    use crate::recipes_sim::roll::Right;

    #[test]
    fn one_more_than_there_are_is_too_many() {
        let leases = [held("a", Right::Share), held("b", Right::Share)];
        assert_eq!(never_over_its_size(&leases, 2), Ok(()));
        assert!(never_over_its_size(&leases, 1).is_err());
    }
}
