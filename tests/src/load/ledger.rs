//! What must be there at the end, and what must not.

use std::collections::{BTreeMap, BTreeSet};

use zk_client::Error;

use super::register::Register;
use super::{REGISTER, ROOT};
use crate::tree::{Tree, Znode};

/// How a write ended for who made it. It was acknowledged, with what the answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<T> {
    /// It was made, whatever dies.
    Acknowledged(T),
    /// It was not made, and never will be.
    Refused,
    /// It was made or not, once at most, before whatever the session writes next.
    Unknown,
}

/// A write to a znode that one hand alone writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// Made with this value.
    Create(String),
    /// Set to this value.
    Set(String),
    /// Deleted.
    Delete,
}

impl Write {
    /// What the znode is afterwards.
    fn result(&self) -> Option<String> {
        match self {
            Self::Create(value) | Self::Set(value) => Some(value.clone()),
            Self::Delete => None,
        }
    }

    /// Whether it can succeed on such a znode.
    const fn fits(&self, before: Option<&String>) -> bool {
        matches!(self, Self::Create(_)) == before.is_none()
    }
}

/// How many writes there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Acknowledged.
    pub acknowledged: usize,
    /// Refused.
    pub refused: usize,
    /// In doubt.
    pub unknown: usize,
}

/// Every write's fate, as far as it matters to what there is in the end: in size what there
/// is, and what is in doubt.
///
/// A znode has one hand that writes it, one write after the other. So after every write it
/// is known what it may be: one thing, or several if an answer was lost.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Path → what it may hold, `None` for no znode. Without an entry: no znode.
    znodes: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Made or deleted by one transaction.
    pairs: BTreeSet<(String, String)>,
    /// Values of sequential znodes that may have been made, nobody knows where.
    somewhere: BTreeSet<String>,
    register: Register,
    counts: Counts,
    violations: Vec<String>,
    last_error: Option<String>,
}

impl Ledger {
    /// How many writes there were.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Answers that no server can give that has kept what was acknowledged.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Why the last write failed that did, for people.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.last_error = Some(error.to_string());
    }

    /// An empty znode that is there from the beginning.
    pub(super) fn prepared(&mut self, path: &str) {
        self.znodes
            .insert(path.to_owned(), [Some(String::new())].into());
    }

    /// What a znode may be, or may not be.
    pub(super) fn may_be(&self, path: &str) -> BTreeSet<Option<String>> {
        let entry = self.znodes.get(path).cloned();
        entry.unwrap_or_else(|| [None].into())
    }

    /// A write to one znode.
    pub(super) fn wrote(&mut self, path: &str, write: &Write, fate: &Fate<()>) {
        self.count(fate);
        self.apply(path, write, fate);
    }

    /// One transaction that made the same write to both.
    pub(super) fn wrote_pair(&mut self, [a, b]: [&str; 2], write: &Write, fate: &Fate<()>) {
        self.count(fate);
        self.apply(a, write, fate);
        self.apply(b, write, fate);
        self.pairs.insert((a.to_owned(), b.to_owned()));
    }

    fn apply(&mut self, path: &str, write: &Write, fate: &Fate<()>) {
        let mut may_be = self.may_be(path);
        let is_possible = may_be.iter().any(|before| write.fits(before.as_ref()));
        match fate {
            Fate::Refused => return,
            Fate::Acknowledged(()) if !is_possible => {
                return self.contradicted(path, write, &may_be, "succeeded");
            }
            Fate::Acknowledged(()) => may_be = [write.result()].into(),
            Fate::Unknown if !is_possible => return,
            Fate::Unknown => drop(may_be.insert(write.result())),
        }
        self.set(path, may_be);
    }

    /// The server has said that there is, or is not, such a znode, so that `write` did not fit.
    pub(super) fn did_not_fit(&mut self, path: &str, write: &Write) {
        self.counts.refused += 1;
        let mut after = self.may_be(path);
        let before = after.clone();
        after.retain(|before| !write.fits(before.as_ref()));
        if after.is_empty() {
            self.contradicted(path, write, &before, "did not fit");
        } else {
            self.set(path, after);
        }
    }

    /// The session that owned these ephemerals has ended.
    pub(super) fn expired(&mut self, paths: &[String]) {
        for path in paths {
            self.set(path, [None].into());
        }
    }

    fn set(&mut self, path: &str, may_be: BTreeSet<Option<String>>) {
        if may_be.iter().all(Option::is_none) {
            self.znodes.remove(path);
        } else {
            self.znodes.insert(path.to_owned(), may_be);
        }
    }

    fn contradicted(
        &mut self,
        path: &str,
        write: &Write,
        may_be: &BTreeSet<Option<String>>,
        how: &str,
    ) {
        let told = format!("{path}: {write:?} {how}, though it was {may_be:?}");
        self.violations.push(told);
    }

    /// A sequential znode was to be made with this value; the answer tells its path.
    pub(super) fn created_somewhere(&mut self, value: &str, fate: &Fate<String>) {
        self.count(fate);
        match fate {
            Fate::Acknowledged(path) => {
                self.apply(
                    path,
                    &Write::Create(value.to_owned()),
                    &Fate::Acknowledged(()),
                );
            }
            Fate::Refused => {}
            Fate::Unknown => drop(self.somewhere.insert(value.to_owned())),
        }
    }

    /// The register was set, and the answer tells its version.
    pub(super) fn set_register(&mut self, value: String, fate: Fate<i32>) {
        self.count(&fate);
        self.violations.extend(self.register.set(value, fate));
    }

    /// A write that nothing can come of was refused, or its answer lost.
    pub(super) fn wrote_nothing(&mut self, fate: &Fate<()>) {
        self.count(fate);
        if matches!(fate, Fate::Acknowledged(())) {
            let told = "a transaction that must fail has succeeded".to_owned();
            self.violations.push(told);
        }
    }

    const fn count<T>(&mut self, fate: &Fate<T>) {
        match fate {
            Fate::Acknowledged(_) => self.counts.acknowledged += 1,
            Fate::Refused => self.counts.refused += 1,
            Fate::Unknown => self.counts.unknown += 1,
        }
    }

    /// Compares all of it with what a server has: what is missing, and what must not be there.
    pub fn verify(&self, tree: &Tree) -> Vec<String> {
        let mut wrong = self.violations.clone();
        wrong.extend(
            self.znodes
                .iter()
                .filter_map(|entry| self.misses(entry, tree)),
        );
        wrong.extend(self.strangers(tree));
        wrong.extend(self.torn(tree));
        if let Some(register) = tree.get(REGISTER) {
            wrong.extend(self.register.verify(register).err());
        }
        wrong
    }

    fn misses(
        &self,
        (path, may_be): (&String, &BTreeSet<Option<String>>),
        tree: &Tree,
    ) -> Option<String> {
        let found = tree.get(path).map(value);
        if path == REGISTER {
            return found.is_none().then(|| format!("{path} is missing"));
        }
        let is_possible = may_be.contains(&found);
        (!is_possible).then(|| format!("{path} is {found:?} instead of one of {may_be:?}"))
    }

    /// Znodes that nobody is known to have made: each must be one whose answer was lost.
    fn strangers(&self, tree: &Tree) -> Vec<String> {
        let below = format!("{ROOT}/");
        let strangers = tree
            .iter()
            .filter(|(path, _)| path.starts_with(&below) && !self.znodes.contains_key(*path));
        let mut left = self.somewhere.clone();
        let unexplained = strangers.filter(|(_, znode)| !left.remove(&value(znode)));
        unexplained
            .map(|(path, znode)| format!("{path} is there, with {:?}", value(znode)))
            .collect()
    }

    fn torn<'a>(&'a self, tree: &'a Tree) -> impl Iterator<Item = String> + 'a {
        let pairs = self.pairs.iter();
        let torn = pairs.filter(|(a, b)| tree.get(a).map(value) != tree.get(b).map(value));
        torn.map(|(a, b)| format!("half a transaction: {:?}, {:?}", tree.get(a), tree.get(b)))
    }

    /// As after the end of all sessions: ephemerals are gone, whoever made them.
    pub fn verify_no_ephemerals(tree: &Tree) -> Vec<String> {
        let left = tree.iter().filter(|(_, znode)| znode.stat.is_ephemeral());
        left.map(|(path, _)| format!("{path} has outlived its session"))
            .collect()
    }
}

fn value(znode: &Znode) -> String {
    String::from_utf8_lossy(&znode.data).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_client::Stat;

    fn tree(znodes: &[(&str, &str)]) -> Tree {
        let fixed = [(ROOT, ""), (REGISTER, "")];
        let znodes = fixed.iter().chain(znodes).map(|(path, value)| {
            let znode = Znode {
                data: (*value).into(),
                acl: Vec::new(),
                stat: Stat::default(),
            };
            ((*path).to_owned(), znode)
        });
        znodes.collect()
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.prepared(ROOT);
        ledger.prepared(REGISTER);
        ledger
    }

    fn create(value: &str) -> Write {
        Write::Create(value.to_owned())
    }

    const DONE: Fate<()> = Fate::Acknowledged(());

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let mut ledger = ledger();
        ledger.wrote("/load/a", &create("1"), &DONE);
        ledger.wrote("/load/a", &Write::Set("2".into()), &DONE);
        assert!(ledger.verify(&tree(&[("/load/a", "2")])).is_empty());
        assert_eq!(ledger.verify(&tree(&[])).len(), 1, "lost");
        assert_eq!(ledger.verify(&tree(&[("/load/a", "1")])).len(), 1, "undone");
    }

    #[test]
    fn what_was_deleted_or_refused_must_not_be_there() {
        let mut ledger = ledger();
        ledger.wrote("/load/a", &create("1"), &DONE);
        ledger.wrote("/load/a", &Write::Delete, &DONE);
        ledger.wrote("/load/b", &create("2"), &Fate::Refused);
        ledger.created_somewhere("3", &Fate::Refused);
        assert!(ledger.verify(&tree(&[])).is_empty());
        for back in [("/load/a", "1"), ("/load/b", "2"), ("/load/s-1", "3")] {
            assert_eq!(ledger.verify(&tree(&[back])).len(), 1, "{back:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_may_be_there_once() {
        let mut ledger = ledger();
        ledger.wrote("/load/a", &create("1"), &Fate::Unknown);
        ledger.created_somewhere("2", &Fate::Unknown);
        assert!(ledger.verify(&tree(&[])).is_empty());
        let both = [("/load/a", "1"), ("/load/s-7", "2")];
        assert!(ledger.verify(&tree(&both)).is_empty());
        let twice = [("/load/s-7", "2"), ("/load/s-8", "2")];
        assert_eq!(ledger.verify(&tree(&twice)).len(), 1);
        assert_eq!(ledger.verify(&tree(&[("/load/a", "9")])).len(), 1);
    }

    #[test]
    fn an_answer_settles_a_doubt() {
        let mut ledger = ledger();
        ledger.wrote("/load/a", &create("1"), &Fate::Unknown);
        ledger.did_not_fit("/load/a", &create("2"));
        assert_eq!(ledger.verify(&tree(&[])).len(), 1, "it was there");
        ledger.wrote("/load/a", &Write::Delete, &Fate::Unknown);
        ledger.did_not_fit("/load/a", &Write::Set("3".into()));
        assert!(ledger.verify(&tree(&[])).is_empty());
    }

    #[test]
    fn an_answer_that_cannot_be_is_told() {
        let mut lost = ledger();
        lost.wrote("/load/a", &create("1"), &DONE);
        lost.wrote("/load/a", &create("2"), &DONE);
        assert_eq!(lost.violations().len(), 1);
        let mut missing = ledger();
        missing.wrote("/load/a", &create("1"), &DONE);
        missing.did_not_fit("/load/a", &Write::Delete);
        assert_eq!(missing.violations().len(), 1);
    }

    #[test]
    fn a_transaction_is_made_whole() {
        let mut ledger = ledger();
        ledger.wrote_pair(["/load/a", "/load/b"], &create("1"), &Fate::Unknown);
        let both = [("/load/a", "1"), ("/load/b", "1")];
        assert!(ledger.verify(&tree(&both)).is_empty());
        assert_eq!(ledger.verify(&tree(&both[..1])).len(), 1);
    }
}
