//! What can go wrong, and what the caller may conclude.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use zk_proto::{ConnectStringError, DecodeError, ErrorCode, HostPort, PathError, Zxid};

use crate::sasl::SaslFailure;

/// What became of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect, though its answer could not be read.
    Applied,
    /// It took no effect; sending it again is safe.
    NotApplied,
    /// It may or may not have taken effect: it was sent, and no answer came.
    Unknown,
}

/// Why an operation failed.
///
/// Ask [`outcome`](Self::outcome) what became of it, [`is_retryable`](Self::is_retryable)
/// whether sending it again as it is makes sense, and
/// [`is_session_over`](Self::is_session_over) whether everything tied to the
/// session (ephemerals, one-shot watches) is gone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error. Nothing was changed.
    #[error("{path}: {code}")]
    Server {
        /// Its verdict.
        code: ErrorCode,
        /// The path asked about, as the caller gave it; empty for operations
        /// without one.
        path: Box<str>,
    },
    /// A transaction was refused as a whole: nothing was changed.
    #[error("transaction refused: operation {index} ({path}): {code}")]
    Transaction {
        /// Which of its operations failed, counted from 0.
        index: usize,
        /// Why.
        code: ErrorCode,
        /// That operation's path, as the caller gave it.
        path: Box<str>,
    },
    /// The connection was lost before an answer came.
    #[error("connection lost, {}", describe(*.outcome))]
    ConnectionLost {
        /// `NotApplied` for reads and for what never left the client.
        outcome: Outcome,
    },
    /// No answer within the call's deadline. The connection lives on.
    #[error("no answer within {deadline:?}, {}", describe(*.outcome))]
    DeadlineExceeded {
        /// The deadline, counted from the call.
        deadline: Duration,
        /// `NotApplied` for reads and for what never left the client.
        outcome: Outcome,
    },
    /// The session expired while the call was waiting to be sent. Not applied,
    /// and not carried over into the next session.
    #[error("session expired before the request was sent")]
    EpochEnded,
    /// The client's queue is full. Not applied; `Client::ready` waits for room.
    #[error("queue is full: {limit}")]
    QueueFull {
        /// The bound that was met.
        limit: QueueLimit,
    },
    /// The request is larger than the server accepts, which would cost the connection.
    #[error("{path}: request of {size} bytes is over the limit of {limit}")]
    FrameTooLarge {
        /// The path, as the caller gave it.
        path: Box<str>,
        /// Bytes of the frame.
        size: usize,
        /// Bytes allowed; `ClientBuilder::frame_limit` and the server's `jute.maxbuffer`.
        limit: usize,
    },
    /// The answer is larger than this client accepts, and cost the connection; asking
    /// again would cost the next. A write was applied.
    #[error("{path}: answer of {size} bytes is over the limit of {limit}")]
    ReplyTooLarge {
        /// The path, as the caller gave it.
        path: Box<str>,
        /// Bytes of the answer's frame.
        size: usize,
        /// Bytes allowed; `ClientBuilder::reply_limit`.
        limit: usize,
    },
    /// A path that cannot name a znode; nothing was sent.
    #[error(transparent)]
    InvalidPath(#[from] PathError),
    /// A connect string that cannot be used.
    #[error(transparent)]
    InvalidConnectString(#[from] ConnectStringError),
    /// An argument that no server would accept; nothing was sent.
    #[error("invalid {argument}: {reason}")]
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// The connected server lacks the operation, and there is no substitute.
    #[error("the server does not know the operation {operation}")]
    Unsupported {
        /// The operation's name.
        operation: &'static str,
    },
    /// A write, or sync, while the only server within reach is read-only. Not applied.
    #[error("connected to a read-only server")]
    ReadOnly,
    /// The server's answer could not be read. If it answered a write, the write
    /// was applied.
    #[error("unreadable answer: {0}")]
    BadReply(#[from] DecodeError),
    /// The session expired and the client was told not to open another. Terminal.
    #[error("session expired")]
    SessionExpired,
    /// The ensemble has lost transactions that this session has seen: it was wiped,
    /// restored from an old copy or replaced, and no server will have the session
    /// again. Terminal: another client starts anew, with whatever the ensemble has.
    ///
    /// Concluded only when for a session timeout and three full rounds every server
    /// did nothing but refuse the session, and then every one of them answered the
    /// four-letter word `srvr`, which no whitelist of Apache's can forbid, that it
    /// serves and is behind. While a server is out of reach or does not serve, the
    /// client goes on trying.
    #[error("the ensemble has transactions up to {newest} only, this session has seen {seen}")]
    EnsembleRegressed {
        /// The newest transaction this session has seen.
        seen: Zxid,
        /// The newest that any server has.
        newest: Zxid,
    },
    /// The server refused the client's credentials. Terminal.
    #[error("authentication failed")]
    AuthFailed,
    /// SASL failed, and nothing was sent without it. Terminal.
    #[error("SASL failed: {0}")]
    SaslFailed(SaslFailure),
    /// The client was closed. Terminal.
    #[error("client is closed")]
    Closed,
}

/// A bound of the client's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// Requests waiting to be sent.
    Requests(usize),
    /// Bytes waiting to be sent.
    Bytes(usize),
}

impl fmt::Display for QueueLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(limit) => write!(f, "{limit} requests"),
            Self::Bytes(limit) => write!(f, "{limit} bytes"),
        }
    }
}

const fn describe(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "the request was applied",
        Outcome::NotApplied => "the request was not applied",
        Outcome::Unknown => "the request may or may not have been applied",
    }
}

impl Error {
    /// The server's verdict, if it gave one.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Server { code, .. } | Self::Transaction { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What became of the request.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::ConnectionLost { outcome } | Self::DeadlineExceeded { outcome, .. } => *outcome,
            Self::BadReply(_) | Self::ReplyTooLarge { .. } => Outcome::Applied,
            Self::Server { .. }
            | Self::Transaction { .. }
            | Self::EpochEnded
            | Self::QueueFull { .. }
            | Self::FrameTooLarge { .. }
            | Self::InvalidPath(_)
            | Self::InvalidConnectString(_)
            | Self::InvalidArgument { .. }
            | Self::Unsupported { .. }
            | Self::ReadOnly
            | Self::SessionExpired
            | Self::EnsembleRegressed { .. }
            | Self::AuthFailed
            | Self::SaslFailed(_)
            | Self::Closed => Outcome::NotApplied,
        }
    }

    /// Whether a write may or may not have taken effect.
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(self.outcome(), Outcome::Unknown)
    }

    /// Whether the same request, sent again, can be expected to do what the first
    /// one did not: it was not applied, and only the circumstances were against
    /// it. Never true when the outcome is unknown.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::ConnectionLost { outcome } | Self::DeadlineExceeded { outcome, .. } => {
                matches!(outcome, Outcome::NotApplied)
            }
            Self::QueueFull { .. } | Self::EpochEnded | Self::ReadOnly => true,
            Self::Server { code, .. } => {
                matches!(
                    code,
                    ErrorCode::ThrottledOp
                        | ErrorCode::SessionMoved
                        | ErrorCode::ReconfigInProgress
                )
            }
            _ => false,
        }
    }

    /// Whether the session the call belonged to is over, and its ephemerals and
    /// one-shot watches with it. The client may be opening a new one.
    pub const fn is_session_over(&self) -> bool {
        match self {
            Self::EpochEnded
            | Self::SessionExpired
            | Self::EnsembleRegressed { .. }
            | Self::AuthFailed
            | Self::SaslFailed(_)
            | Self::Closed => true,
            Self::Server { code, .. } | Self::Transaction { code, .. } => {
                matches!(code, ErrorCode::SessionExpired | ErrorCode::UnknownSession)
            }
            _ => false,
        }
    }

    /// The same, for a call that is known to have taken effect.
    pub(crate) fn after_effect(self) -> Self {
        let outcome = Outcome::Applied;
        match self {
            Self::DeadlineExceeded { deadline, .. } => Self::DeadlineExceeded { deadline, outcome },
            Self::BadReply(_) => self,
            _ => Self::ConnectionLost { outcome },
        }
    }

    /// Names the path that only the caller's side knows.
    pub(crate) fn about(self, asked: &str) -> Self {
        match self {
            Self::ReplyTooLarge { size, limit, .. } => Self::ReplyTooLarge {
                path: asked.into(),
                size,
                limit,
            },
            other => other,
        }
    }

    pub(crate) fn invalid(argument: &'static str, reason: impl Into<Box<str>>) -> Self {
        Self::InvalidArgument {
            argument,
            reason: reason.into(),
        }
    }
}

/// Why no session could be had.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration cannot be used; nothing was tried.
    #[error(transparent)]
    Invalid(Error),
    /// No server gave a session in time.
    #[error("no session within {deadline:?}{}", list(.attempts))]
    NoServer {
        /// The connect deadline.
        deadline: Duration,
        /// What each server last answered, in the order they were tried.
        attempts: Vec<Attempt>,
    },
    /// A server answered that the session to resume is gone.
    #[error("the session to resume has expired")]
    SessionExpired,
    /// A server refused the credentials.
    #[error("authentication failed")]
    AuthFailed,
    /// SASL failed.
    #[error("SASL failed: {0}")]
    SaslFailed(SaslFailure),
}

/// What came of trying one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The server, as configured.
    pub host: HostPort,
    /// What happened.
    pub reason: String,
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().fold(String::new(), |mut text, attempt| {
        text.push_str(if text.is_empty() { ": " } else { "; " });
        text.push_str(&format!("{}: {}", attempt.host, attempt.reason));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_applied_is_retryable() {
        let lost = |outcome| Error::ConnectionLost { outcome };
        assert!(lost(Outcome::NotApplied).is_retryable());
        assert!(!lost(Outcome::Unknown).is_retryable());
        assert!(lost(Outcome::Unknown).is_outcome_unknown());
        assert!(
            !Error::Server {
                code: ErrorCode::NoNode,
                path: "/a".into()
            }
            .is_retryable()
        );
        assert!(Error::EpochEnded.is_retryable() && Error::EpochEnded.is_session_over());
    }

    #[test]
    fn what_has_taken_effect_stays_applied_whatever_comes_after() {
        let deadline = Duration::from_secs(1);
        let late = Error::DeadlineExceeded {
            deadline,
            outcome: Outcome::NotApplied,
        };
        let errors = [late, Error::EpochEnded, Error::Closed, Error::AuthFailed];
        for error in errors {
            let after = error.after_effect();
            assert_eq!(after.outcome(), Outcome::Applied);
            assert!(!after.is_retryable());
        }
    }

    #[test]
    fn errors_say_what_to_conclude() {
        let lost = Error::ConnectionLost {
            outcome: Outcome::Unknown,
        };
        assert_eq!(
            lost.to_string(),
            "connection lost, the request may or may not have been applied"
        );
        let none = ConnectError::NoServer {
            deadline: Duration::from_secs(3),
            attempts: vec![Attempt {
                host: "a:1".parse().unwrap(),
                reason: "refused".into(),
            }],
        };
        assert_eq!(none.to_string(), "no session within 3s: a:1: refused");
    }
}
