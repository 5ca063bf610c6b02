//! The connection's clockwork, with Java's figures.

use std::collections::VecDeque;
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
    pub(super) pings: Pings,
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

/// Pings without an answer yet. On a slow connection there are several, and as they all
/// have the same xid, the place in line alone tells which of them a pong answers.
#[derive(Debug, Default)]
pub(super) struct Pings {
    sent: u64,
    answered: u64,
    /// The numbers of some of them, and when they were sent.
    noted: VecDeque<(u64, Boot)>,
}

impl Pings {
    /// More than are noted on a connection that is of any use.
    const NOTED: usize = 16;

    pub(super) fn sent(&mut self, at: Boot) {
        self.sent += 1;
        if self.noted.len() < Self::NOTED {
            self.noted.push_back((self.sent, at));
        }
    }

    /// A pong has come: when its ping was sent, if that was noted.
    pub(super) fn answered(&mut self) -> Option<Boot> {
        if self.answered == self.sent {
            return None;
        }
        self.answered += 1;
        let (number, at) = *self.noted.front()?;
        (number <= self.answered).then(|| {
            self.noted.pop_front();
            at
        })
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
    fn a_pong_answers_the_first_ping_that_has_no_answer() {
        let at = |ms| Boot::from_origin(Duration::from_millis(ms));
        let mut pings = Pings::default();
        pings.sent(at(1));
        pings.sent(at(2));
        assert_eq!(pings.answered(), Some(at(1)));
        pings.sent(at(3));
        assert_eq!(pings.answered(), Some(at(2)), "not the last one sent");
        assert_eq!(pings.answered(), Some(at(3)));
        assert_eq!(pings.answered(), None, "to nothing");
    }

    #[test]
    fn too_many_pings_cost_no_memory_and_mix_nothing_up() {
        let at = |ms| Boot::from_origin(Duration::from_millis(ms));
        let mut pings = Pings::default();
        for ms in 1..=100 {
            pings.sent(at(ms));
        }
        assert_eq!(pings.noted.len(), Pings::NOTED);
        for ms in 1..=100 {
            let noted = ms <= Pings::NOTED as u64;
            assert_eq!(pings.answered(), noted.then_some(at(ms)), "{ms}");
        }
        pings.sent(at(101));
        assert_eq!(pings.answered(), Some(at(101)));
    }

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
