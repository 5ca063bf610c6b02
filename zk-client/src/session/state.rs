//! What a session's user may know of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use zk_env::{Boot, Mono};
use zk_proto::{Password, SessionId, Zxid};

/// Counts the sessions of one client: 1 for the first. Ephemerals, one-shot
/// watches and everything else tied to a session belong to an epoch and end with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub(crate) u64);

impl Epoch {
    /// The epoch as a number; 0 before the first session.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where the session stands.
///
/// Each state carries the epoch, so that even an observer who slept through an
/// expiry sees that the session is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// No session yet.
    Connecting,
    /// Connected, the session is alive.
    Connected {
        /// The session's epoch.
        epoch: Epoch,
    },
    /// Connected to a server cut off from the ensemble: reads only, possibly stale.
    ConnectedReadOnly {
        /// The session's epoch.
        epoch: Epoch,
    },
    /// The connection is lost and the session in doubt. Calls queue.
    Suspended {
        /// The session's epoch.
        epoch: Epoch,
        /// Up to here, on the clock that runs through machine suspend, the last
        /// answered request vouches for the session (three quarters of its
        /// timeout). The server alone knows when it really expires.
        until: Boot,
    },
    /// The server said that the session is gone, ephemerals and one-shot watches
    /// with it. A new one is being opened, unless that was ruled out. Terminal if
    /// the whole ensemble has lost what the session had seen: calls then fail with
    /// [`Error::EnsembleRegressed`](crate::Error::EnsembleRegressed).
    Expired {
        /// The epoch that ended.
        epoch: Epoch,
    },
    /// The server refused the credentials. Terminal.
    AuthFailed,
    /// The client was closed. Terminal.
    Closed,
}

impl SessionState {
    /// Whether requests are being sent.
    pub const fn is_connected(&self) -> bool {
        matches!(
            self,
            Self::Connected { .. } | Self::ConnectedReadOnly { .. }
        )
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected { .. } => "connected",
            Self::ConnectedReadOnly { .. } => "connected read-only",
            Self::Suspended { .. } => "suspended",
            Self::Expired { .. } => "expired",
            Self::AuthFailed => "auth failed",
            Self::Closed => "closed",
        }
    }
}

/// Who the client is to the ensemble.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: SessionId,
    pub(crate) password: Password,
    /// Negotiated; before that, the one asked for.
    pub(crate) timeout: Duration,
    pub(crate) epoch: Epoch,
    /// The newest transaction seen; a server that is behind is refused.
    pub(crate) last_zxid: Zxid,
    /// A read-only server made the id up, so no other one knows it.
    pub(crate) is_makeshift: bool,
    /// When the last answered request was sent: the soft proof of life.
    pub(crate) proof: Option<Boot>,
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) mono: Mono,
    pub(crate) boot: Boot,
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Cause {
    #[error("the server closed the connection")]
    ClosedByServer,
    #[error("{0}")]
    Io(String),
    #[error("nothing heard for {0:?}")]
    ReadTimeout(Duration),
    #[error("no answer to the handshake")]
    HandshakeTimeout,
    #[error("unreadable bytes from the server: {0}")]
    BadBytes(String),
    #[error(
        "the server speaks TLS here: see ClientBuilder::tls (feature `tls`), or use its port for plain text (clientPort)"
    )]
    SpeaksTls,
    #[error("a reply out of order")]
    OutOfOrder,
    #[error("the server is behind what this session has seen")]
    ServerBehind,
    #[error("the server refused to restore the watches")]
    WatchesRefused,
    #[error("the session has expired")]
    Expired,
    #[error("the server does not know an operation and closes")]
    OperationUnknown,
    #[error("the list of servers changed")]
    Rebalanced,
    #[error("a read-write server was found")]
    ReadWriteFound,
    #[error("the client was closed")]
    Closed,
}

impl Cause {
    /// Whether the client chose to leave and calls that were not sent may wait for
    /// the next connection.
    pub(crate) const fn is_planned(&self) -> bool {
        matches!(
            self,
            Self::OperationUnknown | Self::Rebalanced | Self::ReadWriteFound
        )
    }

    /// What a simulator's report calls it, where it is worth a line.
    pub(super) const fn place(&self) -> Option<&'static str> {
        match self {
            Self::ReadTimeout(_) => Some("client: connection dropped by read timeout"),
            Self::HandshakeTimeout => Some("client: handshake timed out"),
            Self::BadBytes(_) | Self::SpeaksTls => Some("client: unreadable bytes"),
            Self::WatchesRefused => Some("client: watches refused"),
            Self::OperationUnknown => Some("client: operation unknown to the server"),
            Self::Rebalanced => Some("client: moved to another server of the list"),
            Self::ReadWriteFound => Some("client: left a read-only server"),
            Self::ClosedByServer
            | Self::Io(_)
            | Self::OutOfOrder
            | Self::ServerBehind
            | Self::Expired
            | Self::Closed => None,
        }
    }

    /// For metrics.
    #[cfg(feature = "metrics")]
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::ClosedByServer => "closed_by_server",
            Self::Io(_) => "io",
            Self::ReadTimeout(_) => "read_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::BadBytes(_) | Self::SpeaksTls => "bad_bytes",
            Self::OutOfOrder => "out_of_order",
            Self::ServerBehind => "server_behind",
            Self::WatchesRefused => "watches_refused",
            Self::Expired => "expired",
            Self::OperationUnknown => "operation_unknown",
            Self::Rebalanced => "rebalanced",
            Self::ReadWriteFound => "read_write_found",
            Self::Closed => "closed",
        }
    }
}

/// What the session knows of the connection it has.
#[derive(Debug)]
pub(crate) enum Phase {
    /// None.
    Down,
    /// ConnectRequest is on its way; nothing else may be sent, lest a reset destroys
    /// an unread "expired".
    Handshake {
        server: SocketAddr,
        deadline: Mono,
        sent_at: Boot,
    },
    /// SASL is under way; nothing else may be sent.
    Sasl(super::sasl::SaslRound),
    /// Credentials are on their way; nothing may be sent unauthenticated.
    Authenticating {
        server: SocketAddr,
        deadline: Mono,
        left: usize,
        is_read_only: bool,
    },
    /// Requests flow.
    Serving {
        server: SocketAddr,
        is_read_only: bool,
    },
    /// The client is terminal.
    Over,
}
