//! The seeded generator: what the run does next. It aims: a few names that
//! collide often, versions that are right half of the time, children below
//! containers, watches where something is about to happen.
//!
//! Left out is what the bundled server refuses by design where Apache does as it
//! is told and comes to harm: server-internal operations (−10 and 20) from a
//! client, and create modes that do not fit their operation but pass Apache's
//! checks (create with a container's mode, createContainer with any other valid
//! mode, createTTL with a mode that has no TTL). Mismatches that both refuse are
//! in. What Apache does not stand or leaves to chance is in `harm.rs`.

mod harm;
mod hostile;
mod multis;
mod paths;
mod requests;
mod scenarios;
mod sessions;
mod values;

use std::collections::VecDeque;

use super::dice::Dice;
use super::model::Model;
use super::op::{OBSERVER, Op, Ordinal, Request};
use super::roster::Roster;

/// A session expires at every operation whose index is a multiple of this.
const EXPIRY_EVERY: usize = 1_000;

/// A session without a connection gets one after so many operations, long before
/// it could expire.
const LONGEST_ALONE: usize = 15;

/// Draws before the generator settles for a ping: what is drawn may be
/// impossible just now.
const DRAWS: usize = 100;

const LONGEST_PIPELINE: usize = 5;

/// What the generator may know.
pub(crate) struct View<'a> {
    pub(crate) model: &'a Model,
    pub(crate) roster: &'a Roster,
    /// The newest zxid, as an offset.
    pub(crate) last: i64,
}

impl View<'_> {
    /// Whether the operation is possible as things are, and both servers can only
    /// do one thing about it.
    pub(crate) fn permits(&self, op: &Op) -> bool {
        self.roster.permits(op)
            && !self.model.is_order_open(op)
            && !harm::breaks_statistics(op)
            && !harm::races_for_quota(op, self.model)
    }
}

/// Draws operations from a seed.
pub(crate) struct Generator {
    dice: Dice,
    index: usize,
    /// The rest of a scenario.
    planned: VecDeque<Op>,
}

/// What kind of operation comes next.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Request,
    Pipeline,
    Scenario,
    Open,
    Close,
    Disconnect,
    Resume,
    Visit,
    Hostile,
}

const KINDS: [(usize, Kind); 9] = [
    (8_400, Kind::Request),
    (400, Kind::Pipeline),
    (300, Kind::Scenario),
    (90, Kind::Open),
    (80, Kind::Close),
    (120, Kind::Disconnect),
    (150, Kind::Resume),
    (80, Kind::Visit),
    (150, Kind::Hostile),
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            index: 0,
            planned: VecDeque::new(),
        }
    }

    /// The next operation, which the view permits.
    pub(crate) fn next(&mut self, view: &View<'_>) -> Op {
        let op = self.next_possible(view);
        self.index += 1;
        op
    }

    fn next_possible(&mut self, view: &View<'_>) -> Op {
        for _ in 0..DRAWS {
            let op = self.draw(view);
            if view.permits(&op) {
                return op;
            }
        }
        Op::Request(OBSERVER, Request::Ping)
    }

    fn draw(&mut self, view: &View<'_>) -> Op {
        if let Some(op) = self.opening(view) {
            return op;
        }
        if let Some(session) = self.dice.choose(view.roster.alone_for(LONGEST_ALONE)) {
            return self.resume_properly(session, view);
        }
        if self.index.is_multiple_of(EXPIRY_EVERY)
            && let Some(op) = self.expiry(view)
        {
            return op;
        }
        if let Some(op) = self.planned.pop_front() {
            return op;
        }
        match *self.dice.weighted(&KINDS) {
            Kind::Request => {
                let session = self.sender(view);
                let request = self.request(session, view);
                Op::Request(session, request)
            }
            Kind::Pipeline => self.pipeline(view),
            Kind::Scenario => self.scenario(view),
            Kind::Open => self.open(view),
            Kind::Close => self.close(view),
            Kind::Disconnect => self.disconnect(view),
            Kind::Resume => self.resume(view),
            Kind::Visit => self.visit(view),
            Kind::Hostile => self.hostile(view),
        }
    }

    /// Who sends the next request.
    fn sender(&mut self, view: &View<'_>) -> Ordinal {
        self.dice
            .choose(view.roster.connected())
            .unwrap_or(OBSERVER)
    }

    /// Only what is answered in line: auth packets overtake.
    fn pipeline(&mut self, view: &View<'_>) -> Op {
        let session = self.sender(view);
        let count = self.dice.between(2, LONGEST_PIPELINE);
        let requests = (0..count).map(|_| self.plain_request(view)).collect();
        Op::Pipeline(session, requests)
    }
}
