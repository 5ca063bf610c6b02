//! The clock that the run and both servers share.

#![expect(
    clippy::disallowed_methods,
    reason = "the servers' times are judged by the system's clock"
)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(crate) fn wall_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as i64)
}
