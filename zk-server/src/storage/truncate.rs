//! Forgetting transactions that the ensemble has not agreed on.

use zk_proto::Zxid;

use super::data_dir::DataDir;
use super::error::StorageError;
use super::log_file::LogFile;

/// Makes `zxid` the last transaction of the log, durably. False, and nothing is changed, if
/// the log does not have exactly this one: what came before it cannot be told then.
///
/// Snapshots that are newer go first, then files that are, the newest first, and last the
/// end of the file that has `zxid`: a crash in between leaves a shorter history, and never
/// one with a gap.
///
/// To be followed by a recovery; no log may be open.
///
/// # Errors
///
/// The disk's, and `Damaged`.
pub(crate) async fn truncate_log(dir: &DataDir, zxid: Zxid) -> Result<bool, StorageError> {
    let logs = dir.logs().await?;
    let Some(holder) = logs.iter().rposition(|(first, _)| *first <= zxid) else {
        return Ok(false);
    };
    let (_, path) = &logs[holder];
    let Some(mut log) = LogFile::open(&dir.disk, path).await? else {
        return Ok(false);
    };
    loop {
        match log.next().await? {
            Ok(record) if record.zxid == zxid => break,
            Ok(record) if record.zxid < zxid => {}
            Ok(_) | Err(_) => return Ok(false),
        }
    }
    for snapshot in dir.snapshots().await? {
        if snapshot.zxid > zxid {
            dir.remove(&snapshot.path).await?;
        }
    }
    dir.sync_dir(&dir.snap_dir()).await?;
    for (_, later) in logs[holder + 1..].iter().rev() {
        dir.remove(later).await?;
        dir.sync_dir(&dir.log_dir()).await?;
    }
    log.cut().await?;
    Ok(true)
}
