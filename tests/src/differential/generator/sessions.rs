//! Sessions: opened, closed, cut, resumed, left to expire.

use super::super::op::{Handshake, OBSERVER, Op, Ordinal, PasswordChoice, Request, ZxidArg};
use super::values::super_user;
use super::{Generator, View};

const FEWEST: usize = 4;
const MOST: usize = 7;

/// Timeouts that outlive every pause of a run.
const TIMEOUTS_MS: [i32; 5] = [30_000, 40_000, 60_000, 60_001, i32::MAX];

/// Timeouts at and beyond what the servers grant.
const EDGE_TIMEOUTS_MS: [i32; 8] = [i32::MIN, -1, 0, 1, 1_999, 2_000, 2_001, 60_000];

impl Generator {
    /// The first operations: the observer, who becomes super user, and company.
    pub(super) fn opening(&mut self, view: &View<'_>) -> Option<Op> {
        if view.roster.is_empty() {
            return Some(Op::Open(proper(60_000, ZxidArg::Literal(0))));
        }
        match self.index {
            1 => Some(Op::Request(OBSERVER, Request::Auth(super_user()))),
            2 => Some(Op::Request(OBSERVER, Request::WhoAmI)),
            _ if view.roster.alive().count() < FEWEST => Some(self.open_one(view)),
            _ => None,
        }
    }

    /// Or one too many goes instead.
    pub(super) fn open(&mut self, view: &View<'_>) -> Op {
        if view.roster.alive().count() >= MOST {
            return self.close(view);
        }
        self.open_one(view)
    }

    fn open_one(&mut self, view: &View<'_>) -> Op {
        let timeout_ms = *self.dice.pick(&TIMEOUTS_MS);
        let last_zxid = self.seen_zxid(view);
        Op::Open(Handshake {
            read_only: self.read_only(),
            ..proper(timeout_ms, last_zxid)
        })
    }

    pub(super) fn close(&mut self, view: &View<'_>) -> Op {
        match self.expendable(view) {
            Some(session) => Op::Request(session, Request::CloseSession),
            None => self.open_one(view),
        }
    }

    pub(super) fn disconnect(&mut self, view: &View<'_>) -> Op {
        match self.expendable(view) {
            Some(session) => Op::Disconnect(session),
            None => self.open_one(view),
        }
    }

    /// A session without a connection before one that has to be taken over.
    pub(super) fn resume(&mut self, view: &View<'_>) -> Op {
        let session = self
            .dice
            .choose(view.roster.alone_for(0))
            .or_else(|| self.expendable(view));
        let Some(session) = session else {
            return self.open_one(view);
        };
        if self.dice.percent(70) {
            return self.resume_properly(session, view);
        }
        let password = *self.dice.pick(&[
            PasswordChoice::Wrong,
            PasswordChoice::Empty,
            PasswordChoice::Long,
            PasswordChoice::Right,
            PasswordChoice::Right,
        ]);
        Op::Resume {
            session,
            handshake: Handshake {
                read_only: self.read_only(),
                ..proper(40_000, self.any_zxid(view))
            },
            password,
        }
    }

    pub(super) fn resume_properly(&mut self, session: Ordinal, view: &View<'_>) -> Op {
        Op::Resume {
            session,
            handshake: proper(*self.dice.pick(&TIMEOUTS_MS), self.seen_zxid(view)),
            password: PasswordChoice::Right,
        }
    }

    pub(super) fn visit(&mut self, view: &View<'_>) -> Op {
        let handshake = Handshake {
            protocol_version: *self.dice.pick(&[0, 0, 1, -1]),
            last_zxid: self.any_zxid(view),
            timeout_ms: *self.dice.pick(&EDGE_TIMEOUTS_MS),
            read_only: self.read_only(),
        };
        match self.dice.below(10) {
            0..2 => Op::Stranger {
                handshake,
                id: *self
                    .dice
                    .pick(&[1, -1, i64::MIN, i64::MAX, 0x0100_0000_0000_0000]),
            },
            2..5 => match self.dice.choose(view.roster.ended()) {
                Some(session) => Op::Late { session, handshake },
                None => self.open_one(view),
            },
            _ => Op::Visit {
                handshake,
                password_len: *self.dice.pick(&[16, 16, 0, 5, 40]),
                hasty: self.dice.percent(30),
            },
        }
    }

    pub(super) fn expiry(&mut self, view: &View<'_>) -> Option<Op> {
        let alive = view.roster.alive().filter(|session| *session != OBSERVER);
        let session = self.dice.choose(alive)?;
        Some(Op::Expire {
            session,
            connected: self.dice.percent(50),
        })
    }

    pub(super) fn expendable(&mut self, view: &View<'_>) -> Option<Ordinal> {
        self.dice.choose(view.roster.expendable())
    }

    fn read_only(&mut self) -> Option<bool> {
        *self
            .dice
            .pick(&[Some(false), Some(false), Some(true), None])
    }

    /// One that the server has reached.
    fn seen_zxid(&mut self, view: &View<'_>) -> ZxidArg {
        match self.dice.below(3) {
            0 => ZxidArg::Literal(0),
            1 => ZxidArg::Offset(view.last),
            _ => ZxidArg::Offset((view.last - self.dice.below(50) as i64).max(0)),
        }
    }

    fn any_zxid(&mut self, view: &View<'_>) -> ZxidArg {
        match self.dice.below(6) {
            0 => ZxidArg::Offset(view.last + 1),
            1 => ZxidArg::Literal(i64::MAX),
            2 => ZxidArg::Literal(-1),
            _ => self.seen_zxid(view),
        }
    }
}

const fn proper(timeout_ms: i32, last_zxid: ZxidArg) -> Handshake {
    Handshake {
        protocol_version: 0,
        last_zxid,
        timeout_ms,
        read_only: Some(false),
    }
}
