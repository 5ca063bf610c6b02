//! Pauses that double from one attempt to the next, with jitter.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use zk_env::EnvRng;

/// The first pause and the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackoffLimits {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// Which pause comes next.
#[derive(Debug)]
pub(crate) struct Schedule {
    doubling: ExponentialBackoff,
}

impl Schedule {
    /// The doubling alone is the library's; jitter and deadlines are ours, from the
    /// seam.
    pub(crate) fn new(limits: BackoffLimits) -> Self {
        let doubling = ExponentialBackoff {
            current_interval: limits.min,
            initial_interval: limits.min,
            max_interval: limits.max,
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { doubling }
    }

    /// The next pause: full jitter above its half.
    pub(crate) fn next_pause(&mut self, rng: &mut EnvRng) -> Duration {
        let longest = self.doubling.max_interval;
        let interval = self.doubling.next_backoff().unwrap_or(longest);
        interval.mul_f64(0.5 + rng.fraction() / 2.0)
    }

    /// Whether the pauses have become as long as they get.
    pub(crate) fn is_at_longest(&self) -> bool {
        self.doubling.current_interval >= self.doubling.max_interval
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.doubling.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(2));
        let mut schedule = Schedule::new(BackoffLimits { min, max });
        let mut rng = EnvRng::from_seed(1);
        let mut expected = min;
        for _ in 0..10 {
            let pause = schedule.next_pause(&mut rng);
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?}");
            expected = (expected * 2).min(max);
        }
        assert!(schedule.is_at_longest());
        schedule.reset();
        assert!(!schedule.is_at_longest());
        assert!(schedule.next_pause(&mut rng) <= min);
    }
}
