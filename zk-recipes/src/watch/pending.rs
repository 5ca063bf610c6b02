//! What a subscriber has still to hear, coalesced: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{SessionId, Stat, Zxid};

/// A znode as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data, a copy.
    pub data: Bytes,
    /// Its metadata. What it says of children (`pzxid`, `cversion`, `num_children`) and of the
    /// ACL is of the moment when it was read: those change without the znode being read again.
    pub stat: Stat,
}

impl Znode {
    /// What tells two states of a znode apart. Versions do not: they start over when it
    /// is deleted and created again (CURATOR-391).
    pub(crate) const fn identity(&self) -> (Zxid, Zxid, SessionId) {
        (self.stat.czxid, self.stat.mzxid, self.stat.ephemeral_owner)
    }
}

/// What happened to one znode, between what the subscriber was told last and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: String,
    /// What it was; `None` if it was not there.
    pub before: Option<Arc<Znode>>,
    /// What it is; `None` if it is gone.
    pub after: Option<Arc<Znode>>,
}

impl Change {
    /// Whether it was deleted and created again in between.
    pub fn is_recreation(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.stat.czxid != after.stat.czxid,
            (None, _) | (_, None) => false,
        }
    }

    fn is_nothing(&self) -> bool {
        match (&self.before, &self.after) {
            (None, None) => true,
            (Some(before), Some(after)) => before.identity() == after.identity(),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

/// What a subscription tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Everything there is, by path: the first update, and again whenever the subscriber
    /// was too slow for changes to be kept. It replaces what was told before.
    Snapshot {
        /// All znodes, in the order of their paths.
        znodes: BTreeMap<String, Arc<Znode>>,
        /// How many changes it stands for that were not told one by one.
        coalesced: u64,
    },
    /// One znode changed.
    Change {
        /// What happened.
        change: Change,
        /// How many further changes of this znode it stands for.
        coalesced: u64,
    },
}

/// One change to tell.
#[derive(Debug)]
struct Item {
    place: u64,
    change: Change,
    coalesced: u64,
}

/// The changes one subscriber has not taken yet: at most one for each znode and at most
/// `limit` in all; beyond that the next thing it hears is everything.
#[derive(Debug)]
pub(crate) struct Pending {
    limit: usize,
    /// By path.
    items: BTreeMap<String, Item>,
    /// Their paths, in the order in which they are told.
    line: BTreeMap<u64, String>,
    next_place: u64,
    /// The next update is a snapshot.
    wants_snapshot: bool,
    /// There was no update yet.
    is_new: bool,
    coalesced: u64,
}

impl Pending {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            items: BTreeMap::new(),
            line: BTreeMap::new(),
            next_place: 0,
            wants_snapshot: true,
            is_new: true,
            coalesced: 0,
        }
    }

    /// Adds a change. One that only changes a znode's data keeps its place, one by which it
    /// comes or goes takes the last, so that parents still come first and go last.
    pub(crate) fn push(&mut self, change: &Change) {
        if self.wants_snapshot {
            self.coalesced += u64::from(!self.is_new);
            return;
        }
        let (mut merged, mut coalesced, mut place) = (change.clone(), 0, None);
        if let Some(known) = self.items.remove(&change.path) {
            self.line.remove(&known.place);
            let both_times_there = change.before.is_some() && change.after.is_some();
            place = (both_times_there && !change.is_recreation()).then_some(known.place);
            coalesced = known.coalesced + 1;
            merged.before = known.change.before;
        }
        if merged.is_nothing() {
            return;
        }
        if self.items.len() >= self.limit {
            self.give_up(coalesced + 1);
            return;
        }
        let place = place.unwrap_or_else(|| {
            self.next_place += 1;
            self.next_place
        });
        self.line.insert(place, merged.path.clone());
        let item = Item {
            place,
            coalesced,
            change: merged,
        };
        self.items.insert(change.path.clone(), item);
    }

    fn give_up(&mut self, more: u64) {
        let told: u64 = self.items.values().map(|item| 1 + item.coalesced).sum();
        self.coalesced += told + more;
        self.items.clear();
        self.line.clear();
        self.wants_snapshot = true;
    }

    /// The next update, if there is one; `all` gives everything, once it is known.
    pub(crate) fn pop(
        &mut self,
        all: impl FnOnce() -> Option<BTreeMap<String, Arc<Znode>>>,
    ) -> Option<Update> {
        if self.wants_snapshot {
            let znodes = all()?;
            self.wants_snapshot = false;
            self.is_new = false;
            let coalesced = std::mem::take(&mut self.coalesced);
            return Some(Update::Snapshot { znodes, coalesced });
        }
        let (_, path) = self.line.pop_first()?;
        let item = self.items.remove(&path)?;
        Some(Update::Change {
            change: item.change,
            coalesced: item.coalesced,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type All = BTreeMap<String, Arc<Znode>>;

    fn znode(czxid: i64, mzxid: i64) -> Arc<Znode> {
        let stat = Stat {
            czxid: Zxid(czxid),
            mzxid: Zxid(mzxid),
            ..Stat::default()
        };
        let data = Bytes::new();
        Arc::new(Znode { data, stat })
    }

    /// Applies a random write to a tree of two levels, as changes of it.
    fn write(all: &mut All, path: &str, kind: u8, zxid: i64) -> Vec<Change> {
        let before = all.get(path).cloned();
        let parent = &path[..path.len() - 2];
        let is_leaf = !all
            .keys()
            .any(|known| known.starts_with(&format!("{path}/")));
        let after = match (kind, &before) {
            (0, None) if parent.is_empty() || all.contains_key(parent) => Some(znode(zxid, zxid)),
            (1, Some(before)) => Some(znode(before.stat.czxid.0, zxid)),
            (2, Some(_)) if is_leaf => None,
            _ => return Vec::new(),
        };
        match &after {
            Some(after) => drop(all.insert(path.into(), Arc::clone(after))),
            None => drop(all.remove(path)),
        }
        let path = path.into();
        vec![Change {
            path,
            before,
            after,
        }]
    }

    fn tell(told: &mut All, update: Update) {
        match update {
            Update::Snapshot { znodes, .. } => *told = znodes,
            Update::Change { change, .. } => {
                assert_eq!(told.get(&change.path), change.before.as_ref());
                let parent = &change.path[..change.path.len() - 2];
                match change.after {
                    Some(after) => {
                        assert!(
                            parent.is_empty() || told.contains_key(parent),
                            "{}",
                            change.path
                        );
                        told.insert(change.path, after);
                    }
                    None => {
                        let below = format!("{}/", change.path);
                        assert!(!told.keys().any(|known| known.starts_with(&below)));
                        told.remove(&change.path);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whoever_applies_what_is_told_has_everything(
            limit in 1_usize..6,
            writes in proptest::collection::vec((0_usize..6, 0_u8..3, 0_u8..4), 0..60),
        ) {
            const PATHS: [&str; 6] = ["/a", "/b", "/a/x", "/a/y", "/b/x", "/b/y"];
            let (mut all, mut told, mut pending) = (All::new(), All::new(), Pending::new(limit));
            for (zxid, (path, kind, takes)) in writes.into_iter().enumerate() {
                for change in write(&mut all, PATHS[path], kind, zxid as i64 + 1) {
                    pending.push(&change);
                }
                prop_assert!(pending.items.len() <= limit && pending.line.len() == pending.items.len());
                for _ in 0..takes / 2 {
                    if let Some(update) = pending.pop(|| Some(all.clone())) {
                        tell(&mut told, update);
                    }
                }
            }
            while let Some(update) = pending.pop(|| Some(all.clone())) {
                tell(&mut told, update);
            }
            prop_assert_eq!(told, all);
        }
    }

    #[test]
    fn a_znode_that_comes_and_goes_unheard_is_not_told() {
        let mut pending = Pending::new(9);
        assert!(pending.pop(|| Some(All::new())).is_some());
        let path = "/a".to_owned();
        let (before, after) = (None, Some(znode(1, 1)));
        pending.push(&Change {
            path: path.clone(),
            before,
            after,
        });
        let (before, after) = (Some(znode(1, 1)), None);
        pending.push(&Change {
            path,
            before,
            after,
        });
        assert_eq!(pending.pop(|| None), None);
    }

    #[test]
    fn a_deletion_and_a_new_creation_are_told_as_such() {
        let mut pending = Pending::new(9);
        assert!(pending.pop(|| Some(All::new())).is_some());
        let path = "/a".to_owned();
        let (before, after) = (Some(znode(1, 1)), None);
        pending.push(&Change {
            path: path.clone(),
            before,
            after,
        });
        let (before, after) = (None, Some(znode(3, 3)));
        pending.push(&Change {
            path,
            before,
            after,
        });
        let Some(Update::Change {
            change,
            coalesced: 1,
        }) = pending.pop(|| None)
        else {
            panic!("a change")
        };
        assert!(change.is_recreation());
    }
}
