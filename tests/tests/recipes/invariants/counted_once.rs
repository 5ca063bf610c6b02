//! A counter counts each change once.

use std::collections::BTreeSet;

/// That each acknowledged increment made a number of its own, that the counter ends within what
/// was acknowledged and what may have been applied, and that none of the numbers is higher.
pub(crate) fn each_change_is_counted_once(acknowledged: &[i64], unknown: usize, last: i64) {
    let distinct: BTreeSet<_> = acknowledged.iter().collect();
    assert_eq!(
        distinct.len(),
        acknowledged.len(),
        "a number was made twice"
    );
    let least = i64::try_from(acknowledged.len()).unwrap();
    let most = i64::try_from(acknowledged.len() + unknown).unwrap();
    assert!(
        (least..=most).contains(&last),
        "{last} of {least} to {most}"
    );
    assert!(distinct.last().is_none_or(|highest| **highest <= last));
}
