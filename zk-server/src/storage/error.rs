//! What can be wrong with what is stored.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use zk_proto::Zxid;

/// Why a data directory cannot be used, or not any more. Nothing of it is ever skipped,
/// repaired by guessing, or overwritten.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The disk refused. What was not durable before this may or may not be now.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was to be done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Bytes of a transaction log are not those that were written.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the record begins that cannot be read.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Transactions are missing between two that are there.
    #[error("{} goes on with zxid {found}, but what is there before it ends with {after}", path.display())]
    Gap {
        /// The log that goes on.
        path: PathBuf,
        /// The last transaction before the gap.
        after: Zxid,
        /// The first one behind it.
        found: Zxid,
    },
    /// There are snapshots, and none of them can be read.
    #[error("no valid snapshot in {}; the newest: {reason}", dir.display())]
    NoValidSnapshot {
        /// Where.
        dir: PathBuf,
        /// What is wrong with the newest.
        reason: String,
    },
    /// There is a log, but no snapshot that it could continue (ZOOKEEPER-3781).
    #[error("there is a transaction log but no snapshot in {}", dir.display())]
    NoSnapshot {
        /// Where the snapshots should be.
        dir: PathBuf,
    },
    /// There is nothing, and `db.autocreate` forbids to begin with nothing.
    #[error("there is neither a snapshot nor a file 'initialize', and db.autocreate is false")]
    NotInitialized,
    /// Another server uses the directory, in this process or in another: one that is only
    /// stopped keeps it until it is dropped.
    #[error("{} is in use by another server", dir.display())]
    InUse {
        /// Which directory.
        dir: PathBuf,
    },
    /// A file that lies where its kind must not lie, if logs and snapshots have
    /// directories of their own.
    #[error("{} does not belong there: logs and snapshots have directories of their own", path.display())]
    Misplaced {
        /// Which file.
        path: PathBuf,
    },
    /// The epoch that was promised is older than the one that was entered, which a server
    /// never writes.
    #[error("acceptedEpoch is {accepted}, less than currentEpoch, {current}")]
    Epochs {
        /// `acceptedEpoch`.
        accepted: i64,
        /// `currentEpoch`.
        current: i64,
    },
    /// The `zoo.cfg` cannot be rewritten for a new configuration.
    #[error("{} cannot be rewritten: {reason}", path.display())]
    ZooCfg {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A small file, of an epoch or of the server's id, holds something else.
    #[error("{} does not hold a number: {text:?}", path.display())]
    NotANumber {
        /// Which file.
        path: PathBuf,
        /// What it begins with.
        text: String,
    },
}

impl StorageError {
    pub(crate) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            offset,
            reason: reason.to_string(),
        }
    }
}
