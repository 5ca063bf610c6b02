//! The tree: every znode by its full path.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use zk_proto::{Acl, ErrorCode, SessionId, Stat, Xid, Zxid};

use super::acl::{AclCache, AclList, open_acl};
use super::digest::{ContentDigest, TreeDigest};
use super::ephemerals::Ephemerals;
use super::hashing::SeededState;
use super::quota::{LIMIT_NODE, QUOTA_ROOT, QuotaPrefixes, QuotaText, USAGE_NODE, usage_path};
use super::znode::{EphemeralType, StatPersisted, Znode};
use crate::txn::{CreateTxn, SetAclTxn, SetDataTxn, TxnHeader, UNKNOWN_CVERSION};

const ROOT: &str = "/";
const PROC: &str = "/zookeeper";

/// All znodes of a server.
#[derive(Debug)]
pub(crate) struct DataTree {
    nodes: HashMap<Arc<str>, Znode, SeededState>,
    acls: AclCache,
    ephemerals: Ephemerals,
    quotas: QuotaPrefixes,
    last_processed: Zxid,
    /// Bytes of paths and data.
    data_size: u64,
    digest: TreeDigest,
}

/// A znode has been created.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) stat: Stat,
    pub(crate) acl: AclList,
    pub(crate) parent_acl: AclList,
}

/// A znode has been deleted.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) acl: AclList,
    pub(crate) parent_acl: AclList,
}

/// The root's other name, the empty path, becomes the usual one.
pub(crate) fn normalized(path: &str) -> &str {
    if path.is_empty() { ROOT } else { path }
}

/// Parent and name; the parent of `/a` is the root. `None` without a slash.
fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    Some((normalized(parent), name))
}

impl DataTree {
    /// The znode that says who is in the ensemble.
    pub(crate) const CONFIG: &str = "/zookeeper/config";

    /// A fresh tree: the four built-in znodes, made by no transaction.
    pub(crate) fn new(hashing: SeededState) -> Self {
        let mut tree = Self {
            nodes: HashMap::with_hasher(hashing),
            acls: AclCache::new(hashing),
            ephemerals: Ephemerals::default(),
            quotas: QuotaPrefixes::default(),
            last_processed: Zxid::ZERO,
            data_size: 0,
            digest: TreeDigest::default(),
        };
        for path in [ROOT, PROC, QUOTA_ROOT] {
            tree.add_built_in(path, open_acl(), 0);
        }
        // Readable by all and writable by none (ZOOKEEPER-2014); Apache sets this
        // ACL with version −1, and clients can see that.
        tree.add_built_in(Self::CONFIG, Arc::from([Acl::read_only()]), -1);
        tree
    }

    fn add_built_in(&mut self, path: &str, acl: AclList, aversion: i32) {
        let acl = self.acls.add_usage(acl);
        let mut stat = StatPersisted::created(Zxid::ZERO, 0, EphemeralType::Void);
        stat.aversion = aversion;
        if let Some((parent, name)) = split(path)
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.insert(name.into());
        }
        let node = Znode::new(path, Some(Box::default()), acl, stat);
        self.data_size += path.len() as u64;
        self.digest.add(path, node.content, &node.stat);
        self.nodes.insert(path.into(), node);
    }

    /// A tree that a snapshot is to be loaded into, without even a root.
    pub(crate) fn unloaded(hashing: SeededState) -> Self {
        Self {
            nodes: HashMap::with_hasher(hashing),
            acls: AclCache::new(hashing),
            ephemerals: Ephemerals::default(),
            quotas: QuotaPrefixes::default(),
            last_processed: Zxid::ZERO,
            data_size: 0,
            digest: TreeDigest::default(),
        }
    }

    /// A znode from a snapshot; parents come before their children, the root, by its
    /// short name, before all. False if it cannot be there.
    pub(crate) fn load(
        &mut self,
        path: &str,
        data: Option<Box<[u8]>>,
        acl: AclList,
        stat: StatPersisted,
    ) -> bool {
        let path = normalized(path);
        if self.nodes.contains_key(path) {
            return false;
        }
        if path != ROOT {
            let Some((parent, name)) = split(path) else {
                return false;
            };
            let Some(node) = self.nodes.get_mut(parent) else {
                return false;
            };
            node.children.insert(name.into());
            if name == LIMIT_NODE
                && let Some(prefix) = parent.strip_prefix(QUOTA_ROOT)
            {
                self.quotas.add(prefix);
            }
        }
        let acl = self.acls.add_usage(acl);
        let node = Znode::new(path, data, acl, stat);
        let path: Arc<str> = path.into();
        self.data_size += (path.len() + node.data_len()) as u64;
        self.digest.add(&path, node.content, &node.stat);
        self.ephemerals.add(&path, node.stat.ephemeral);
        self.nodes.insert(path, node);
        true
    }

    /// The snapshot was complete, and has everything up to `zxid`.
    pub(crate) fn loaded(&mut self, zxid: Zxid) {
        self.last_processed = zxid;
        for path in [ROOT, PROC, QUOTA_ROOT] {
            if self.node(path).is_none() {
                self.add_built_in(path, open_acl(), 0);
            }
        }
        if self.node(Self::CONFIG).is_none() {
            self.add_built_in(Self::CONFIG, Arc::from([Acl::read_only()]), -1);
        }
        // A snapshot that was written while the server worked may have counted wrongly.
        for prefix in self.quotas.prefixes() {
            if self.node(&usage_path(&prefix)).is_some() {
                self.count_usage(&prefix);
            }
        }
    }

    /// Every path, in any order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.keys()
    }

    /// Every ACL that a znode has.
    pub(crate) fn acl_lists(&self) -> impl Iterator<Item = AclList> {
        self.acls.lists()
    }

    /// A session that is known no more ends without a transaction.
    pub(crate) fn kill_session(&mut self, session: SessionId) {
        let header = TxnHeader {
            client: session,
            cxid: Xid(0),
            zxid: self.last_processed,
            time_ms: 0,
        };
        for path in self.remove_session(session) {
            // It was in the tree a moment ago.
            let _ = self.delete(&path, &header);
        }
    }

    /// Whether the znode belongs to the server and cannot be deleted.
    pub(crate) fn is_special(path: &str) -> bool {
        matches!(path, ROOT | PROC | QUOTA_ROOT | Self::CONFIG)
    }

    /// The znode at `path`; the empty path is the root, any other text that is no
    /// path names nothing.
    pub(crate) fn node(&self, path: &str) -> Option<&Znode> {
        self.nodes.get(normalized(path))
    }

    /// The last transaction applied.
    pub(crate) fn last_processed(&self) -> Zxid {
        self.last_processed
    }

    /// A transaction has been applied as a whole.
    pub(crate) fn set_last_processed(&mut self, zxid: Zxid) {
        self.last_processed = self.last_processed.max(zxid);
    }

    /// Znodes, the root counted under both its names, as Apache does.
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len() + 1
    }

    /// One number for all paths, data and metadata; ACLs do not count.
    pub(crate) fn digest(&self) -> TreeDigest {
        self.digest
    }

    /// Bytes of paths and data.
    pub(crate) fn data_size(&self) -> u64 {
        self.data_size
    }

    /// Ephemerals, containers and TTL znodes.
    pub(crate) fn ephemerals(&self) -> &Ephemerals {
        &self.ephemerals
    }

    /// Descendants of the znode at `path`. Apache counts keys with a prefix, and
    /// so under the root's empty name it counts the root too.
    pub(crate) fn all_children_number(&self, path: &str) -> usize {
        match path {
            ROOT => self.nodes.len() - 1,
            "" => self.nodes.len(),
            path => self.subtree(path).count() - 1,
        }
    }

    /// The znodes at and below `path`, if there is one.
    fn subtree(&self, path: &str) -> impl Iterator<Item = &Znode> {
        let mut waiting: Vec<String> = vec![normalized(path).to_owned()];
        std::iter::from_fn(move || {
            loop {
                let path = waiting.pop()?;
                if let Some(node) = self.node(&path) {
                    let children = node.children.iter();
                    waiting.extend(children.map(|name| zk_proto::path::join(&path, name)));
                    return Some(node);
                }
            }
        })
    }

    /// The nearest subtree with a quota that contains `path`.
    pub(crate) fn quota_prefix(&self, path: &str) -> Option<&str> {
        self.quotas.max_prefix(path)
    }

    /// Creates a znode.
    ///
    /// # Errors
    ///
    /// As Apache's, when the transaction does not fit the tree, which prep rules out.
    pub(crate) fn create(
        &mut self,
        txn: CreateTxn,
        header: &TxnHeader,
    ) -> Result<Created, ErrorCode> {
        let path = Arc::clone(&txn.path);
        let (parent_path, name) = split(&path).ok_or(ErrorCode::NoNode)?;
        if self.nodes.contains_key(&*path) {
            self.created_already(txn, header);
            return Err(ErrorCode::NodeExists);
        }
        let parent = self.nodes.get_mut(parent_path).ok_or(ErrorCode::NoNode)?;
        raise_cversion(&mut self.digest, parent_path, parent, &txn, header);
        parent.children.insert(name.into());
        let parent_acl = Arc::clone(&parent.acl);

        let acl = self.acls.add_usage(txn.acl);
        let stat = StatPersisted::created(header.zxid, header.time_ms, txn.ephemeral);
        let node = Znode::new(&path, txn.data, Arc::clone(&acl), stat);
        self.digest.add(&path, node.content, &node.stat);
        let (bytes, stat) = (node.data_len(), node.client_stat());
        self.data_size += (path.len() + bytes) as u64;
        self.ephemerals.add(&path, txn.ephemeral);
        self.nodes.insert(Arc::clone(&path), node);
        self.quota_node_created(parent_path, name);
        self.use_quota(&path, 1, signed(bytes));
        Ok(Created {
            stat,
            acl,
            parent_acl,
        })
    }

    /// A snapshot that was written while the server worked had the znode already: what
    /// is left to do is what the snapshot may have missed.
    fn created_already(&mut self, txn: CreateTxn, header: &TxnHeader) {
        let Some((parent_path, _)) = split(&txn.path) else {
            return;
        };
        if let Some(parent) = self.nodes.get_mut(parent_path) {
            raise_cversion(&mut self.digest, parent_path, parent, &txn, header);
        }
        if let Some(node) = self.nodes.get_mut(&*txn.path) {
            let acl = self.acls.add_usage(txn.acl);
            self.acls.remove_usage(&node.acl);
            node.acl = acl;
        }
    }

    /// Deletes a znode.
    ///
    /// # Errors
    ///
    /// `NoNode`, which prep rules out.
    pub(crate) fn delete(&mut self, path: &str, header: &TxnHeader) -> Result<Deleted, ErrorCode> {
        let (parent_path, name) = split(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.get_mut(parent_path).ok_or(ErrorCode::NoNode)?;
        parent.children.remove(name);
        self.digest
            .remove(parent_path, parent.content, &parent.stat);
        parent.stat.pzxid = parent.stat.pzxid.max(header.zxid);
        self.digest.add(parent_path, parent.content, &parent.stat);
        let parent_acl = Arc::clone(&parent.acl);

        let node = self.nodes.remove(path).ok_or(ErrorCode::NoNode)?;
        self.digest.remove(path, node.content, &node.stat);
        self.acls.remove_usage(&node.acl);
        self.data_size -= (path.len() + node.data_len()) as u64;
        self.ephemerals.remove(path, node.stat.ephemeral);
        self.quota_node_deleted(parent_path, name);
        self.use_quota(path, -1, -signed(node.data_len()));
        Ok(Deleted {
            acl: node.acl,
            parent_acl,
        })
    }

    /// Replaces a znode's data; returns its new metadata and its ACL.
    ///
    /// # Errors
    ///
    /// `NoNode`, which prep rules out.
    pub(crate) fn set_data(
        &mut self,
        txn: SetDataTxn,
        header: &TxnHeader,
    ) -> Result<(Stat, AclList), ErrorCode> {
        let node = self.nodes.get_mut(&*txn.path).ok_or(ErrorCode::NoNode)?;
        let before = node.data_len();
        self.digest.remove(&txn.path, node.content, &node.stat);
        node.content = ContentDigest::new(&txn.path, txn.data.as_deref());
        node.data = txn.data;
        node.stat.version = txn.version;
        node.stat.mzxid = header.zxid;
        node.stat.mtime = header.time_ms;
        self.digest.add(&txn.path, node.content, &node.stat);
        let after = node.data_len();
        let answer = (node.client_stat(), Arc::clone(&node.acl));
        self.data_size = self.data_size - before as u64 + after as u64;
        self.use_quota(&txn.path, 0, signed(after) - signed(before));
        Ok(answer)
    }

    /// Makes the configuration's znode say what this server goes by, without a transaction:
    /// lists from files come by none, and digests leave the znode out for that reason.
    pub(crate) fn set_config(&mut self, text: &str, version: i64, time_ms: i64) {
        if let Some(node) = self.nodes.get_mut(Self::CONFIG) {
            let before = node.data_len();
            node.content = ContentDigest::new(Self::CONFIG, Some(text.as_bytes()));
            node.data = Some(text.as_bytes().into());
            node.stat.mzxid = Zxid(version);
            node.stat.version = -1;
            node.stat.mtime = time_ms;
            let after = node.data_len();
            self.data_size = self.data_size - before as u64 + after as u64;
        }
    }

    /// Replaces a znode's ACL. Neither `mzxid` nor `mtime` move, no watch fires.
    ///
    /// # Errors
    ///
    /// `NoNode`, which prep rules out.
    pub(crate) fn set_acl(&mut self, txn: SetAclTxn) -> Result<Stat, ErrorCode> {
        let node = self.nodes.get_mut(&*txn.path).ok_or(ErrorCode::NoNode)?;
        let acl = self.acls.add_usage(txn.acl);
        self.acls.remove_usage(&node.acl);
        node.acl = acl;
        self.digest.remove(&txn.path, node.content, &node.stat);
        node.stat.aversion = txn.aversion;
        self.digest.add(&txn.path, node.content, &node.stat);
        Ok(node.client_stat())
    }

    /// The session has ended: forgets it, and tells what it still owns.
    pub(crate) fn remove_session(&mut self, session: SessionId) -> BTreeSet<Arc<str>> {
        self.ephemerals.remove_session(session)
    }

    /// A limits znode starts accounting for its subtree, a usage znode starts
    /// from what is there.
    fn quota_node_created(&mut self, parent: &str, name: &str) {
        let Some(prefix) = parent.strip_prefix(QUOTA_ROOT) else {
            return;
        };
        match name {
            LIMIT_NODE => self.quotas.add(prefix),
            USAGE_NODE => self.count_usage(prefix),
            _ => {}
        }
    }

    fn quota_node_deleted(&mut self, parent: &str, name: &str) {
        if name == LIMIT_NODE
            && let Some(prefix) = parent.strip_prefix(QUOTA_ROOT)
        {
            self.quotas.remove(prefix);
        }
    }

    fn count_usage(&mut self, prefix: &str) {
        let (mut count, mut bytes) = (0, 0);
        for node in self.subtree(prefix) {
            count += 1;
            bytes += signed(node.data_len());
        }
        self.write_usage(prefix, &QuotaText::usage(count, bytes));
    }

    /// Books a change below a quota. Usage that a client has overwritten with
    /// something else starts anew; Apache's server dies of it.
    fn use_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(prefix) = self.quotas.max_prefix(path) else {
            return;
        };
        let Some(node) = self.node(&usage_path(prefix)) else {
            return;
        };
        let usage = QuotaText::parse(node.data.as_deref()).unwrap_or_default();
        let prefix = prefix.to_owned();
        self.write_usage(&prefix, &usage.plus(count, bytes));
    }

    /// Silently: no version, no zxid, no watch.
    fn write_usage(&mut self, prefix: &str, usage: &QuotaText) {
        let Some(node) = self.nodes.get_mut(usage_path(prefix).as_str()) else {
            return;
        };
        let before = node.data_len();
        node.data = Some(usage.to_string().into_bytes().into_boxed_slice());
        // The digest leaves out what is below `/zookeeper`.
        node.content = ContentDigest::default();
        self.data_size = self.data_size - before as u64 + node.data_len() as u64;
    }
}

/// A child has been created. Past 2³¹−1 the counter would fall back: it and pzxid then
/// stand still.
fn raise_cversion(
    digest: &mut TreeDigest,
    path: &str,
    parent: &mut Znode,
    txn: &CreateTxn,
    header: &TxnHeader,
) {
    let cversion = match txn.parent_cversion {
        UNKNOWN_CVERSION => parent.stat.cversion.saturating_add(1),
        cversion => cversion,
    };
    if cversion > parent.stat.cversion {
        digest.remove(path, parent.content, &parent.stat);
        parent.stat.cversion = cversion;
        parent.stat.pzxid = header.zxid;
        digest.add(path, parent.content, &parent.stat);
    }
}

/// Sizes of what is in memory are far below 2⁶³.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
