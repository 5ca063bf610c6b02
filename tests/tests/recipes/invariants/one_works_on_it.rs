//! An item of a queue has one claim at a time.

use std::collections::BTreeSet;

use zk_recipes::Ownership;

use super::is_held;

/// That no two claims on the same item are valid.
pub(crate) fn one_works_on_each_item(claims: &[(u64, Ownership)]) {
    let mut items = BTreeSet::new();
    for (item, claim) in claims.iter().filter(|(_, claim)| is_held(claim)) {
        assert!(items.insert(item), "two claims on item {item}: {claim:?}");
    }
}
