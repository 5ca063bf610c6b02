//! An item of a queue is taken once, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

/// What was told of the items of one queue, by their data.
#[derive(Debug, Default)]
pub(crate) struct Items {
    offered: BTreeSet<String>,
    /// Offers whose answer never came.
    maybe: BTreeSet<String>,
    taken: BTreeMap<String, u32>,
    /// Takes whose answer never came: each may have removed one item.
    pub(crate) open_takes: usize,
}

impl Items {
    pub(crate) fn begin_offer(&mut self, item: &str) {
        self.maybe.insert(item.to_owned());
    }

    /// It is in the queue, or certainly not.
    pub(crate) fn end_offer(&mut self, item: &str, is_there: bool) {
        self.maybe.remove(item);
        if is_there {
            self.offered.insert(item.to_owned());
        }
    }

    pub(crate) fn taken(&mut self, item: &str) {
        *self.taken.entry(item.to_owned()).or_default() += 1;
    }

    /// That no item was handed out twice or came from nowhere, and that all that were
    /// acknowledged and are not `left` were handed out, but for takes that were never answered.
    pub(crate) fn add_up(&self, left: &BTreeSet<String>) -> Result<(), String> {
        if let Some((item, _)) = self.taken.iter().find(|(_, times)| **times > 1) {
            return Err(format!("taken once: {item} was handed out twice"));
        }
        let is_known = |item: &String| self.offered.contains(item) || self.maybe.contains(item);
        if let Some(item) = self.taken.keys().chain(left).find(|item| !is_known(item)) {
            return Err(format!("taken once: {item} was never offered"));
        }
        if let Some(item) = left.iter().find(|item| self.taken.contains_key(*item)) {
            return Err(format!("taken once: {item} was handed out and is left"));
        }
        let is_gone = |item: &&String| !self.taken.contains_key(*item) && !left.contains(*item);
        let lost: Vec<_> = self.offered.iter().filter(is_gone).collect();
        if lost.len() > self.open_takes {
            let open = self.open_takes;
            return Err(format!("taken once: {lost:?} are lost, {open} takes open"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_covered_by_a_take_without_an_answer() {
        let mut items = Items::default();
        items.begin_offer("a");
        items.end_offer("a", true);
        let none = BTreeSet::new();
        assert!(items.add_up(&none).is_err());
        items.open_takes = 1;
        assert_eq!(items.add_up(&none), Ok(()));
        items.taken("a");
        assert_eq!(items.add_up(&none), Ok(()));
        assert!(items.add_up(&["a".to_owned()].into()).is_err());
        items.taken("a");
        assert!(items.add_up(&none).is_err());
    }
}
