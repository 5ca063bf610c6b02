//! Logs go to stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Logs what `RUST_LOG` asks for, or else `default`.
pub(crate) fn to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
