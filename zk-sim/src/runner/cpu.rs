//! What a run costs.

use std::time::Duration;
#[cfg(not(unix))]
use std::time::Instant;

/// Time of the processor that this thread takes; elsewhere than on Unix, time.
/// Nothing in a run depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu(#[cfg(unix)] Duration, #[cfg(not(unix))] Instant);

impl Cpu {
    /// From now on.
    #[cfg(unix)]
    pub(super) fn start() -> Self {
        Self(thread_time())
    }

    /// Taken since the start.
    #[cfg(unix)]
    pub(super) fn taken(self) -> Duration {
        thread_time().saturating_sub(self.0)
    }

    /// From now on.
    #[cfg(not(unix))]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Taken since the start.
    #[cfg(not(unix))]
    pub(super) fn taken(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(unix)]
fn thread_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}
