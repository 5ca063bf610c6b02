//! Whether to look for an answer again at once, or to sleep until it comes.
//!
//! Going to sleep and being woken costs a thread tens of microseconds, as much as
//! the whole round trip to a server nearby. So while few answers are due and they
//! have come quickly of late, the driver keeps looking for a moment instead, and
//! lets every other task of the runtime run in between.

use std::time::Duration;

use zk_env::Mono;

/// More answers than this are due only when many calls are made at once. Then
/// sleeping lets several of them come together, which costs less for each.
const MAX_AWAITED: usize = 4;
/// However often looking was in vain, it is tried again after 2¹⁰ waits: by then
/// it costs a thousandth of the limit per wait.
const MAX_MISSES: u32 = 10;
/// The end of looking in a wait that is slept through.
const ASLEEP: Mono = Mono::ZERO;

/// Learns from how the last waits went.
#[derive(Debug)]
pub(super) struct BusyPoll {
    limit: Duration,
    /// Until when this wait goes on looking; absent between waits.
    until: Option<Mono>,
    /// Waits in a row that ended without an answer; each quick one halves it.
    misses: u32,
    /// Waits that are slept through before the next try.
    skip: u32,
}

impl BusyPoll {
    /// Looks for no longer than `limit` per wait.
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            until: None,
            misses: 0,
            skip: 0,
        }
    }

    /// Bytes arrived.
    pub(super) fn handle_read(&mut self) {
        if self.until.take().is_some_and(|until| until != ASLEEP) {
            self.misses /= 2;
        }
    }

    /// Nothing is there to be read while `awaited` answers are due: whether to look
    /// again.
    pub(super) fn should_look_again(&mut self, now: Mono, awaited: usize) -> bool {
        if self.limit.is_zero() || awaited == 0 || awaited > MAX_AWAITED {
            self.until = None;
            return false;
        }
        let until = *self.until.get_or_insert_with(|| {
            if self.skip > 0 {
                self.skip -= 1;
                ASLEEP
            } else {
                now + self.limit
            }
        });
        if now < until {
            return true;
        }
        if until != ASLEEP {
            self.misses = (self.misses + 1).min(MAX_MISSES);
            self.skip = 1 << self.misses;
            self.until = Some(ASLEEP);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(100);

    fn at(micros: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(1) + Duration::from_micros(micros))
    }

    /// One wait whose answer comes after `latency`: for how long it looked.
    fn wait(poll: &mut BusyPoll, latency: u64) -> u64 {
        let looked = (0..latency).find(|micros| !poll.should_look_again(at(*micros), 1));
        poll.handle_read();
        looked.unwrap_or(latency)
    }

    #[test]
    fn a_server_nearby_is_looked_for_every_time() {
        let mut poll = BusyPoll::new(LIMIT);
        assert!((0..100).all(|_| wait(&mut poll, 60) == 60));
    }

    #[test]
    fn a_distant_server_is_soon_hardly_ever_looked_for() {
        let mut poll = BusyPoll::new(LIMIT);
        let looked: u64 = (0..10_000).map(|_| wait(&mut poll, 500)).sum();
        assert!((1_000..2_000).contains(&looked), "{looked} µs in vain");
    }

    #[test]
    fn a_server_that_comes_nearer_is_noticed() {
        let mut poll = BusyPoll::new(LIMIT);
        (0..10_000).for_each(|_| {
            wait(&mut poll, 500);
        });
        (0..3_000).for_each(|_| {
            wait(&mut poll, 20);
        });
        assert!((0..100).all(|_| wait(&mut poll, 20) == 20));
    }

    #[test]
    fn many_awaited_answers_are_slept_for() {
        let mut poll = BusyPoll::new(LIMIT);
        assert!(!poll.should_look_again(at(0), MAX_AWAITED + 1));
        assert!(!poll.should_look_again(at(0), 0));
        assert!(poll.should_look_again(at(0), MAX_AWAITED));
    }

    #[test]
    fn a_limit_of_zero_turns_it_off() {
        let mut poll = BusyPoll::new(Duration::ZERO);
        assert!(!poll.should_look_again(at(0), 1));
    }
}
