//! Replacing the whole history by a snapshot that another server has sent.
//!
//! The old history and the new one have no zxid in common that could be trusted, so that
//! there must never be a mixture. One rename decides: before it the old history is whole,
//! from it on the new one is all there is, whatever still lies around. The snapshot waits
//! under a name that is none of a snapshot's until nothing old is left:
//!
//! ```text
//! replacing.1f.tmp   being written
//! replacing.1f       durable, and the history from here on; old files are deleted
//! snapshot.1f        the only file there is
//! ```
//!
//! A recovery that finds the second name goes on from there. Apache knows neither of the
//! first two: a server that was stopped in between has to be started as ours once.

use std::path::Path;

use zk_proto::Zxid;

use super::data_dir::{DataDir, SnapshotFile};
use super::error::StorageError;
use super::names::{Compression, replacing_name, snapshot_name};
use super::recovery::load;
use super::snapshot_file::write_unnamed;
use super::snapshot_walk::{SnapshotSource, SnapshotWalk};
use crate::tree::SeededState;

/// Makes this snapshot, which is named after `zxid`, all that is stored, durably. Epochs
/// stay as they are.
///
/// To be followed by a recovery, or by a log that begins behind `zxid`. No log may be open
/// and nobody else may write to the directories or delete from them.
///
/// # Errors
///
/// The disk's. It is open then which of the two histories is there; a recovery tells.
///
/// # Cancel safety
///
/// As with a crash: it is the old history or the new one.
pub(crate) async fn install_snapshot(
    dir: &DataDir,
    zxid: Zxid,
    source: &mut dyn SnapshotSource,
) -> Result<(), StorageError> {
    let name = replacing_name(zxid);
    let snap_dir = dir.snap_dir();
    let (path, temporary) = (snap_dir.join(&name), snap_dir.join(format!("{name}.tmp")));
    let walk = SnapshotWalk::begin(source);
    write_unnamed(dir, &temporary, zxid, walk, source).await?;
    dir.rename(&temporary, &path).await?;
    dir.sync_dir(&snap_dir).await?;
    replace_history(dir, zxid, &path).await
}

/// Goes on where a crash has interrupted the replacement of the history.
///
/// # Errors
///
/// The disk's; `Damaged` if the new snapshot cannot be read: nothing is deleted for it.
pub(super) async fn finish_replacement(dir: &DataDir) -> Result<(), StorageError> {
    for (zxid, path) in dir.replacements().await? {
        let snapshot = SnapshotFile {
            zxid,
            compression: Compression::None,
            path,
        };
        let path = &snapshot.path;
        if let Err(reason) = load(dir, &snapshot, SeededState(0)).await? {
            return Err(StorageError::damaged(path, 0, reason));
        }
        tracing::warn!(%zxid, path = %path.display(), "finishing what a crash has interrupted: this snapshot replaces all that was stored");
        replace_history(dir, zxid, path).await?;
    }
    Ok(())
}

/// Deletes whatever is not the durable snapshot at `path`, and gives that its name. The name
/// comes when the rest is gone for good: until then this can be done again.
async fn replace_history(dir: &DataDir, zxid: Zxid, path: &Path) -> Result<(), StorageError> {
    for (_, log) in dir.logs().await? {
        dir.remove(&log).await?;
    }
    dir.sync_dir(&dir.log_dir()).await?;
    let snap_dir = dir.snap_dir();
    for snapshot in dir.snapshots().await? {
        dir.remove(&snapshot.path).await?;
    }
    dir.sync_dir(&snap_dir).await?;
    dir.rename(path, &snap_dir.join(snapshot_name(zxid)))
        .await?;
    dir.sync_dir(&snap_dir).await
}
