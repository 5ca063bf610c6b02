//! At most one valid exclusive guard per lock.

use super::Held;

/// That no two vouch for themselves at the same time.
pub(crate) fn at_most_one_owner(held: &[Held]) -> Result<(), String> {
    if held.len() <= 1 {
        return Ok(());
    }
    Err(format!(
        "one owner: {} valid guards at once: {held:?}",
        held.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::held;
    use super::*;
    use crate::recipes_sim::roll::Right;

    #[test]
    fn two_are_one_too_many() {
        assert_eq!(at_most_one_owner(&[held("a", Right::Write)]), Ok(()));
        let two = [held("a", Right::Write), held("b", Right::Write)];
        assert!(at_most_one_owner(&two).is_err());
    }
}
