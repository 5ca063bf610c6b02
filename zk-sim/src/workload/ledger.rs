//! What was written, as far as its writers know: to be held against what is there in
//! the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zk_client::{Error, Outcome};

/// Unique names, and what became of their creation or removal. It belongs to nobody's
/// host: a kill does not touch it.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<String, Fate>>);

/// What its caller knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Applied,
    NotApplied,
    /// Also while it is under way.
    Unknown,
}

impl Fate {
    pub(super) const fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Applied,
            Err(error) => match error.outcome() {
                Outcome::Applied => Self::Applied,
                Outcome::NotApplied => Self::NotApplied,
                Outcome::Unknown => Self::Unknown,
            },
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Fate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write of `name` begins; until it is settled it may or may not be done.
    pub(super) fn begin(&self, name: &str) {
        self.lock().insert(name.to_owned(), Fate::Unknown);
    }

    /// What has become of it.
    pub(super) fn settle(&self, name: &str, fate: Fate) {
        self.lock().insert(name.to_owned(), fate);
    }

    /// What is known of `name`; nothing if nobody ever began it.
    pub(super) fn fate(&self, name: &str) -> Option<Fate> {
        self.lock().get(name).copied()
    }

    /// Names that were written for certain.
    pub(super) fn applied(&self) -> Vec<String> {
        let ledger = self.lock();
        let applied = ledger.iter().filter(|(_, fate)| **fate == Fate::Applied);
        applied.map(|(name, _)| name.clone()).collect()
    }

    /// Holds the ledger against what is there.
    pub(super) fn compare(&self, there: &BTreeSet<String>) -> Result<(), String> {
        for (name, fate) in &*self.lock() {
            match (fate, there.contains(name)) {
                (Fate::Applied, false) => return Err(format!("{name} was written and is lost")),
                (Fate::NotApplied, true) => {
                    return Err(format!("{name} was said not to be written and is there"));
                }
                (Fate::Applied, true) | (Fate::NotApplied, false) | (Fate::Unknown, _) => {}
            }
        }
        match there.iter().find(|name| self.fate(name).is_none()) {
            Some(name) => Err(format!("{name} is there and nobody wrote it")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let ledger = Ledger::default();
        ledger.settle("yes", Fate::Applied);
        ledger.settle("no", Fate::NotApplied);
        ledger.begin("perhaps");
        ledger
    }

    fn compare(there: &[&str]) -> Result<(), String> {
        let there = there.iter().map(|name| (*name).to_owned()).collect();
        ledger().compare(&there)
    }

    #[test]
    fn what_is_open_may_be_there_or_not() {
        assert_eq!(compare(&["yes"]), Ok(()));
        assert_eq!(compare(&["yes", "perhaps"]), Ok(()));
    }

    #[test]
    fn loss_and_what_must_not_be_there_are_found() {
        assert!(compare(&["perhaps"]).unwrap_err().contains("is lost"));
        assert!(compare(&["yes", "no"]).unwrap_err().contains("no was said"));
        assert!(compare(&["yes", "new"]).unwrap_err().contains("nobody"));
    }
}
