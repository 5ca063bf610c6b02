//! Where the peers of an ensemble keep their data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use zk_env::{Disk, Env, MemoryDisk, TokioEnv};

use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::quorum::ServerId;
use crate::storage::StorageError;

/// What an ensemble was told to use.
#[derive(Clone, Debug, Default)]
pub(super) enum StorageChoice {
    #[default]
    Memory,
    Dir(PathBuf),
    TempDir,
}

/// What it uses.
#[derive(Debug)]
pub(super) enum Storage {
    /// A disk in memory for each peer.
    Memory,
    /// A directory in this one for each peer.
    Dir(PathBuf),
    /// The same, and it is removed with the last of them.
    TempDir(Arc<TempDir>),
}

/// What one peer uses.
pub(super) struct PeerStorage {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) data_dir: PathBuf,
    pub(super) temp_dir: Option<Arc<TempDir>>,
}

/// What a peer in memory may hold in logs and snapshots: far more than there is between two
/// snapshots, unless its tree has about a gigabyte.
const MEMORY_DISK_BYTES: u64 = 4 << 30;
/// A peer in memory takes a snapshot after so many transactions, or bytes of its log, at the
/// latest.
const MEMORY_SNAP_COUNT: u32 = 10_000;
const MEMORY_SNAP_BYTES: u64 = 16 << 20;
/// How often it deletes what it needs no more.
const MEMORY_PURGE_INTERVAL: Duration = Duration::from_secs(1);

impl StorageChoice {
    /// Makes what has to be there.
    pub(super) fn prepare(self) -> Result<Storage, ServerError> {
        Ok(match self {
            Self::Memory => Storage::Memory,
            Self::Dir(dir) => Storage::Dir(dir),
            Self::TempDir => {
                let made = tempfile::Builder::new().prefix("zookeeper-").tempdir();
                let made = made.map_err(StorageError::disk(
                    "create a directory in",
                    &std::env::temp_dir(),
                ));
                Storage::TempDir(Arc::new(made?))
            }
        })
    }
}

impl Storage {
    /// What the peer called `id` uses. Each peer on a real disk waits for its own syncs
    /// alone; `given` is another outside world than the real one.
    pub(super) fn of_peer(&self, id: ServerId, given: Option<&Arc<dyn Env>>) -> PeerStorage {
        let real_disk = || given.map_or_else(|| TokioEnv::new().disk(), |env| env.disk());
        let in_dir = |dir: &Path| dir.join(id.to_string());
        match self {
            Self::Memory => PeerStorage {
                disk: MemoryDisk::new(MEMORY_DISK_BYTES),
                data_dir: in_dir(Path::new("/")),
                temp_dir: None,
            },
            Self::Dir(dir) => PeerStorage {
                disk: real_disk(),
                data_dir: in_dir(dir),
                temp_dir: None,
            },
            Self::TempDir(dir) => PeerStorage {
                disk: real_disk(),
                data_dir: in_dir(dir.path()),
                temp_dir: Some(Arc::clone(dir)),
            },
        }
    }

    /// What is different for a peer that stores so: in memory, files stay few and small.
    pub(super) fn adapt(&self, config: &mut ServerConfig) {
        match self {
            Self::Memory => {
                let storage = &mut config.storage;
                storage.preallocate_bytes = 0;
                storage.snap_count = storage.snap_count.min(MEMORY_SNAP_COUNT);
                let bytes = storage.snap_size_limit_bytes.unwrap_or(u64::MAX);
                storage.snap_size_limit_bytes = Some(bytes.min(MEMORY_SNAP_BYTES));
                let purge = storage.purge_interval.unwrap_or(Duration::MAX);
                storage.purge_interval = Some(purge.min(MEMORY_PURGE_INTERVAL));
            }
            Self::Dir(_) | Self::TempDir(_) => {}
        }
    }
}
