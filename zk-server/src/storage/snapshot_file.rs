//! Writing a snapshot while the server works.
//!
//! Its name says what it has for sure; of what happens while it is written it may have
//! anything, and replaying the log mends that.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use zk_env::{File, OpenMode};
use zk_proto::{SessionId, Zxid};

use super::data_dir::DataDir;
use super::error::StorageError;
use super::names::snapshot_name;
use super::snapshot_format::SnapshotEncoder;
use crate::tree::{AclList, DataTree};

/// Bytes that are written at a time, and encoded under one hold of the tree.
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

/// Writes a snapshot; it is durable, and has its name, once this returns. Returns the zxid
/// in the name.
///
/// # Errors
///
/// The disk's. What was written so far is removed again if that can be done, and other
/// snapshots are as they were.
pub(crate) async fn write_snapshot(
    dir: &DataDir,
    source: &mut dyn SnapshotSource,
) -> Result<Zxid, StorageError> {
    let beginning = source.begin();
    let name = snapshot_name(beginning.zxid);
    let snap_dir = dir.snap_dir();
    let (path, temporary) = (snap_dir.join(&name), snap_dir.join(format!("{name}.tmp")));
    let zxid = beginning.zxid;
    if let Err(error) = write_to(dir, &temporary, source, beginning).await {
        // It is no snapshot without its name, and removed at the next start otherwise.
        let _ = dir.remove(&temporary).await;
        return Err(error);
    }
    let renamed = dir.disk.rename(&temporary, &path).await;
    renamed.map_err(StorageError::disk("rename", &temporary))?;
    dir.sync_dir(&snap_dir).await?;
    Ok(zxid)
}

async fn write_to(
    dir: &DataDir,
    path: &Path,
    source: &mut dyn SnapshotSource,
    beginning: SnapshotBeginning,
) -> Result<(), StorageError> {
    let opened = dir.disk.open(path, OpenMode::Create).await;
    let file = opened.map_err(StorageError::disk("create", path))?;
    let written = async {
        file.truncate(0).await?;
        write_tree(&*file, source, beginning).await?;
        file.sync_data().await
    };
    let written: io::Result<()> = written.await;
    written.map_err(StorageError::disk("write", path))
}

async fn write_tree(
    file: &dyn File,
    source: &mut dyn SnapshotSource,
    beginning: SnapshotBeginning,
) -> io::Result<()> {
    let SnapshotBeginning {
        zxid,
        sessions,
        acls,
        mut paths,
    } = beginning;
    // Parents come before their children.
    paths.sort_unstable();
    let mut encoder = SnapshotEncoder::new(&sessions, acls);
    let mut gone = HashSet::new();
    let mut paths = &paths[..];
    while !paths.is_empty() {
        source.with_tree(&mut |tree| {
            while let [path, rest @ ..] = paths
                && encoder.len() < CHUNK
            {
                add(&mut encoder, tree, path, &mut gone);
                paths = rest;
            }
        });
        file.append(encoder.take()).await?;
    }
    source.with_tree(&mut |tree| encoder.finish(zxid, tree.last_processed(), tree.digest()));
    file.append(encoder.take()).await
}

/// Adds a znode if it is still there, and its parent was: one that went and came back in
/// between is in the log, with all that is below it.
fn add(
    encoder: &mut SnapshotEncoder,
    tree: &DataTree,
    path: &Arc<str>,
    gone: &mut HashSet<Arc<str>>,
) {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    match tree.node(path) {
        Some(node) if !gone.contains(parent) => encoder.add(path, node),
        Some(_) | None => {
            gone.insert(Arc::clone(path));
        }
    }
}
