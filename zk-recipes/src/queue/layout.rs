//! Where a queue's items and locks are.

use crate::parents::Parents;

/// Whose znodes a queue uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueLayout {
    /// Curator's `DistributedQueue` and its relatives.
    ///
    /// ```text
    /// <path>                         persistent: sequences must not begin anew
    /// <path>/queue-…<sequence>       persistent sequential, data: items in an envelope
    /// <locks>/<name of the item>     ephemeral, of who works on it
    /// ```
    #[default]
    Curator,
    /// kazoo's `Queue`, whose items can be taken at most once. Data: the item.
    ///
    /// ```text
    /// <path>/entry-<priority>-<sequence>     persistent sequential
    /// ```
    Kazoo,
    /// kazoo's `LockingQueue`. Data: the item.
    ///
    /// ```text
    /// <path>/entries/entry-<priority>-<sequence>     persistent sequential
    /// <path>/taken/<name of the item>                ephemeral, of who works on it
    /// ```
    KazooLocking,
}

impl QueueLayout {
    pub(super) fn items(self, path: &str) -> String {
        match self {
            Self::Curator | Self::Kazoo => path.to_owned(),
            Self::KazooLocking => format!("{path}/entries"),
        }
    }

    /// `None` where there are no locks.
    pub(super) fn locks(self, path: &str, chosen: Option<String>) -> Option<String> {
        match self {
            Self::Curator => Some(chosen.unwrap_or_else(|| format!("{path}-locks"))),
            Self::Kazoo => None,
            Self::KazooLocking => Some(format!("{path}/taken")),
        }
    }

    /// What the locks lie in.
    pub(super) const fn parents(self) -> Parents {
        match self {
            Self::Curator => Parents::Reaped,
            Self::Kazoo | Self::KazooLocking => Parents::Lasting,
        }
    }

    pub(super) const fn has_envelope(self) -> bool {
        matches!(self, Self::Curator)
    }
}
