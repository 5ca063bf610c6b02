//! Deleting what no recovery needs any more.

use super::data_dir::DataDir;
use super::error::StorageError;
use super::recovery::{first_needed, is_valid};

/// Fewer snapshots are never kept.
pub(crate) const MIN_RETAINED: usize = 3;

/// Keeps the `retain` newest snapshots that are valid, every log that is needed to go on
/// from the oldest of them, and everything newer. Returns how many files went.
///
/// # Errors
///
/// The disk's. What has been deleted by then was not needed.
pub(crate) async fn purge(dir: &DataDir, retain: usize) -> Result<usize, StorageError> {
    let snapshots = dir.snapshots().await?;
    let mut valid = 0;
    let mut oldest_kept = None;
    for snapshot in &snapshots {
        if is_valid(dir, snapshot).await? {
            valid += 1;
            oldest_kept = Some(snapshot.zxid);
        }
        if valid == retain.max(MIN_RETAINED) {
            break;
        }
    }
    let Some(oldest_kept) = oldest_kept.filter(|_| valid == retain.max(MIN_RETAINED)) else {
        return Ok(0);
    };
    let logs = dir.logs().await?;
    let needed = first_needed(&logs, oldest_kept);
    let old_logs = logs[..needed].iter().map(|(_, path)| path);
    let old_snapshots = snapshots
        .iter()
        .filter(|snapshot| snapshot.zxid < oldest_kept)
        .map(|snapshot| &snapshot.path);
    let mut deleted = 0;
    for path in old_logs.chain(old_snapshots) {
        dir.remove(path).await?;
        deleted += 1;
    }
    Ok(deleted)
}
