//! Simulated time, which all hosts share and none can read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

/// How much simulated time has passed since the simulation began.
#[derive(Debug)]
pub(crate) struct TrueTime {
    origin: Instant,
    /// The last reading, in nanoseconds: what readers outside the runtime see.
    last: AtomicU64,
}

impl TrueTime {
    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            origin,
            last: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        // Outside the runtime only the machine's clock could be read, which
        // would let chance move ours.
        if Handle::try_current().is_err() {
            return Duration::from_nanos(self.last.load(Ordering::Relaxed));
        }
        let now = self.origin.elapsed();
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanos, Ordering::Relaxed);
        now
    }

    /// The runtime's name for that time.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.origin + at
    }
}
