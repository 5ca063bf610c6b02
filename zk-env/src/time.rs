//! Points in time and the timer.

use std::ops::{Add, Sub};
use std::task::{Context, Poll};
use std::time::Duration;

macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Duration);

        impl $name {
            /// The clock's origin; only differences carry meaning.
            pub const ZERO: Self = Self(Duration::ZERO);
            /// Further away than any deadline.
            pub const MAX: Self = Self(Duration::MAX);

            /// A point `since_origin` after the clock's origin.
            pub const fn from_origin(since_origin: Duration) -> Self {
                Self(since_origin)
            }

            /// Time since the clock's origin.
            pub const fn since_origin(self) -> Duration {
                self.0
            }

            /// Time since `earlier`, zero if that lies ahead.
            pub const fn since(self, earlier: Self) -> Duration {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl Add<Duration> for $name {
            type Output = Self;
            fn add(self, rhs: Duration) -> Self {
                Self(self.0.saturating_add(rhs))
            }
        }

        impl Sub<Duration> for $name {
            type Output = Self;
            fn sub(self, rhs: Duration) -> Self {
                Self(self.0.saturating_sub(rhs))
            }
        }
    };
}

instant! {
    /// A reading of the monotonic clock, which may stand still during machine suspend.
    Mono
}

instant! {
    /// A reading of the clock that runs through machine suspend; what leases are measured on.
    Boot
}

/// One deadline at a time. Made once per connection and reset, because boxing a
/// sleep per request costs several times a reset.
pub trait Timer: Send + Unpin + 'static {
    /// Moves the deadline; a deadline in the past is ready at the next poll.
    fn reset(&mut self, deadline: Mono);

    /// Ready once the deadline has passed, and again at every poll after that.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Waits until `deadline`.
///
/// Cancel safe: the deadline stays set.
pub async fn sleep_until(timer: &mut dyn Timer, deadline: Mono) {
    timer.reset(deadline);
    std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn arithmetic_stops_at_both_ends() {
        assert_eq!(Mono::MAX + SECOND, Mono::MAX);
        assert_eq!(Mono::ZERO - SECOND, Mono::ZERO);
        assert_eq!(Boot::ZERO.since(Boot::MAX), Duration::ZERO);
        assert_eq!(Boot::MAX.since(Boot::ZERO), Duration::MAX);
    }

    #[test]
    fn points_are_ordered_and_differ_by_durations() {
        let later = Mono::from_origin(SECOND) + SECOND;
        assert!(later > Mono::ZERO && later < Mono::MAX);
        assert_eq!(later.since(Mono::from_origin(SECOND)), SECOND);
        assert_eq!((later - SECOND).since_origin(), SECOND);
    }
}
