//! The state that requests are validated against: the tree, and on top of it what
//! transactions that were made but not applied yet will change.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use zk_proto::{SessionId, Zxid};

use crate::tree::{
    AclList, ContentDigest, DataTree, EphemeralType, SeededState, StatPersisted, TreeDigest, Znode,
    normalized,
};

/// What prep needs to know of a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeRecord {
    pub(crate) stat: StatPersisted,
    pub(crate) child_count: usize,
    pub(crate) acl: AclList,
    pub(crate) data_len: usize,
    pub(crate) content: ContentDigest,
}

impl ChangeRecord {
    fn of(node: &Znode) -> Self {
        Self {
            stat: node.stat,
            child_count: node.children.len(),
            acl: Arc::clone(&node.acl),
            data_len: node.data_len(),
            content: node.content,
        }
    }
}

/// By path, what will be there; `None` for nothing.
type Records = HashMap<Arc<str>, Option<ChangeRecord>, SeededState>;

/// Changes of transactions that are under way to the tree. Bounded by them.
#[derive(Debug)]
pub(crate) struct Outstanding {
    records: HashMap<Arc<str>, (Zxid, Option<ChangeRecord>), SeededState>,
    /// In the order of transactions.
    order: VecDeque<(Zxid, Arc<str>)>,
    /// Of the tree once all of them are applied; kept while there are some, and if
    /// anybody asks for it.
    digest: TreeDigest,
    hashing: SeededState,
}

impl Outstanding {
    pub(crate) fn new(hashing: SeededState) -> Self {
        Self {
            records: HashMap::with_hasher(hashing),
            order: VecDeque::new(),
            digest: TreeDigest::default(),
            hashing,
        }
    }

    /// Starts a transaction.
    pub(crate) fn begin<'p>(&'p self, tree: &'p DataTree) -> Pending<'p> {
        Pending {
            outstanding: self,
            tree,
            own: HashMap::with_hasher(self.hashing),
        }
    }

    /// What the digest of the tree will be once everything made so far and `changes`
    /// are applied. To be asked for every transaction or for none.
    pub(crate) fn predict(&mut self, changes: &Changes, tree: &DataTree) -> TreeDigest {
        if self.order.is_empty() {
            self.digest = tree.digest();
        }
        for (path, record) in &changes.0 {
            let digest = &mut self.digest;
            match self.records.get(path) {
                Some((_, Some(before))) => digest.remove(path, before.content, &before.stat),
                Some((_, None)) => {}
                None => {
                    if let Some(node) = tree.node(path) {
                        digest.remove(path, node.content, &node.stat);
                    }
                }
            }
            if let Some(after) = record {
                digest.add(path, after.content, &after.stat);
            }
        }
        self.digest
    }

    /// The transaction was made.
    pub(crate) fn commit(&mut self, zxid: Zxid, changes: Changes) {
        for (path, record) in changes.0 {
            self.order.push_back((zxid, Arc::clone(&path)));
            self.records.insert(path, (zxid, record));
        }
    }

    /// The transaction was applied: the tree knows its changes now.
    pub(crate) fn applied(&mut self, zxid: Zxid) {
        while self.order.front().is_some_and(|(first, _)| *first <= zxid) {
            let Some((_, path)) = self.order.pop_front() else {
                return;
            };
            if self
                .records
                .get(&path)
                .is_some_and(|(last, _)| *last <= zxid)
            {
                self.records.remove(&path);
            }
        }
    }

    /// What was under way will never be applied.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.order.clear();
    }

    /// Whether a change of `path` is under way.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.records.contains_key(normalized(path))
    }

    /// Every path with a change under way, in the order of transactions.
    fn changes(&self) -> impl Iterator<Item = (&Arc<str>, Option<&ChangeRecord>)> {
        self.order
            .iter()
            .filter_map(|(_, path)| Some((path, self.records.get(path)?.1.as_ref())))
    }
}

/// One transaction in the making. Its own changes come on top; if it fails they
/// are dropped, and with them everything it has counted (ZOOKEEPER-1624).
#[derive(Debug)]
pub(crate) struct Pending<'p> {
    outstanding: &'p Outstanding,
    tree: &'p DataTree,
    own: Records,
}

/// What a transaction will change.
#[derive(Debug)]
pub(crate) struct Changes(Records);

impl Pending<'_> {
    pub(crate) const fn tree(&self) -> &DataTree {
        self.tree
    }

    /// The znode at `path` as it will be once everything made so far is applied.
    pub(crate) fn record(&self, path: &str) -> Option<ChangeRecord> {
        let path = normalized(path);
        if let Some(record) = self.own.get(path) {
            return record.clone();
        }
        match self.outstanding.records.get(path) {
            Some((_, record)) => record.clone(),
            None => self.tree.node(path).map(ChangeRecord::of),
        }
    }

    /// The znode will look like this; `None` deletes it.
    pub(crate) fn put(&mut self, path: Arc<str>, record: Option<ChangeRecord>) {
        self.own.insert(path, record);
    }

    /// As [`put`](Self::put), for a parent, which may be the root by its other name.
    pub(crate) fn put_parent(&mut self, path: &str, record: ChangeRecord) {
        self.own.insert(normalized(path).into(), Some(record));
    }

    /// The paths that end with `session`: its ephemerals in the tree and those on
    /// their way there, less those on their way out.
    pub(crate) fn ephemerals_of(&self, session: SessionId) -> Vec<Arc<str>> {
        let in_tree = self.tree.ephemerals().of_session(session);
        let mut paths: BTreeSet<_> = in_tree.cloned().collect();
        for (path, record) in self.outstanding.changes() {
            match record.map(|record| record.stat.ephemeral) {
                None => {
                    paths.remove(path);
                }
                Some(EphemeralType::Normal(owner)) if owner == session => {
                    paths.insert(Arc::clone(path));
                }
                Some(_) => {}
            }
        }
        Vec::from_iter(paths)
    }

    /// The transaction will change nothing after all.
    pub(crate) fn reset(&mut self) {
        self.own.clear();
    }

    /// The transaction is complete.
    pub(crate) fn finish(self) -> Changes {
        Changes(self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (Outstanding, DataTree) {
        let hashing = SeededState(5);
        (Outstanding::new(hashing), DataTree::new(hashing))
    }

    fn record(version: i32) -> ChangeRecord {
        ChangeRecord {
            stat: StatPersisted {
                version,
                ..StatPersisted::created(Zxid::ZERO, 0, EphemeralType::Void)
            },
            child_count: 0,
            acl: Arc::from([zk_proto::Acl::open()]),
            data_len: 0,
            content: ContentDigest::new("/a", None),
        }
    }

    #[test]
    fn later_changes_hide_earlier_ones_and_the_tree() {
        let (mut outstanding, tree) = fixture();
        let mut pending = outstanding.begin(&tree);
        assert_eq!(pending.record("/").map(|root| root.stat.version), Some(0));
        pending.put_parent("", record(1));
        assert_eq!(pending.record("/"), Some(record(1)));
        let changes = pending.finish();
        outstanding.commit(Zxid(1), changes);

        let mut pending = outstanding.begin(&tree);
        assert_eq!(pending.record(""), Some(record(1)));
        pending.put("/".into(), None);
        assert_eq!(pending.record(""), None);
        drop(pending);
        assert_eq!(outstanding.begin(&tree).record("/"), Some(record(1)));
    }

    #[test]
    fn applied_changes_give_way_to_the_tree_unless_newer_ones_follow() {
        let (mut outstanding, tree) = fixture();
        for zxid in [1, 2] {
            let mut pending = outstanding.begin(&tree);
            pending.put("/a".into(), Some(record(zxid)));
            let changes = pending.finish();
            outstanding.commit(Zxid(zxid.into()), changes);
        }
        outstanding.applied(Zxid(1));
        assert_eq!(outstanding.begin(&tree).record("/a"), Some(record(2)));
        outstanding.applied(Zxid(2));
        assert_eq!(outstanding.begin(&tree).record("/a"), None);
        assert!(outstanding.records.is_empty() && outstanding.order.is_empty());
    }
}
