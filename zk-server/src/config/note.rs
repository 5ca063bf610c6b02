//! What a configuration's reader should know.

use std::fmt;

/// Something in a `zoo.cfg` that does not do what its author may expect, and does
/// not keep the server from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigNote {
    /// A key that nobody knows: a typing error, or a JVM property.
    Unknown {
        /// As it is written in the file.
        key: String,
    },
    /// One of Apache's keys that changes nothing here.
    NoEffect {
        /// As it is written in the file.
        key: String,
        /// Why not.
        reason: &'static str,
    },
}

impl fmt::Display for ConfigNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key } => write!(f, "unknown key {key}, ignored"),
            Self::NoEffect { key, reason } => write!(f, "{key} has no effect: {reason}"),
        }
    }
}
