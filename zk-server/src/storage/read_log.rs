//! Reading the log for a learner that is behind, while it is being written.

use std::io;

use bytes::Bytes;
use zk_env::OpenMode;
use zk_proto::Zxid;

use super::data_dir::DataDir;
use super::error::StorageError;
use super::log_file::LogFile;
use super::recovery::{first_needed, follows};

/// The transactions from the newest that is not newer than `from` up to `through`, oldest
/// first and without a gap. `None` if the log does not reach back so far, if something is
/// missing or cannot be read in between, or if the payloads behind `from` take more than
/// `max_bytes`; without those, they are as many as the log has. They end before `through`
/// if the log does.
///
/// Changes nothing, and looks at nothing behind `through`, where another task may be writing:
/// what is up to there has to be durable. Files that are deleted meanwhile are missing.
///
/// # Errors
///
/// The disk's, and `Damaged` for a file that is no log.
pub(crate) async fn read_log(
    dir: &DataDir,
    from: Zxid,
    through: Zxid,
    max_bytes: Option<u64>,
) -> Result<Option<Vec<(Zxid, Bytes)>>, StorageError> {
    let logs = dir.logs().await?;
    let begin = first_needed(&logs, from);
    let mut found = Found {
        from,
        through,
        room: max_bytes.unwrap_or(u64::MAX),
        txns: Vec::new(),
    };
    for (first, path) in logs.get(begin..).unwrap_or_default() {
        if *first > through {
            break;
        }
        let mut log = match LogFile::open(&dir.disk, path).await {
            Ok(Some(log)) => log,
            Ok(None) => continue,
            Err(StorageError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        while !found.is_complete()
            && let Some(record) = log.next_intact().await?
        {
            if !found.add(record.zxid, &record.payload) {
                return Ok(None);
            }
        }
    }
    Ok(found.reaches_back().then_some(found.txns))
}

/// What has been found so far.
struct Found {
    from: Zxid,
    through: Zxid,
    /// Bytes that may still come.
    room: u64,
    txns: Vec<(Zxid, Bytes)>,
}

impl Found {
    fn is_complete(&self) -> bool {
        self.txns
            .last()
            .is_some_and(|(last, _)| *last >= self.through)
    }

    fn reaches_back(&self) -> bool {
        self.txns
            .first()
            .is_some_and(|(first, _)| *first <= self.from)
    }

    /// False if this makes what was found useless. Only the last of those that are not newer
    /// than `from` is kept.
    fn add(&mut self, zxid: Zxid, payload: &Bytes) -> bool {
        let last = self.txns.last().map(|(last, _)| *last);
        if zxid > self.through || last.is_some_and(|last| zxid <= last) {
            return true;
        }
        if zxid <= self.from {
            self.txns.clear();
        } else {
            if last.is_none_or(|last| !follows(last, zxid)) {
                return false;
            }
            let len = payload.len() as u64;
            let Some(room) = self.room.checked_sub(len) else {
                return false;
            };
            self.room = room;
        }
        // Of its own: it is a slice of a window of a mebibyte.
        self.txns.push((zxid, Bytes::copy_from_slice(payload)));
        true
    }
}

/// The length of the newest snapshot's file, against which the log is weighed:
/// `zookeeper.snapshotSizeFactor` of it is what may be sent instead. `None` if there is no
/// snapshot that ends as one does.
///
/// # Errors
///
/// The disk's.
pub(crate) async fn newest_snapshot_bytes(dir: &DataDir) -> Result<Option<u64>, StorageError> {
    for snapshot in dir.snapshots().await? {
        let path = &snapshot.path;
        let file = match dir.disk.open(path, OpenMode::Existing).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(StorageError::disk("open", path))?,
        };
        let read = async {
            let len = file.len().await?;
            let end = len.saturating_sub(END.len() as u64);
            Ok((len, file.read_at(end, END.len()).await?))
        };
        let read: io::Result<_> = read.await;
        let (len, end) = read.map_err(StorageError::disk("read", path))?;
        if len > 0 && (snapshot.is_compressed() || end == END) {
            return Ok(Some(len));
        }
    }
    Ok(None)
}

/// The end of the last section: a snapshot that Apache did not finish has its name as well.
const END: &[u8] = b"\0\0\0\x01/";
