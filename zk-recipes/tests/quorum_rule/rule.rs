//! The rule as it ships, and weaker ones.

use std::time::Duration;

use zk_env::Boot;

use crate::proof::QuorumRule;

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Shipped,
    OneWrite,
    TwoWrites,
    NoPause,
    /// A pause as long as a ping interval, not longer.
    PauseOfOnePing,
    PauseFromSending,
    ValidFromAnswer,
}

/// What a client that follows the rule knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Before the answer to the first write, the create.
    Fresh(Kind),
    Shipped(QuorumRule),
    Weaker(Weaker),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Weaker {
    timeout: u8,
    /// Writes a proof takes.
    writes: u8,
    pause: u8,
    pause_from_sending: bool,
    valid_from_answer: bool,
    /// Writes answered towards the next proof.
    answered: u8,
    first: (u8, u8),
    last: (u8, u8),
    valid_until: u8,
}

fn boot(at: u8) -> Boot {
    Boot::from_origin(Duration::from_secs(at.into()))
}

impl Rule {
    /// After the create.
    fn new(kind: Kind, timeout: u8, sent: u8, answered: u8) -> Self {
        if kind == Kind::Shipped {
            let timeout = Duration::from_secs(timeout.into());
            return Self::Shipped(QuorumRule::new(timeout, boot(sent), boot(answered)));
        }
        let mut weaker = Weaker {
            timeout,
            writes: match kind {
                Kind::OneWrite => 1,
                Kind::TwoWrites => 2,
                _ => 3,
            },
            pause: match kind {
                Kind::NoPause => 0,
                Kind::PauseOfOnePing => timeout / 4,
                _ => timeout.div_ceil(3),
            },
            pause_from_sending: kind == Kind::PauseFromSending,
            valid_from_answer: kind == Kind::ValidFromAnswer,
            answered: 0,
            first: (0, 0),
            last: (0, 0),
            valid_until: 0,
        };
        weaker.handle_answered(sent, answered);
        Self::Weaker(weaker)
    }

    pub(crate) fn may_write(&self, now: u8) -> bool {
        match self {
            Self::Fresh(_) => true,
            Self::Shipped(rule) => boot(now) >= rule.next_write(),
            Self::Weaker(rule) => now >= rule.next_write(),
        }
    }

    pub(crate) fn handle_answered(&mut self, timeout: u8, sent: u8, answered: u8) {
        match self {
            Self::Fresh(kind) => *self = Self::new(*kind, timeout, sent, answered),
            Self::Shipped(rule) => rule.handle_answered(boot(sent), boot(answered)),
            Self::Weaker(rule) => rule.handle_answered(sent, answered),
        }
    }

    /// Whether the client has a proof that is valid at `now`.
    pub(crate) fn is_valid(&self, now: u8) -> bool {
        match self {
            Self::Fresh(_) => false,
            Self::Shipped(rule) => rule.valid_until().is_some_and(|until| boot(now) < until),
            Self::Weaker(rule) => now < rule.valid_until,
        }
    }
}

impl Weaker {
    fn next_write(&self) -> u8 {
        match self.answered {
            1 if self.pause_from_sending => (self.last.0 + self.pause).max(self.last.1),
            1 => self.last.1 + self.pause,
            _ => self.last.1,
        }
    }

    fn handle_answered(&mut self, sent: u8, answered: u8) {
        if self.answered == 0 {
            self.first = (sent, answered);
        }
        self.last = (sent, answered);
        self.answered += 1;
        if self.answered == self.writes {
            let (sent, answered) = self.first;
            let from = if self.valid_from_answer {
                answered
            } else {
                sent
            };
            self.valid_until = self.valid_until.max(from + self.timeout);
            self.answered = u8::from(self.writes > 1);
            self.first = self.last;
        }
    }
}
