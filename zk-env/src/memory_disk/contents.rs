//! What is in a file in memory, and how much room there is for all of them.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::lock;

/// The room on a disk, in bytes.
#[derive(Debug)]
pub(super) struct Space {
    capacity: u64,
    used: Mutex<u64>,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: Mutex::new(0),
        }
    }

    pub(super) fn used(&self) -> u64 {
        *lock(&self.used)
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let mut used = lock(&self.used);
        if bytes > self.capacity - *used {
            let message = format!("of {} bytes {} are used", self.capacity, *used);
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        *used += bytes;
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        *lock(&self.used) -= bytes;
    }
}

/// The bytes of one file; there as long as its name or a handle is.
#[derive(Debug)]
pub(super) struct Contents {
    /// As long as what was taken of `space`.
    bytes: Mutex<Vec<u8>>,
    space: Arc<Space>,
}

impl Contents {
    pub(super) fn new(space: Arc<Space>) -> Self {
        Self {
            bytes: Mutex::default(),
            space,
        }
    }

    pub(super) fn append(&self, new: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.bytes);
        self.extend(&mut bytes, new.len() as u64)?;
        bytes.extend_from_slice(new);
        Ok(())
    }

    pub(super) fn write_at(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let mut bytes = lock(&self.bytes);
        let end = offset.saturating_add(new.len() as u64);
        let missing = end.saturating_sub(bytes.len() as u64);
        self.extend(&mut bytes, missing)?;
        // Both fit, now that there is room up to the end.
        let (start, end) = (offset as usize, end as usize);
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(new);
        Ok(())
    }

    pub(super) fn read_at(&self, offset: u64, len: usize) -> Bytes {
        let bytes = lock(&self.bytes);
        let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
        let end = start.saturating_add(len).min(bytes.len());
        Bytes::copy_from_slice(&bytes[start..end])
    }

    pub(super) fn len(&self) -> u64 {
        lock(&self.bytes).len() as u64
    }

    pub(super) fn truncate(&self, len: u64) -> io::Result<()> {
        let mut bytes = lock(&self.bytes);
        let had = bytes.len() as u64;
        self.extend(&mut bytes, len.saturating_sub(had))?;
        self.space.give_back(had.saturating_sub(len));
        bytes.resize(len as usize, 0);
        Ok(())
    }

    /// Makes sure that there is room for so many bytes more, on the disk and in memory.
    fn extend(&self, bytes: &mut Vec<u8>, more: u64) -> io::Result<()> {
        self.space.take(more)?;
        let reserved = usize::try_from(more)
            .map_err(|_| io::ErrorKind::OutOfMemory.into())
            .and_then(|more| bytes.try_reserve(more).map_err(io::Error::from));
        reserved.inspect_err(|_| self.space.give_back(more))
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.space.give_back(self.len());
    }
}
