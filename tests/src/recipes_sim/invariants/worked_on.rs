//! Every item of a queue with claims is worked on, and its tokens rise from claim to claim.

use std::collections::{BTreeMap, BTreeSet};

/// What was told of the items of one queue, by their data.
#[derive(Debug, Default)]
pub(crate) struct Worked {
    put: BTreeSet<String>,
    /// Puts whose answer never came.
    maybe: BTreeSet<String>,
    /// Of the last claim.
    tokens: BTreeMap<String, u64>,
}

impl Worked {
    pub(crate) fn begin_put(&mut self, item: &str) {
        self.maybe.insert(item.to_owned());
    }

    /// It is in the queue, or certainly not.
    pub(crate) fn end_put(&mut self, item: &str, is_there: bool) {
        self.maybe.remove(item);
        if is_there {
            self.put.insert(item.to_owned());
        }
    }

    /// Somebody may work on it.
    pub(crate) fn claimed(&mut self, item: &str, token: u64) -> Result<(), String> {
        match self.tokens.insert(item.to_owned(), token) {
            Some(before) if before >= token => Err(format!(
                "worked on: {item} was claimed under {token:#x} after {before:#x}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// That all items that were put in have had their effect or are left, and no others.
    pub(crate) fn add_up(
        &self,
        left: &BTreeSet<String>,
        effects: &BTreeSet<String>,
    ) -> Result<(), String> {
        let is_known = |item: &&String| self.put.contains(*item) || self.maybe.contains(*item);
        if let Some(item) = left.iter().chain(effects).find(|item| !is_known(item)) {
            return Err(format!("worked on: {item} was never put in"));
        }
        let is_lost = |item: &&String| !left.contains(*item) && !effects.contains(*item);
        match self.put.iter().find(is_lost) {
            Some(item) => Err(format!("worked on: {item} is lost")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_left_or_has_had_its_effect() {
        let mut worked = Worked::default();
        for item in ["a", "b"] {
            worked.begin_put(item);
            worked.end_put(item, true);
        }
        worked.begin_put("c");
        let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        assert_eq!(worked.add_up(&set(&["a"]), &set(&["b"])), Ok(()));
        assert_eq!(worked.add_up(&set(&["a", "b", "c"]), &set(&["b"])), Ok(()));
        assert!(worked.add_up(&set(&["a"]), &set(&[])).is_err(), "b is lost");
        assert!(worked.add_up(&set(&["a", "b", "d"]), &set(&[])).is_err());
    }

    #[test]
    fn tokens_rise_from_claim_to_claim() {
        let mut worked = Worked::default();
        assert_eq!(worked.claimed("a", 5), Ok(()));
        assert_eq!(worked.claimed("b", 4), Ok(()));
        assert_eq!(worked.claimed("a", 6), Ok(()));
        assert!(worked.claimed("a", 6).is_err());
    }
}
