//! What can go wrong, and what the caller may conclude.

use std::time::Duration;

use thiserror::Error;

use crate::ownership::Why;

/// Why a recipe failed. Whatever failed to be acquired leaves no znode behind once the
/// client's guaranteed deletes have settled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation failed in a way that waiting does not cure: no permission, a closed
    /// client, an answer too large. Nothing is owned.
    #[error(transparent)]
    Client(#[from] zk_client::Error),
    /// It did not become this contender's turn in time. Nothing is owned; trying again
    /// starts at the end of the line.
    #[error("not acquired within {deadline:?}")]
    DeadlineExceeded {
        /// The time allowed.
        deadline: Duration,
    },
    /// The session expired while waiting, and with it the place in line. Nothing is owned;
    /// trying again starts at the end of the line, in the client's next session.
    #[error("session expired while waiting")]
    EpochEnded,
    /// The own znode was deleted by somebody else while it waited in line. Nothing is owned.
    #[error("{path}: the znode that waited in line was deleted by somebody else")]
    Removed {
        /// The znode that was.
        path: Box<str>,
    },
    /// The ownership is lost: the server refused a guarded transaction because the owner's
    /// znode is gone. Nothing was changed, and nothing guarded by it ever will be: stop
    /// the work and acquire anew.
    #[error("fenced: the owner's znode {path} is gone, nothing was changed")]
    Fenced {
        /// The znode that was.
        path: Box<str>,
    },
    /// The ownership had ended before it was released; what was done under it lately may
    /// have overlapped with the next owner unless it was guarded.
    #[error("ownership was lost before it was released: {0}")]
    Lost(Why),
    /// The parent's sequence numbers are used up, and it did not become empty in time to be
    /// made anew. Nothing is owned. Delete the parent when nobody uses it.
    #[error("{path}: sequence numbers are used up, and the znode was not empty within {waited:?}")]
    SequenceExhausted {
        /// The parent of the contenders.
        path: Box<str>,
        /// The time allowed.
        waited: Duration,
    },
    /// What is watched has more znodes than allowed. Watching has ended: raise the limit, or
    /// watch less.
    #[error("{path}: more than {limit} znodes to watch")]
    TooManyZnodes {
        /// What is watched.
        path: Box<str>,
        /// The znodes allowed.
        limit: usize,
    },
    /// A document that cannot be read, or written. Nothing was changed.
    #[error("{path}: bad document: {reason}")]
    BadDocument {
        /// Where it is.
        path: Box<str>,
        /// What is wrong with it, as the format's functions say.
        reason: Box<str>,
    },
    /// The queue holds as many items as it may. Nothing was added.
    #[error("{path}: the queue holds {limit} items already")]
    QueueFull {
        /// The queue.
        path: Box<str>,
        /// The items allowed.
        limit: usize,
    },
    /// The name is taken by a znode that is not ours. Nothing was changed.
    #[error("{path}: the name is taken by somebody else")]
    NameTaken {
        /// The znode.
        path: Box<str>,
    },
    /// The leadership was not handed over, and goes on.
    #[error("not handed over to {to}: {reason}")]
    HandoverRefused {
        /// The participant that was to lead.
        to: Box<str>,
        /// What is in the way.
        reason: &'static str,
    },
    /// An argument that cannot be used; nothing was sent.
    #[error("invalid {argument}: {reason}")]
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        reason: Box<str>,
    },
}

impl Error {
    pub(crate) fn invalid(argument: &'static str, reason: impl Into<Box<str>>) -> Self {
        Self::InvalidArgument {
            argument,
            reason: reason.into(),
        }
    }

    /// What a call's failure means for whoever waits in line.
    pub(crate) fn while_waiting(error: zk_client::Error) -> Self {
        let is_expiry = match &error {
            zk_client::Error::EpochEnded => true,
            // The rest of those after which a session is over end the client, too.
            _ => error.is_session_over() && error.code().is_some(),
        };
        if is_expiry {
            return Self::EpochEnded;
        }
        Self::Client(error)
    }

    /// Whether trying again, as it is, can succeed: only circumstances were against it.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::DeadlineExceeded { .. }
            | Self::EpochEnded
            | Self::Removed { .. }
            | Self::QueueFull { .. } => true,
            Self::Client(error) => error.is_retryable() || error.is_outcome_unknown(),
            Self::Fenced { .. }
            | Self::Lost(_)
            | Self::SequenceExhausted { .. }
            | Self::TooManyZnodes { .. }
            | Self::BadDocument { .. }
            | Self::NameTaken { .. }
            | Self::HandoverRefused { .. }
            | Self::InvalidArgument { .. } => false,
        }
    }

    /// Whether an ownership that was held is gone.
    pub const fn is_ownership_over(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Lost(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_fenced_is_over_and_not_retryable() {
        let fenced = Error::Fenced {
            path: "/l/1".into(),
        };
        assert!(fenced.is_ownership_over() && !fenced.is_retryable());
        assert_eq!(
            fenced.to_string(),
            "fenced: the owner's znode /l/1 is gone, nothing was changed"
        );
        let late = Error::DeadlineExceeded {
            deadline: Duration::from_secs(1),
        };
        assert!(late.is_retryable() && !late.is_ownership_over());
        assert!(!Error::Client(zk_client::Error::Closed).is_retryable());
    }
}
