//! Writing a snapshot to its file.
//!
//! Its name says what it has for sure; of what happens while it is written it may have
//! anything, and replaying the log mends that.

use std::io;
use std::path::Path;

use bytes::Bytes;
use zk_env::{File, OpenMode};
use zk_proto::Zxid;

use super::data_dir::DataDir;
use super::error::StorageError;
use super::names::snapshot_name;
use super::snapshot_format::{FILE_HEADER, Seals};
use super::snapshot_walk::{SnapshotSource, SnapshotWalk};

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
    let walk = SnapshotWalk::begin(source);
    let zxid = walk.zxid();
    let name = snapshot_name(zxid);
    let snap_dir = dir.snap_dir();
    let (path, temporary) = (snap_dir.join(&name), snap_dir.join(format!("{name}.tmp")));
    write_unnamed(dir, &temporary, zxid, walk, source).await?;
    dir.rename(&temporary, &path).await?;
    dir.sync_dir(&snap_dir).await?;
    Ok(zxid)
}

/// Writes a snapshot that is to be named after `zxid` to `path`. Its contents are durable,
/// its name is not.
pub(super) async fn write_unnamed(
    dir: &DataDir,
    path: &Path,
    zxid: Zxid,
    walk: SnapshotWalk,
    source: &mut dyn SnapshotSource,
) -> Result<(), StorageError> {
    let written = write_to(dir, path, zxid, walk, source).await;
    if written.is_err() {
        // It is no snapshot without its name, and removed at the next start otherwise.
        let _ = dir.remove(path).await;
    }
    written
}

async fn write_to(
    dir: &DataDir,
    path: &Path,
    zxid: Zxid,
    walk: SnapshotWalk,
    source: &mut dyn SnapshotSource,
) -> Result<(), StorageError> {
    let opened = dir.disk.open(path, OpenMode::Create).await;
    let file = opened.map_err(StorageError::disk("create", path))?;
    let written = async {
        file.truncate(0).await?;
        write_tree(&*file, zxid, walk, source).await?;
        file.sync_data().await
    };
    let written: io::Result<()> = written.await;
    written.map_err(StorageError::disk("write", path))
}

async fn write_tree(
    file: &dyn File,
    zxid: Zxid,
    mut walk: SnapshotWalk,
    source: &mut dyn SnapshotSource,
) -> io::Result<()> {
    let mut seals = Seals::new();
    let mut next = Some(Bytes::from_static(&FILE_HEADER));
    while let Some(chunk) = next {
        seals.sum(&chunk);
        file.append(chunk).await?;
        next = walk.next_chunk(source);
    }
    let mut state = (zxid, Default::default());
    source.with_tree(&mut |tree| state = (tree.last_processed(), tree.digest()));
    let (last_processed, digest) = state;
    file.append(seals.sections(zxid, last_processed, digest))
        .await
}
