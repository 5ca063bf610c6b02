//! What outlives the process: the transaction log, snapshots, epochs. Files are those of
//! Apache 3.8 and 3.9, both ways.
//!
//! [`DataDir`] is the directories, [`recover`] makes a tree of them, [`TxnLog`] goes on
//! writing, snapshots are written by [`write_snapshot`] and deleted by [`purge()`]. For the
//! ensemble [`truncate_log`] and [`install_snapshot`] change what is past, [`read_log()`] and
//! [`send_snapshot`] tell others of it.
//! The disk is reached through [`zk_env::Disk`] alone, and its first error is final for
//! whatever was to be durable.

mod compression;
mod data_dir;
mod epochs;
mod error;
pub(crate) mod fuzzing;
mod install;
mod log_file;
mod members;
mod names;
mod purge;
mod read_log;
mod record;
mod recovery;
mod size;
mod snapshot_body;
mod snapshot_file;
mod snapshot_format;
mod snapshot_walk;
mod torn;
mod truncate;
mod txn_log;
mod wire;
mod zoo_cfg_files;

#[cfg(test)]
mod tests;

pub(crate) use data_dir::DataDir;
pub use error::StorageError;
pub(crate) use install::install_snapshot;
pub(crate) use log_file::LogFile;
pub(crate) use names::VERSION_DIR;
pub(crate) use purge::purge;
pub(crate) use read_log::{newest_snapshot_bytes, read_log};
pub(crate) use recovery::{NO_HISTORY, Recovered, Recovery, recover};
pub(crate) use size::DirSizes;
pub(crate) use snapshot_body::SessionTimeouts;
pub(crate) use snapshot_file::write_snapshot;
pub(crate) use snapshot_walk::{SnapshotBeginning, SnapshotSource, Still};
pub(crate) use truncate::truncate_log;
pub(crate) use txn_log::{LogSettings, TxnLog};
pub(crate) use wire::{WireSnapshotReader, send_snapshot};
pub(crate) use zoo_cfg_files::next_of;
