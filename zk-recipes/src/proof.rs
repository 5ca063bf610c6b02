//! What vouches for an ownership, and for how long: pure.

use std::time::Duration;

use zk_env::Boot;

/// What an ownership is proven by. Every proof counts from the moment a request was *sent*,
/// on the clock that runs through machine suspend.
///
/// **Which one applies.** Unless a recipe is told otherwise, `Quorum` on an ensemble and
/// `Soft` on a single server, which it knows by asking for `/zookeeper/config` once; where the
/// answer is kept from it, `Quorum`. A guard under `Quorum` is `Held` by the soft proof at
/// first, for as long as it takes to come by the first quorum proof: a third of the session
/// timeout and two round trips. [`Ownership::proven`](crate::Ownership::proven) waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// Any answered request, pings included; good for three quarters of the session timeout.
    ///
    /// Exact on a single server. On an ensemble it has a hole: a follower that is cut off from
    /// its leader goes on to answer pings, while the leader, which hears of the session only
    /// through that follower, expires it and gives the ownership away.
    Soft,
    /// Three answered quorum writes that check the owner's znode, each sent after the answer
    /// to the one before, the second at least a third of the timeout after the answer to the
    /// first; good for one session timeout from the sending of the first.
    ///
    /// Until then the server cannot give the ownership away: between the first two answers the
    /// leader has pinged the follower in between and so asked for the session's sign of life,
    /// the third comes to the leader after that. It takes for granted that the session timeout
    /// is at least two ticks (the server's default minimum), that clocks run at the same rate,
    /// and that the client is not behind an observer that follows another learner (observer
    /// masters). Costs two small writes per guard and third of the timeout.
    Quorum,
}

/// Of the session timeout, what a soft proof is good for.
pub(crate) fn soft_validity(timeout: Duration) -> Duration {
    timeout * 3 / 4
}

/// The quorum rule: when to write, and what the answers are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QuorumRule {
    timeout: Duration,
    stage: Stage,
    valid_until: Option<Boot>,
    not_before: Boot,
}

/// An answered write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Answered {
    sent: Boot,
    answered: Boot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The first is answered; the second waits for a ping to pass.
    First(Answered),
    /// The second is answered as well.
    Second { first: Answered, second: Answered },
}

impl QuorumRule {
    /// Starts from the answered write that made the owner's znode.
    pub(crate) const fn new(timeout: Duration, sent: Boot, answered: Boot) -> Self {
        Self {
            timeout,
            stage: Stage::First(Answered { sent, answered }),
            valid_until: None,
            not_before: Boot::ZERO,
        }
    }

    /// Up to when the writes so far vouch for the ownership.
    pub(crate) const fn valid_until(&self) -> Option<Boot> {
        self.valid_until
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// After a request that failed: some tries before the proof lapses, and no flood where
    /// none can succeed.
    pub(crate) fn retry_pause(&self) -> Duration {
        self.timeout / 20
    }

    /// When to send the next write; never two at a time.
    pub(crate) fn next_write(&self) -> Boot {
        let due = match self.stage {
            Stage::First(first) => first.answered + self.gap(),
            Stage::Second { second, .. } => second.answered,
        };
        due.max(self.not_before)
    }

    /// More than half a tick, the interval of a leader's pings. A quarter of the timeout would
    /// be exactly that at the smallest timeout, and a ping that is late by a moment would
    /// miss it; a third leaves it a third more.
    fn gap(&self) -> Duration {
        self.timeout / 3
    }

    /// A write that checked the owner's znode was answered.
    pub(crate) fn handle_answered(&mut self, sent: Boot, answered: Boot) {
        let write = Answered { sent, answered };
        self.stage = match self.stage {
            // Too old to be worth anything: starts anew.
            Stage::First(first) | Stage::Second { first, .. } if self.is_over(first, answered) => {
                Stage::First(write)
            }
            Stage::First(first) if sent >= first.answered + self.gap() => Stage::Second {
                first,
                second: write,
            },
            Stage::First(first) => Stage::First(first),
            Stage::Second { first, second } if sent >= second.answered => {
                self.valid_until = self.valid_until.max(Some(first.sent + self.timeout));
                Stage::First(write)
            }
            Stage::Second { first, second } => Stage::Second { first, second },
        };
    }

    fn is_over(&self, first: Answered, now: Boot) -> bool {
        first.sent + self.timeout <= now
    }

    /// A write failed without a verdict.
    pub(crate) fn handle_failed(&mut self, now: Boot) {
        self.not_before = now + self.retry_pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Boot {
        Boot::from_origin(Duration::from_millis(ms))
    }

    /// A timeout of 9 s, the znode created between 1000 and 1010.
    fn rule() -> QuorumRule {
        QuorumRule::new(Duration::from_secs(9), at(1000), at(1010))
    }

    #[test]
    fn three_writes_vouch_from_the_sending_of_the_first() {
        let mut rule = rule();
        assert_eq!(rule.next_write(), at(4010));
        rule.handle_answered(at(4010), at(4020));
        assert_eq!(rule.valid_until(), None);
        assert_eq!(rule.next_write(), at(4020));
        rule.handle_answered(at(4020), at(4030));
        assert_eq!(rule.valid_until(), Some(at(10_000)));
        // The third is the first of the next three.
        assert_eq!(rule.next_write(), at(7030));
        rule.handle_answered(at(7030), at(7040));
        rule.handle_answered(at(7040), at(7050));
        assert_eq!(rule.valid_until(), Some(at(13_020)));
    }

    #[test]
    fn a_write_that_came_too_soon_does_not_count() {
        let mut rule = rule();
        rule.handle_answered(at(4009), at(4020));
        rule.handle_answered(at(4020), at(4030));
        assert_eq!(rule.valid_until(), None);
        rule.handle_answered(at(4029), at(4040));
        assert_eq!(
            rule.valid_until(),
            None,
            "sent before the answer to the second"
        );
        rule.handle_answered(at(4040), at(4050));
        assert_eq!(rule.valid_until(), Some(at(10_000)));
    }

    #[test]
    fn after_a_long_pause_it_starts_anew() {
        let mut rule = rule();
        rule.handle_answered(at(20_000), at(20_010));
        assert_eq!(rule.next_write(), at(23_010));
        rule.handle_answered(at(23_010), at(23_020));
        rule.handle_answered(at(23_020), at(23_030));
        assert_eq!(rule.valid_until(), Some(at(29_000)));
    }

    #[test]
    fn what_failed_is_tried_again_after_a_pause() {
        let mut rule = rule();
        rule.handle_failed(at(4500));
        assert_eq!(rule.next_write(), at(4950));
        rule.handle_answered(at(4950), at(4960));
        assert_eq!(rule.next_write(), at(4960));
    }

    #[test]
    fn a_proof_never_shortens_an_earlier_one() {
        let mut rule = rule();
        rule.handle_answered(at(4010), at(4020));
        rule.handle_answered(at(4020), at(9990));
        assert_eq!(rule.valid_until(), Some(at(10_000)));
        rule.handle_answered(at(12_990), at(12_995));
        rule.handle_answered(at(12_995), at(12_999));
        assert_eq!(rule.valid_until(), Some(at(13_020)));
    }
}
