//! Files, as the transaction log and the snapshots need them.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::env::BoxFuture;

/// Which file [`Disk::open`] accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist, else `NotFound`.
    Existing,
    /// The same for a file that is only read, and need not be writable.
    ReadOnly,
    /// An empty file is made if there is none.
    Create,
    /// The file must not exist, else `AlreadyExists`.
    CreateNew,
}

/// The disk of one host.
///
/// *Paths* are absolute, or relative to the directory the process was started
/// in (in memory: to the root).
///
/// *Durability.* What a method did is seen by every later call at once, but
/// survives a crash of the machine only when the sync named in the method's
/// documentation has succeeded. A sync that failed says nothing about which
/// bytes are safe, and a later one that succeeds does not say it either, because
/// the kernel may have dropped what it could not write: the file must not be
/// relied on again (failures of fsync are fatal for a log).
///
/// *Ordering.* Calls on one disk and its files take effect one after the other,
/// in the order in which their futures were first polled. None of them needs
/// another poll to take effect.
///
/// *Cancel safety.* A future dropped before its first poll did nothing. One
/// dropped later takes effect in its place in line or not at all.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing. The directory must exist.
    ///
    /// A file this created is durable once it was synced
    /// ([`File::sync_data`]) and so was its directory ([`Disk::sync_dir`]).
    fn open(&self, path: &Path, mode: OpenMode) -> BoxFuture<io::Result<Box<dyn File>>>;

    /// Gives the file `from` the name `to`, in place of a file that has it, in
    /// one step: after a crash `to` is the old file or the new one.
    ///
    /// Durable after [`Disk::sync_dir`] of the directory of `to`, and of that of
    /// `from` if it is another. The *contents* are durable only if they were
    /// synced before the rename.
    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<io::Result<()>>;

    /// Removes a file. Handles that are open keep working.
    ///
    /// Durable after [`Disk::sync_dir`] of its directory; until then a crash may
    /// bring the file back.
    fn remove(&self, path: &Path) -> BoxFuture<io::Result<()>>;

    /// The names of what lies in `dir`, sorted.
    fn list(&self, dir: &Path) -> BoxFuture<io::Result<Vec<OsString>>>;

    /// Makes `dir` and the directories above it, as far as they are missing.
    ///
    /// Each new one is durable after [`Disk::sync_dir`] of its parent.
    fn create_dir_all(&self, dir: &Path) -> BoxFuture<io::Result<()>>;

    /// Makes the names in `dir` durable: files created, renamed and removed.
    ///
    /// On Windows, where directories cannot be synced, this only checks that
    /// `dir` is there; NTFS journals names itself.
    fn sync_dir(&self, dir: &Path) -> BoxFuture<io::Result<()>>;

    /// Takes the lock that the file `path` stands for, until the guard is dropped or the
    /// process ends, however it ends. `WouldBlock` if somebody has it, in this process or in
    /// another. The directory must exist; the file is made if there is none, and stays.
    ///
    /// Nobody is kept from anything but this lock.
    fn lock(&self, path: &Path) -> BoxFuture<io::Result<Box<dyn Lock>>>;
}

/// A lock that is held; see [`Disk::lock`].
pub trait Lock: fmt::Debug + Send + Sync + 'static {}

/// An open file. Dropping it closes it without syncing.
///
/// Ordering, durability and cancel safety are those of [`Disk`].
#[expect(
    clippy::len_without_is_empty,
    reason = "a file is asked over the seam, where one question is enough"
)]
pub trait File: fmt::Debug + Send + Sync + 'static {
    /// Writes all of `bytes` behind the end of the file.
    ///
    /// Durable after [`File::sync_data`]. After an error, as after a crash
    /// before the sync, any part of them may have been written.
    fn append(&self, bytes: Bytes) -> BoxFuture<io::Result<()>>;

    /// Writes all of `bytes` from `offset` on, over what is there. A gap behind
    /// the end reads as zeros. This is what fills a preallocated log.
    ///
    /// Durable after [`File::sync_data`]. After an error, as after a crash
    /// before the sync, any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>>;

    /// [`write_at`](Self::write_at) and then [`sync_data`](Self::sync_data). One call, because
    /// whoever waits for both need not be woken between them.
    ///
    /// Durable once it has succeeded. After an error, and where the call was dropped, any part
    /// of the bytes may have been written, and nobody knows what is durable.
    fn write_at_and_sync(&self, offset: u64, bytes: Bytes) -> BoxFuture<io::Result<()>> {
        let (write, sync) = (self.write_at(offset, bytes), self.sync_data());
        Box::pin(async move {
            let (written, synced) = tokio::join!(biased; write, sync);
            written.and(synced)
        })
    }

    /// Up to `len` bytes from `offset` on; fewer only where the file ends, none
    /// behind its end. Never allocates more than the file holds.
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<io::Result<Bytes>>;

    /// The length in bytes.
    fn len(&self) -> BoxFuture<io::Result<u64>>;

    /// Makes the file `len` bytes long, cutting it or adding zeros.
    ///
    /// Durable after [`File::sync_data`].
    fn truncate(&self, len: u64) -> BoxFuture<io::Result<()>>;

    /// Makes the contents and the length durable, through the drive's own cache
    /// where the system can do that.
    ///
    /// Says nothing about the file's name: see [`Disk::sync_dir`].
    fn sync_data(&self) -> BoxFuture<io::Result<()>>;
}
