//! Writing the transaction log.
//!
//! Appending costs no call of the disk; one flush writes and syncs everything that was
//! appended since the last (group commit). A file is named after its first transaction
//! and is never continued after a restart. Before a file gets its first record
//! the one before it is durable as a whole, so that only the newest can have a torn end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use zk_env::{Disk, File, OpenMode};
use zk_proto::Zxid;

use super::error::StorageError;
use super::names::log_name;
use super::record::{FILE_HEADER, encode_record};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// Bytes by which a file is extended before it is full, `preAllocSize`; 0 is never.
    pub(crate) preallocate: u64,
    /// Whether a flush syncs, `forceSync`. Without it a crash of the machine loses what
    /// was acknowledged.
    pub(crate) force_sync: bool,
}

/// Room that has to be left, or the file is extended.
const PREALLOCATION_MARGIN: u64 = 4096;

/// Zeros that are written behind the records when these reach what has not been written. A file
/// that was only extended has no room on the disk yet, and every sync would have to wait for
/// the file system's journal as well; over zeros it is the data alone.
const ZEROS_AHEAD: u64 = 512 << 10;

/// Bytes that may be appended before they have to be flushed.
pub(crate) const BATCH_LIMIT: usize = 4 << 20;

/// The transaction log of a server, open for appending.
#[derive(Debug)]
pub(crate) struct TxnLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    settings: LogSettings,
    open: Option<OpenFile>,
    /// Records that have been appended and not been written.
    pending: BytesMut,
    /// The first of them.
    pending_first: Option<Zxid>,
    /// The disk has failed once: nothing that it says later can be relied on.
    failure: Option<StorageError>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: Box<dyn File>,
    /// Where the next record goes.
    position: u64,
    /// What the file has been extended to.
    len: u64,
    /// Up to where it has been written, with records or zeros.
    written: u64,
}

impl TxnLog {
    /// A log in `dir`, which exists. Its first file begins with the first append.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, settings: LogSettings) -> Self {
        Self {
            disk,
            dir,
            settings,
            open: None,
            pending: BytesMut::new(),
            pending_first: None,
            failure: None,
        }
    }

    /// Appends a transaction. It is not durable, nor even written, before the next
    /// [`flush`](Self::flush), which is due once [`is_full`](Self::is_full).
    pub(crate) fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        self.pending_first.get_or_insert(zxid);
        encode_record(payload, &mut self.pending);
    }

    /// Whether nothing more should be appended before a flush.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= BATCH_LIMIT
    }

    /// Bytes of the file that is written to, with what it was extended by.
    pub(crate) fn file_len(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.len)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    ///
    /// The disk's. They are final: nobody knows any more what is durable, and every later
    /// flush repeats the first error.
    ///
    /// # Cancel safety
    ///
    /// None: dropping the future may lose what was appended. The log must not be used
    /// any more then.
    pub(crate) async fn flush(&mut self) -> Result<(), StorageError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let Some(first) = self.pending_first.take() else {
            return Ok(());
        };
        let records = self.pending.split();
        let flushed = self.write(first, records).await;
        if let Err(error) = &flushed {
            self.failure = Some(error.clone());
        }
        flushed
    }

    /// Ends the file: the next append begins another. Flushes first.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub(crate) async fn roll(&mut self) -> Result<(), StorageError> {
        self.flush().await?;
        self.open = None;
        Ok(())
    }

    async fn write(&mut self, first: Zxid, records: BytesMut) -> Result<(), StorageError> {
        match &mut self.open {
            Some(open) => open.write(records, self.settings).await,
            None => {
                let path = self.dir.join(log_name(first));
                let created = create(&self.disk, path, records, self.settings).await?;
                if self.settings.force_sync {
                    let synced = self.disk.sync_dir(&self.dir).await;
                    synced.map_err(StorageError::disk("sync", &self.dir))?;
                }
                self.open = Some(created);
                Ok(())
            }
        }
    }
}

/// A file that holds its header and these records, durable but for its name.
async fn create(
    disk: &Arc<dyn Disk>,
    path: PathBuf,
    records: BytesMut,
    settings: LogSettings,
) -> Result<OpenFile, StorageError> {
    let file = match disk.open(&path, OpenMode::CreateNew).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // What a crash has left of a file that was never acknowledged: a record in it
            // that could be read would have been recovered.
            let file = disk.open(&path, OpenMode::Existing).await;
            let file = file.map_err(StorageError::disk("open", &path))?;
            let emptied = file.truncate(0).await;
            emptied.map_err(StorageError::disk("truncate", &path))?;
            file
        }
        opened => opened.map_err(StorageError::disk("create", &path))?,
    };
    let mut open = OpenFile {
        path,
        file,
        position: 0,
        len: FILE_HEADER.len() as u64,
        written: 0,
    };
    let mut bytes = BytesMut::with_capacity(FILE_HEADER.len() + records.len());
    bytes.extend_from_slice(&FILE_HEADER);
    bytes.extend_from_slice(&records);
    open.write(bytes, settings).await?;
    Ok(open)
}

impl OpenFile {
    async fn write(
        &mut self,
        mut bytes: BytesMut,
        settings: LogSettings,
    ) -> Result<(), StorageError> {
        let end = self.position + bytes.len() as u64;
        self.extend_for(end, settings).await?;
        if settings.preallocate > 0 && settings.force_sync && end > self.written {
            self.written = self.len.min(end + ZEROS_AHEAD);
            bytes.resize((self.written - self.position) as usize, 0);
        }
        let bytes = bytes.freeze();
        let (operation, write) = if settings.force_sync {
            let write = self.file.write_at_and_sync(self.position, bytes);
            ("write and sync", write)
        } else {
            ("write to", self.file.write_at(self.position, bytes))
        };
        let written = write.await;
        written.map_err(StorageError::disk(operation, &self.path))?;
        self.position = end;
        self.len = self.len.max(end);
        Ok(())
    }

    /// Extends the file if what ends there does not leave enough room.
    async fn extend_for(&mut self, end: u64, settings: LogSettings) -> Result<(), StorageError> {
        if settings.preallocate > 0 && end + PREALLOCATION_MARGIN >= self.len {
            while end + PREALLOCATION_MARGIN >= self.len {
                self.len += settings.preallocate;
            }
            let extended = self.file.truncate(self.len).await;
            extended.map_err(StorageError::disk("extend", &self.path))?;
        }
        Ok(())
    }
}
