//! What can go wrong before a server serves, and what ends it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::storage::StorageError;

/// A configuration that cannot be served with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside what its key allows.
    #[error("{key} is {value}, allowed: {allowed}")]
    Value {
        /// The key, in Apache's spelling.
        key: String,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: String,
    },
    /// A key that must be there is not.
    #[error("{key} is missing, it is needed for {purpose}")]
    Missing {
        /// The key, in Apache's spelling.
        key: String,
        /// What it is needed for.
        purpose: String,
    },
    /// The keys ask for something this server does not do.
    #[error("{key}: {reason}")]
    Unsupported {
        /// The key, in Apache's spelling.
        key: String,
        /// What is not done, and what is.
        reason: String,
    },
    /// A file that another one names, or that has to be beside it, cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// Something about a file that another one names.
    #[error("{file}: {error}")]
    InFile {
        /// Its path.
        file: String,
        /// What is wrong there.
        error: Box<Self>,
    },
    /// The file itself cannot be read as properties.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

impl ConfigError {
    pub(crate) fn value(
        key: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Value {
            key: key.into(),
            value: value.into(),
            allowed: allowed.into(),
        }
    }

    /// The same, about a file that another one names.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        Self::InFile {
            file: file.display().to_string(),
            error: Box::new(self),
        }
    }
}

/// Why a server does not run.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot be served with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client port could not be had.
    #[error("cannot listen: {source}")]
    Bind {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// What is stored cannot be used, or the disk failed while the server ran: it serves
    /// nobody any more, and what it has acknowledged is stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server has panicked, which is a bug of its own, and serves nobody any more:
    /// half of a change may have been made. Start another.
    #[error("the server panicked while {stage}")]
    Failed {
        /// What it was doing.
        stage: &'static str,
    },
    /// An ensemble is not in the state that was waited for.
    #[error("{missing} after {waited:?}: {peers}")]
    Unsettled {
        /// What did not come, such as "no leader".
        missing: String,
        /// How long it was waited for.
        waited: Duration,
        /// What each peer says of itself.
        peers: String,
    },
}
