//! The connection's clockwork, with Java's figures.

use std::time::Duration;

use zk_env::{Boot, Mono};

use super::Now;

/// A ping goes out at least this often, however long the session timeout.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(10);
/// Java's allowance for a late ping.
const PING_MARGIN: Duration = Duration::from_secs(1);

/// When things last happened on the connection.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Any byte counts: a large reply on a slow link is no silence.
    pub(super) last_read: Mono,
    /// When a whole frame arrived.
    pub(super) last_frame: Mono,
    /// Sending postpones the next ping, receiving does not.
    pub(super) last_sent: Mono,
    /// When the ping without an answer yet was sent.
    pub(super) ping_sent: Option<Boot>,
    /// By how much the clock that runs through machine suspend was ahead.
    ahead: Option<Duration>,
}

impl Timers {
    pub(super) fn read_deadline(&self, session_timeout: Duration) -> Mono {
        self.last_read + read_timeout(session_timeout)
    }

    /// Whether bytes, but no whole frame, have kept the connection alive longer than
    /// `limit`.
    pub(super) fn is_alive_by_parts(&self, limit: Duration, now: Mono) -> bool {
        self.last_frame + limit <= now && now < self.last_read + limit
    }

    /// How long the machine has been suspended since the last call.
    pub(super) fn note_suspend(&mut self, now: Now) -> Duration {
        let (boot, mono) = (now.boot.since_origin(), now.mono.since_origin());
        let ahead = boot.saturating_sub(mono);
        let before = self.ahead.replace(ahead).unwrap_or(ahead);
        ahead.saturating_sub(before)
    }

    pub(super) fn ping_due(&self, session_timeout: Duration) -> Mono {
        self.last_sent + ping_interval(session_timeout)
    }
}

/// How long a server may be silent: leaves a third of the session to find another.
pub(super) fn read_timeout(session_timeout: Duration) -> Duration {
    session_timeout * 2 / 3
}

fn ping_interval(session_timeout: Duration) -> Duration {
    let half = read_timeout(session_timeout) / 2;
    let interval = if half <= PING_MARGIN {
        half
    } else {
        (half - PING_MARGIN).max(PING_MARGIN)
    };
    interval.min(MAX_PING_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_follow_javas_schedule() {
        let ms = Duration::from_millis;
        assert_eq!(ping_interval(ms(300)), ms(100));
        assert_eq!(ping_interval(ms(3_000)), ms(1_000));
        assert_eq!(ping_interval(ms(4_500)), ms(1_000));
        assert_eq!(ping_interval(ms(9_000)), ms(2_000));
        assert_eq!(ping_interval(ms(60_000)), ms(10_000));
        assert_eq!(read_timeout(ms(9_000)), ms(6_000));
    }
}
