//! How a server stores.

use std::time::Duration;

/// What the keys about logs and snapshots say. It matters only with a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageConfig {
    /// Transactions after which a snapshot is taken at the latest, and half of them after
    /// which it is at the earliest, `snapCount`; at least 2.
    pub(crate) snap_count: u32,
    /// The same for bytes of the log, `snapSizeLimitInKb`; `None` is no limit.
    pub(crate) snap_size_limit_bytes: Option<u64>,
    /// Bytes by which a log is extended, `preAllocSize`.
    pub(crate) preallocate_bytes: u64,
    /// Bytes above which another log is begun, `txnLogSizeLimitInKb`; `None` is no limit.
    pub(crate) log_size_limit_bytes: Option<u64>,
    /// Whether what is acknowledged survives a crash of the machine, `forceSync`.
    pub(crate) force_sync: bool,
    /// A sync that takes longer is complained of, `fsync.warningthresholdms`.
    pub(crate) fsync_warning: Duration,
    /// Snapshots that are kept, `autopurge.snapRetainCount`; at least 3.
    pub(crate) snap_retain_count: usize,
    /// How often old files are deleted, `autopurge.purgeInterval`; `None` is never.
    pub(crate) purge_interval: Option<Duration>,
    /// An empty directory may be begun with, `db.autocreate`.
    pub(crate) autocreate: bool,
}

impl StorageConfig {
    /// Apache's.
    pub(super) const DEFAULT: Self = Self {
        snap_count: 100_000,
        snap_size_limit_bytes: Some(4 << 30),
        preallocate_bytes: 64 << 20,
        log_size_limit_bytes: None,
        force_sync: true,
        fsync_warning: Duration::from_secs(1),
        snap_retain_count: 3,
        purge_interval: None,
        autocreate: true,
    };
}
