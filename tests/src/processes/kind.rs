//! What a peer's process runs.

use std::fmt;
use std::str::FromStr;

/// The release of a Java peer of which no other is asked for.
const BASELINE: &str = "3.9.5";

/// What a peer's process runs: `java`, `java:3.8.6` or `rust`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Apache ZooKeeper, this release.
    Java(String),
    /// The bundled server.
    Rust,
}

impl Kind {
    /// Whether it is Apache's, of whichever release.
    pub const fn is_java(&self) -> bool {
        matches!(self, Self::Java(_))
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "rust" => Ok(Self::Rust),
            None if text == "java" => Ok(Self::Java(BASELINE.to_owned())),
            Some(("java", version)) => Ok(Self::Java(version.to_owned())),
            _ => Err(format!(
                "neither `java`, nor `java:VERSION`, nor `rust`: {text:?}"
            )),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Java(version) => write!(f, "java:{version}"),
            Self::Rust => f.write_str("rust"),
        }
    }
}
