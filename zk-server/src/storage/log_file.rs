//! Reading one file of the transaction log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zk_env::{Disk, File, OpenMode};
use zk_proto::Zxid;

use super::error::StorageError;
use super::record::{FILE_HEADER, MAGIC, MAX_PAYLOAD_LEN, RECORD_HEADER_LEN, RecordHeader};
use super::torn::{is_one_bit_off, is_torn};
use crate::txn::zxid_of;

/// Bytes read at a time; a longer record is read as a whole.
const WINDOW: usize = 1 << 20;

/// No server writes more than this before it syncs, so that a record this far behind
/// another proves that the other was durable.
const MOST_UNSYNCED: u64 = 64 << 20;

/// More than our own server writes before it syncs.
const WRITTEN_AGAIN: u64 = 8 << 20;

/// A file of the log, read from its first record on.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Box<dyn File>,
    len: u64,
    /// Where the next record begins.
    position: u64,
    last_zxid: Zxid,
    window: Bytes,
    window_at: u64,
}

/// A record that is what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) zxid: Zxid,
    /// A transaction. It keeps a piece of the file in memory alive.
    pub(crate) payload: Bytes,
    /// Where the record begins.
    pub(crate) offset: u64,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEnd {
    /// With its last record, or with nothing but zeros behind it.
    Clean,
    /// With something that was never written as a whole.
    Torn,
}

impl LogFile {
    /// Opens a file. `None` if it ends before its first record could begin, which is
    /// what a crash makes of a file that was just begun.
    pub(crate) async fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
    ) -> Result<Option<Self>, StorageError> {
        let mut log = Self::unread(disk, path).await?;
        let header = log.read(0, FILE_HEADER.len()).await?;
        if header.len() < FILE_HEADER.len() || header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !header.starts_with(MAGIC) {
            return Err(StorageError::damaged(path, 0, "no transaction log"));
        }
        Ok(Some(log))
    }

    async fn unread(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, StorageError> {
        let open = disk.open(path, OpenMode::Existing).await;
        let file = open.map_err(StorageError::disk("open", path))?;
        let len = file.len().await;
        let len = len.map_err(StorageError::disk("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            len,
            position: FILE_HEADER.len() as u64,
            last_zxid: Zxid(i64::MIN),
            window: Bytes::new(),
            window_at: 0,
        })
    }

    /// For a file that [`open`](Self::open) finds without a beginning: nothing may follow
    /// either, unless it is the newest. The others were durable before the next was begun.
    ///
    /// # Errors
    ///
    /// `Damaged`, if there is anything but zeros.
    pub(crate) async fn expect_blank(
        disk: &Arc<dyn Disk>,
        path: &Path,
    ) -> Result<(), StorageError> {
        let file = Self::unread(disk, path).await?;
        match file.last_nonzero(0).await? {
            Some(_) => Err(file.damaged(0, "no transaction log, and not empty")),
            None => Ok(()),
        }
    }

    /// Where the next record begins, or would.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether no record has been found so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.position == FILE_HEADER.len() as u64
    }

    /// The next record, or how the file ends.
    ///
    /// # Errors
    ///
    /// `Damaged`, if there is something that was written and has changed since.
    pub(crate) async fn next(&mut self) -> Result<Result<Record, LogEnd>, StorageError> {
        match self.next_intact().await? {
            Some(record) => Ok(Ok(record)),
            None => self.end_at(self.position).await.map(Err),
        }
    }

    /// The next record; `None` where there is none that can be read, for whatever reason.
    /// For a file that is being written to: nothing is concluded from how it ends.
    pub(crate) async fn next_intact(&mut self) -> Result<Option<Record>, StorageError> {
        let next = self.record_at(self.position).await?;
        Ok(next.map(|(record, end)| {
            self.position = end;
            self.last_zxid = record.zxid;
            record
        }))
    }

    /// The record that begins at `offset`, and where it ends, if there is one.
    async fn record_at(&mut self, offset: u64) -> Result<Option<(Record, u64)>, StorageError> {
        let header = self.read(offset, RECORD_HEADER_LEN).await?;
        let Some(header) = header
            .first_chunk()
            .map(|bytes| RecordHeader::parse(*bytes))
        else {
            return Ok(None);
        };
        let Some(len) = header.payload_len() else {
            return Ok(None);
        };
        let body_at = offset + RECORD_HEADER_LEN as u64;
        let end = body_at + len as u64 + 1;
        if end > self.len {
            return Ok(None);
        }
        let body = self.read(body_at, len + 1).await?;
        let payload = body.slice(..len.min(body.len()));
        let is_intact = body
            .get(len)
            .is_some_and(|last| header.fits(&payload, *last));
        Ok(zxid_of(&payload).filter(|_| is_intact).map(|zxid| {
            let record = Record {
                zxid,
                payload,
                offset,
            };
            (record, end)
        }))
    }

    /// There is no record at `offset`: whether that is the end, and of which kind.
    async fn end_at(&mut self, offset: u64) -> Result<LogEnd, StorageError> {
        let Some(last) = self.last_nonzero(offset).await? else {
            return Ok(LogEnd::Clean);
        };
        let header = self.read(offset, RECORD_HEADER_LEN).await?;
        let header = header
            .first_chunk()
            .map(|bytes| RecordHeader::parse(*bytes));
        let following = self.record_behind(offset, last).await?;
        if let Some(following) = &following
            && following.offset - offset > MOST_UNSYNCED
        {
            return Err(self.damaged(offset, "durable records follow what cannot be read"));
        }
        if let Some(header) = header
            && following.is_none()
            && self
                .is_whole_but_for_its_length(offset, header, last)
                .await?
        {
            return Err(self.damaged(offset, "its length is not that of the transaction"));
        }
        // A write that failed, for want of room as a rule, leaves the beginning of a record and
        // nothing behind it. Whole ones do not end with zeros.
        if let Some(claimed) = claimed_end(header, offset)
            && following.is_none()
            && last + 1 < claimed
        {
            return Ok(LogEnd::Torn);
        }
        // As much of the file as the record takes, by its own account or by what follows.
        let claimed = claimed_end(header, offset);
        let end = match (&following, claimed) {
            (Some(following), _) => following.offset,
            (None, Some(claimed)) if claimed > self.len => return Ok(LogEnd::Torn),
            (None, Some(claimed)) => claimed,
            (None, None) => (last + 1).max(offset + SMALLEST_RECORD),
        };
        if end > self.len || header.is_none_or(RecordHeader::is_padding) {
            return Ok(LogEnd::Torn);
        }
        let bytes = self.read(offset, (end - offset) as usize).await?;
        let mut is_rotten = is_one_bit_off(&bytes, offset);
        if let Some(claimed) = claimed.filter(|claimed| *claimed < end) {
            is_rotten |= is_one_bit_off(&bytes[..(claimed - offset) as usize], offset);
        }
        if is_torn(&bytes, offset) && !is_rotten {
            return Ok(LogEnd::Torn);
        }
        let reason = match header.and_then(RecordHeader::payload_len) {
            Some(_) => "the checksum does not fit the transaction",
            None => "its length is none that a transaction can have",
        };
        Err(self.damaged(offset, reason))
    }

    /// Whether the last record of the file, which ends with the file's `last` byte that is
    /// not zero, would be intact if its length were another.
    async fn is_whole_but_for_its_length(
        &mut self,
        offset: u64,
        header: RecordHeader,
        last: u64,
    ) -> Result<bool, StorageError> {
        let body_at = offset + RECORD_HEADER_LEN as u64;
        let Some(len) = last.checked_sub(body_at) else {
            return Ok(false);
        };
        if len > MAX_PAYLOAD_LEN as u64 {
            return Ok(false);
        }
        let body = self.read(body_at, len as usize + 1).await?;
        Ok(match body.split_last() {
            Some((end, payload)) if !payload.is_empty() => header.fits(payload, *end),
            Some(_) | None => false,
        })
    }

    /// The next intact record behind `offset`, wherever it begins.
    async fn record_behind(
        &mut self,
        offset: u64,
        last_nonzero: u64,
    ) -> Result<Option<Record>, StorageError> {
        let mut at = offset + 1;
        while at <= last_nonzero {
            let window = self.read(at, RECORD_HEADER_LEN).await?;
            if window.starts_with(&[0; 4])
                && let Some((record, _)) = self.record_at(at).await?
                && record.zxid > self.last_zxid
            {
                return Ok(Some(record));
            }
            at += 1;
        }
        Ok(None)
    }

    /// The last byte from `offset` on that is not zero.
    async fn last_nonzero(&self, offset: u64) -> Result<Option<u64>, StorageError> {
        let (mut last, mut at) = (None, offset);
        while at < self.len {
            let bytes = self.read_afresh(at, WINDOW).await?;
            if bytes.is_empty() {
                break;
            }
            if let Some(found) = last_nonzero(&bytes) {
                last = Some(at + found as u64);
            }
            at += bytes.len() as u64;
        }
        Ok(last)
    }

    /// `len` bytes from `offset` on, or fewer where the file ends.
    async fn read(&mut self, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        let within = offset.checked_sub(self.window_at);
        let from = within.and_then(|from| usize::try_from(from).ok());
        if let Some(from) = from
            && let Some(bytes) = self.window.get(from..from + len)
        {
            return Ok(self.window.slice_ref(bytes));
        }
        self.window = self.read_afresh(offset, len.max(WINDOW)).await?;
        self.window_at = offset;
        Ok(self.window.slice(..len.min(self.window.len())))
    }

    async fn read_afresh(&self, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        let read = self
            .file
            .read_at(offset, len.min(MAX_PAYLOAD_LEN + WINDOW))
            .await;
        read.map_err(StorageError::disk("read", &self.path))
    }

    fn damaged(&self, offset: u64, reason: &str) -> StorageError {
        StorageError::damaged(&self.path, offset, reason)
    }

    /// Cuts everything behind the last record, and makes what is left durable.
    pub(crate) async fn cut(&self) -> Result<(), StorageError> {
        self.cut_at(self.position).await
    }

    /// Cuts everything from `end` on, and makes what is left durable.
    pub(crate) async fn cut_at(&self, end: u64) -> Result<(), StorageError> {
        if end < self.len {
            let cut = self.file.truncate(end).await;
            cut.map_err(StorageError::disk("truncate", &self.path))?;
        }
        self.write_again(end).await
    }

    /// Makes what was read durable: it may have been in the system's cache alone.
    pub(crate) async fn sync(&self) -> Result<(), StorageError> {
        self.write_again(self.position).await
    }

    /// Syncs the file up to `end`, of which as much is written again as may never have
    /// reached the disk: if a sync has failed before, the system takes for clean what it could
    /// not write, and another sync leaves that out.
    async fn write_again(&self, end: u64) -> Result<(), StorageError> {
        let mut at = end.saturating_sub(WRITTEN_AGAIN);
        while at < end {
            let len = usize::try_from(end - at).map_or(WINDOW, |left| left.min(WINDOW));
            let bytes = self.read_afresh(at, len).await?;
            if bytes.is_empty() {
                break;
            }
            let next = at + bytes.len() as u64;
            let written = self.file.write_at(at, bytes).await;
            written.map_err(StorageError::disk("write to", &self.path))?;
            at = next;
        }
        let synced = self.file.sync_data().await;
        synced.map_err(StorageError::disk("sync", &self.path))
    }
}

/// A record of nothing but a header and an error.
const SMALLEST_RECORD: u64 = RECORD_HEADER_LEN as u64 + 32 + 1;

/// Where a record that begins at `offset` ends by its own account.
fn claimed_end(header: Option<RecordHeader>, offset: u64) -> Option<u64> {
    let len = header.and_then(RecordHeader::payload_len)?;
    Some(offset + (RECORD_HEADER_LEN + len) as u64 + 1)
}

/// Preallocated files are zeros for the most part, and comparing is what a machine does
/// fastest.
const ZEROS: [u8; 4096] = [0; 4096];

/// The index of the last byte that is not zero.
fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let blocks = bytes.chunks(ZEROS.len()).enumerate().rev();
    let (index, block) = { blocks }.find(|(_, block)| **block != ZEROS[..block.len()])?;
    let within = block.iter().rposition(|byte| *byte != 0)?;
    Some(index * ZEROS.len() + within)
}
