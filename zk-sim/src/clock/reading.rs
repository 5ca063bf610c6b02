//! What the clocks of one host show at a given simulated time.

use std::time::{Duration, SystemTime};

use zk_env::{Boot, Mono};

/// What the wall clock shows when the simulation begins: 2020-01-01 00:00 UTC.
const WALL_ORIGIN: Duration = Duration::from_secs(1_577_836_800);

/// The rate of a clock that is right.
pub(crate) const TRUE_RATE: u32 = 1000;

/// The clocks since the last time that something changed about them. Pure: the
/// simulated time comes in.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The simulated time of the last change, and what the clocks showed then.
    base: Duration,
    mono: Duration,
    boot: Duration,
    /// By how much the wall clock is off, in milliseconds.
    wall_ms: i64,
    /// Thousandths of a second that pass here in a second.
    rate: u32,
    /// The monotonic clock stands still as long as one of these lasts.
    suspends: u32,
}

impl Reading {
    pub(crate) fn new() -> Self {
        Self {
            base: Duration::ZERO,
            mono: Duration::ZERO,
            boot: Duration::ZERO,
            wall_ms: 0,
            rate: TRUE_RATE,
            suspends: 0,
        }
    }

    /// How far the host's oscillator got since the last change.
    fn passed(&self, at: Duration) -> Duration {
        let since = at.saturating_sub(self.base);
        if self.rate == TRUE_RATE {
            return since;
        }
        nanos(since.as_nanos() * u128::from(self.rate) / u128::from(TRUE_RATE))
    }

    pub(crate) fn mono(&self, at: Duration) -> Mono {
        let passed = match self.suspends {
            0 => self.passed(at),
            _ => Duration::ZERO,
        };
        Mono::from_origin(self.mono.saturating_add(passed))
    }

    pub(crate) fn boot(&self, at: Duration) -> Boot {
        Boot::from_origin(self.boot.saturating_add(self.passed(at)))
    }

    pub(crate) fn wall(&self, at: Duration) -> SystemTime {
        let right = SystemTime::UNIX_EPOCH + WALL_ORIGIN + self.boot(at).since_origin();
        let off = Duration::from_millis(self.wall_ms.unsigned_abs());
        let shown = if self.wall_ms < 0 {
            right.checked_sub(off)
        } else {
            right.checked_add(off)
        };
        let epoch = SystemTime::UNIX_EPOCH;
        shown.map_or(epoch, |shown| shown.max(epoch))
    }

    /// The earliest simulated time, from `at` on, at which the monotonic clock shows
    /// `deadline`, if nothing changes until then. `None` while it stands still.
    pub(crate) fn when(&self, deadline: Mono, at: Duration) -> Option<Duration> {
        let missing = deadline.since_origin().checked_sub(self.mono);
        let Some(missing) = missing.filter(|missing| !missing.is_zero()) else {
            return Some(at);
        };
        if self.suspends > 0 {
            return None;
        }
        let rate = u128::from(self.rate);
        let needed = (missing.as_nanos() * u128::from(TRUE_RATE)).div_ceil(rate);
        Some(self.base.saturating_add(nanos(needed)).max(at))
    }

    /// Lets what comes now apply from `at` on.
    fn settle(&mut self, at: Duration) {
        self.mono = self.mono(at).since_origin();
        self.boot = self.boot(at).since_origin();
        self.base = at;
    }

    pub(crate) fn set_rate(&mut self, at: Duration, permille: u32) {
        self.settle(at);
        self.rate = permille.max(1);
    }

    pub(crate) fn suspend(&mut self, at: Duration) {
        self.settle(at);
        self.suspends += 1;
    }

    pub(crate) fn wake(&mut self, at: Duration) {
        self.settle(at);
        self.suspends = self.suspends.saturating_sub(1);
    }

    /// All clocks go ahead at once.
    pub(crate) fn jump(&mut self, by: Duration) {
        self.mono = self.mono.saturating_add(by);
        self.boot = self.boot.saturating_add(by);
    }

    /// Boot and wall clock go ahead at once.
    pub(crate) fn jump_boot(&mut self, by: Duration) {
        self.boot = self.boot.saturating_add(by);
    }

    pub(crate) fn jump_wall(&mut self, ms: i64) {
        self.wall_ms = self.wall_ms.saturating_add(ms);
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_counts_from_its_beginning() {
        let mut reading = Reading::new();
        reading.set_rate(10 * SECOND, 2000);
        assert_eq!(reading.mono(10 * SECOND).since_origin(), 10 * SECOND);
        assert_eq!(reading.boot(12 * SECOND).since_origin(), 14 * SECOND);
        reading.set_rate(12 * SECOND, 500);
        assert_eq!(reading.mono(14 * SECOND).since_origin(), 15 * SECOND);
    }

    #[test]
    fn a_wall_clock_never_shows_a_time_before_the_epoch() {
        let mut reading = Reading::new();
        reading.jump_wall(i64::MIN);
        assert_eq!(reading.wall(SECOND), SystemTime::UNIX_EPOCH);
    }

    proptest! {
        /// A deadline is reached at that time and not a nanosecond before.
        #[test]
        fn when_a_deadline_is_reached_is_exact(
            changes in prop::collection::vec((0u64..5_000_000_000, 0u8..4, 1u32..5000), 0..6),
            ahead in 1u64..20_000_000_000,
        ) {
            let mut reading = Reading::new();
            let mut at = Duration::ZERO;
            for (later, what, number) in changes {
                at += Duration::from_nanos(later);
                let before = (reading.mono(at), reading.boot(at));
                match what {
                    0 => reading.set_rate(at, number),
                    1 => reading.suspend(at),
                    2 => reading.wake(at),
                    _ => reading.jump_boot(Duration::from_millis(number.into())),
                }
                prop_assert_eq!(before.0, reading.mono(at));
                prop_assert!(before.1 <= reading.boot(at));
            }
            let deadline = reading.mono(at) + Duration::from_nanos(ahead);
            match reading.when(deadline, at) {
                Some(due) => {
                    prop_assert!(reading.mono(due) >= deadline);
                    prop_assert!(reading.mono(due - Duration::from_nanos(1)) < deadline);
                }
                None => prop_assert_eq!(reading.mono(at + SECOND), reading.mono(at)),
            }
        }
    }
}
