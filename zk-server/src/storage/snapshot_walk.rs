//! What a snapshot is taken of, and the walk over it while the server works.
//!
//! A snapshot has what was there when it began; of what happens while it is made it may
//! have anything, and replaying what followed mends that.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{SessionId, Zxid};

use super::snapshot_body::BodyEncoder;
use crate::tree::{AclList, DataTree};

/// Bytes that are handed out at a time, and encoded under one hold of the tree.
const CHUNK: usize = 256 << 10;

/// What a snapshot is taken of: the tree is lent for short times.
pub(crate) trait SnapshotSource: Send {
    /// Sessions, ACLs, paths and the last transaction, all at one moment.
    fn begin(&mut self) -> SnapshotBeginning;
    /// Lends the tree.
    fn with_tree(&mut self, look: &mut dyn FnMut(&DataTree));
}

/// What is fixed when a snapshot begins.
#[derive(Debug)]
pub(crate) struct SnapshotBeginning {
    pub(crate) zxid: Zxid,
    pub(crate) sessions: Vec<(SessionId, i32)>,
    pub(crate) acls: Vec<AclList>,
    pub(crate) paths: Vec<Arc<str>>,
}

impl SnapshotBeginning {
    /// Of this tree and these sessions.
    pub(crate) fn of(tree: &DataTree, sessions: Vec<(SessionId, i32)>) -> Self {
        Self {
            zxid: tree.last_processed(),
            sessions,
            acls: tree.acl_lists().collect(),
            paths: tree.paths().cloned().collect(),
        }
    }
}

/// A tree that nobody changes.
pub(crate) struct Still<'t>(pub(crate) &'t DataTree, pub(crate) Vec<(SessionId, i32)>);

impl SnapshotSource for Still<'_> {
    fn begin(&mut self) -> SnapshotBeginning {
        SnapshotBeginning::of(self.0, self.1.clone())
    }

    fn with_tree(&mut self, look: &mut dyn FnMut(&DataTree)) {
        look(self.0);
    }
}

/// The body of a snapshot, made chunk by chunk.
#[derive(Debug)]
pub(super) struct SnapshotWalk {
    zxid: Zxid,
    encoder: BodyEncoder,
    /// What is left to do; parents come before their children.
    paths: std::vec::IntoIter<Arc<str>>,
    /// Paths that were found missing, or whose parents were.
    gone: HashSet<Arc<str>>,
    is_over: bool,
}

impl SnapshotWalk {
    /// Fixes what a snapshot fixes when it begins.
    pub(super) fn begin(source: &mut dyn SnapshotSource) -> Self {
        let SnapshotBeginning {
            zxid,
            sessions,
            acls,
            mut paths,
        } = source.begin();
        // A parent's path is shorter. To compare them in full would take a big tree seconds,
        // for which whoever runs on this thread would have to wait.
        paths.sort_unstable_by_key(|path| path.len());
        Self {
            zxid,
            encoder: BodyEncoder::new(&sessions, acls),
            paths: paths.into_iter(),
            gone: HashSet::new(),
            is_over: false,
        }
    }

    /// The last transaction that is certainly in it.
    pub(super) fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The next 256 KiB, and what a znode has beyond them; `None` behind the end.
    pub(super) fn next_chunk(&mut self, source: &mut dyn SnapshotSource) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        source.with_tree(&mut |tree| self.fill(tree));
        if self.paths.len() == 0 {
            self.encoder.end();
            self.is_over = true;
        }
        Some(self.encoder.take())
    }

    fn fill(&mut self, tree: &DataTree) {
        while self.encoder.len() < CHUNK
            && let Some(path) = self.paths.next()
        {
            self.add(tree, path);
        }
    }

    /// Adds a znode if it is still there, and its parent was: one that went and came back in
    /// between is in the log, with all that is below it.
    fn add(&mut self, tree: &DataTree, path: Arc<str>) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        match tree.node(&path) {
            Some(node) if !self.gone.contains(parent) => self.encoder.add(&path, node),
            Some(_) | None => {
                self.gone.insert(path);
            }
        }
    }
}
