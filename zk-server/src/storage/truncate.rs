//! Forgetting transactions that the ensemble has not agreed on.

use std::path::PathBuf;

use zk_proto::Zxid;

use super::data_dir::DataDir;
use super::error::StorageError;
use super::install::install_snapshot;
use super::log_file::LogFile;
use super::recovery::{first_needed, follows, load};
use super::snapshot_walk::Still;
use crate::tree::{DataTree, SeededState};

/// Makes `zxid` the last transaction that is stored, durably. False, and nothing is changed,
/// if that cannot be done exactly: there has to be this very transaction in the log, or a
/// snapshot of it, and a way to it from a snapshot that has nothing later in it. Before the
/// first transaction, at 0, there is nothing to be found: everything goes, and what is left
/// is a snapshot of nothing.
///
/// Snapshots that have more go first, then files that begin later, the newest first, and last
/// the end of the file that goes on behind `zxid`. What is stored was seen to be without a gap,
/// so that a crash in between leaves a shorter history, and never one with a gap.
///
/// To be followed by a recovery. No log may be open and nobody else may write to the
/// directories or delete from them.
///
/// # Errors
///
/// The disk's, and `Damaged`.
pub(crate) async fn truncate_log(dir: &DataDir, zxid: Zxid) -> Result<bool, StorageError> {
    if zxid == Zxid::ZERO {
        let nothing = DataTree::new(SeededState(0));
        install_snapshot(dir, zxid, &mut Still(&nothing, Vec::new())).await?;
        return Ok(true);
    }
    let Some(base) = newest_without(dir, zxid).await? else {
        return Ok(false);
    };
    let Some(cut) = Cut::find(dir, base, zxid).await? else {
        return Ok(false);
    };
    for snapshot in dir.snapshots().await? {
        if snapshot.zxid > base {
            dir.remove(&snapshot.path).await?;
        }
    }
    dir.sync_dir(&dir.snap_dir()).await?;
    for later in cut.later.iter().rev() {
        dir.remove(later).await?;
        dir.sync_dir(&dir.log_dir()).await?;
    }
    if let Some((holder, end)) = cut.holder {
        holder.cut_at(end).await?;
    }
    Ok(true)
}

/// The newest snapshot that has nothing that came after `zxid`. What is caught while a
/// snapshot is written may be newer than its name; the last of it is told by its digest.
async fn newest_without(dir: &DataDir, zxid: Zxid) -> Result<Option<Zxid>, StorageError> {
    for snapshot in dir.snapshots().await? {
        if snapshot.zxid <= zxid
            && let Ok(loaded) = load(dir, &snapshot, SeededState(0)).await?
            && loaded.digest.is_none_or(|(after, _)| after <= zxid)
        {
            return Ok(Some(snapshot.zxid));
        }
    }
    Ok(None)
}

/// Where the log is to end.
struct Cut {
    /// The file that has `zxid`, or ends before it, and the end of what stays of it.
    holder: Option<(LogFile, u64)>,
    /// Files that begin later, the oldest first.
    later: Vec<PathBuf>,
}

impl Cut {
    /// Reads the log from the snapshot `base` to its end. `None` if `zxid` is not there, or
    /// anything is missing before or behind it.
    async fn find(dir: &DataDir, base: Zxid, zxid: Zxid) -> Result<Option<Self>, StorageError> {
        let logs = dir.logs().await?;
        let mut cut = Self {
            holder: None,
            later: Vec::new(),
        };
        let (mut last, mut is_there) = (base, base == zxid);
        // Whether a transaction behind `zxid` has been seen.
        let mut is_over = false;
        let begin = first_needed(&logs, base);
        for (first, path) in logs.into_iter().skip(begin) {
            let opened = LogFile::open(&dir.disk, &path).await?;
            let is_later = first > zxid || is_over;
            if is_later {
                cut.later.push(path);
            }
            let Some(mut log) = opened else {
                continue;
            };
            let mut end = None;
            while let Ok(record) = log.next().await? {
                if record.zxid > base {
                    if !follows(last, record.zxid) {
                        return Ok(None);
                    }
                    last = record.zxid;
                    is_there |= record.zxid == zxid;
                }
                if record.zxid > zxid {
                    end.get_or_insert(record.offset);
                    is_over = true;
                }
            }
            if !is_later {
                let end = end.unwrap_or_else(|| log.position());
                cut.holder = Some((log, end));
            }
        }
        Ok(is_there.then_some(cut))
    }
}
