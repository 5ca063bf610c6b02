//! The differential test: the same operations through two servers, one at a
//! time over all sessions, and everything the servers are seen to do compared.
//!
//! A [`Run`] draws operations from a seed; [`shrink`] looks for the few that matter
//! when the servers part. Both servers
//! must be fresh: nothing but the built-in znodes. What is not compared literally
//! is listed in `normal.rs`; what is not done at all, in `generator/mod.rs`.

mod apache;
mod bundled;
mod clock;
mod configuration;
mod coverage;
mod dice;
mod generator;
mod model;
mod modelled;
mod normal;
mod observation;
mod op;
mod reply;
mod roster;
mod shrink;
mod side;

use std::fmt;
use std::net::SocketAddr;

use zk_proto::SessionId;

pub use apache::Apache;
pub use bundled::Bundled;
pub use configuration::Configuration;
pub use coverage::Coverage;
pub use modelled::Modelled;
pub use shrink::shrink;

use generator::{Generator, View};
use model::Model;
use normal::{Names, Normal};
use op::{OBSERVER, Op};
use roster::Roster;
use side::Side;

/// Operations shown before the one at which the servers part.
const CONTEXT: usize = 10;

/// Two servers in lockstep.
pub struct Run {
    reference: Half,
    candidate: Half,
    model: Model,
    roster: Roster,
    coverage: Coverage,
    done: Vec<Op>,
    trace: Option<Trace>,
    forgive: Option<Forgive>,
    forgiven: usize,
}

/// What a run says when it has come to its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it reached.
    pub coverage: Coverage,
    /// Differences after which it went on; none unless it was told to.
    pub forgiven: usize,
}

/// Takes each operation and what the reference did, as text.
pub type Trace = Box<dyn FnMut(&str)>;

/// Takes a difference after which the run goes on.
pub type Forgive = Box<dyn FnMut(&Difference)>;

struct Half {
    side: Side,
    normal: Normal,
}

/// Where the servers parted.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Everything done, the operation that shows it last.
    ops: Vec<Op>,
    /// What the reference was seen to do.
    reference: Vec<String>,
    /// What the candidate was seen to do.
    candidate: Vec<String>,
}

impl Run {
    /// A run over two fresh servers.
    pub fn new(reference: SocketAddr, candidate: SocketAddr) -> Self {
        Self {
            reference: Half::new(reference),
            candidate: Half::new(candidate),
            model: Model::default(),
            roster: Roster::default(),
            coverage: Coverage::default(),
            done: Vec::new(),
            trace: None,
            forgive: None,
            forgiven: 0,
        }
    }

    /// Shows each operation as it is done.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Tells of differences and goes on as long as both servers have the same
    /// sessions. What comes after the first may be its consequence.
    #[must_use]
    pub fn forgiving(mut self, forgive: Forgive) -> Self {
        self.forgive = Some(forgive);
        self
    }

    /// Does `count` operations drawn from `seed`.
    ///
    /// # Errors
    ///
    /// The servers do not agree.
    pub fn explore(mut self, seed: u64, count: usize) -> Result<Report, Box<Difference>> {
        let mut generator = Generator::new(seed);
        for _ in 0..count {
            let op = generator.next(&self.view());
            self.step(op)?;
        }
        Ok(Report {
            coverage: self.coverage,
            forgiven: self.forgiven,
        })
    }

    /// Does recorded operations, leaving out those that have become impossible
    /// because others are missing.
    fn repeat(mut self, ops: &[Op]) -> Result<(), Box<Difference>> {
        for op in ops {
            if self.view().permits(op) {
                self.step(op.clone())?;
            }
        }
        Ok(())
    }

    const fn view(&self) -> View<'_> {
        View {
            model: &self.model,
            roster: &self.roster,
            last: self.reference.side.last_offset(),
        }
    }

    fn step(&mut self, op: Op) -> Result<(), Box<Difference>> {
        let (reference, candidate) = (&mut self.reference, &mut self.candidate);
        reference.side.begin(&op);
        candidate.side.begin(&op);
        reference.side.collect(&op);
        candidate.side.collect(&op);

        self.model.learn(&op, reference.side.seen());
        let reaped = self.model.reap();
        if reaped > 0 {
            reference.side.wait_for_reaper(reaped);
            candidate.side.wait_for_reaper(reaped);
        }
        self.coverage.add_reaped(reaped);
        reference.side.calm();
        candidate.side.calm();

        self.coverage.add(&op, reference.side.seen());
        self.roster
            .learn(&op, reference.side.seen(), &reference.side);
        let expected = reference.lines(&op);
        let actual = candidate.lines(&op);
        if let Some(trace) = &mut self.trace {
            trace(&format!("{} {op}", self.done.len()));
            expected
                .iter()
                .for_each(|line| trace(&format!("    {line}")));
        }
        self.done.push(op);
        let is_watched = self.roster.connected().any(|session| session == OBSERVER);
        if expected == actual && is_watched {
            return Ok(());
        }
        let difference = Box::new(Difference {
            ops: self.done.clone(),
            reference: expected,
            candidate: actual,
        });
        match &mut self.forgive {
            Some(forgive)
                if is_watched && self.reference.side.has_sessions_of(&self.candidate.side) =>
            {
                self.forgiven += 1;
                forgive(&difference);
                Ok(())
            }
            Some(_) | None => Err(difference),
        }
    }
}

impl Half {
    fn new(address: SocketAddr) -> Self {
        Self {
            side: Side::new(address),
            normal: Normal::new(),
        }
    }

    fn lines(&mut self, op: &Op) -> Vec<String> {
        let seen = self.side.take_seen();
        let sessions: Vec<SessionId> = self.side.session_ids().collect();
        let names = Names {
            base: self.side.base(),
            sessions: &sessions,
        };
        self.normal.lines(op, seen, &names)
    }
}

#[cfg(test)]
mod tests;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.ops.len().saturating_sub(CONTEXT + 1);
        for (at, op) in self.ops.iter().enumerate().skip(first) {
            writeln!(f, "{at} {op}")?;
        }
        writeln!(f, "the servers differ (- reference, + candidate):")?;
        let same = |a: &[String], b: &[String], line| a.contains(line) && b.contains(line);
        for line in &self.reference {
            let mark = if same(&self.reference, &self.candidate, line) {
                ' '
            } else {
                '-'
            };
            writeln!(f, "  {mark} {line}")?;
        }
        for line in &self.candidate {
            if !self.reference.contains(line) {
                writeln!(f, "  + {line}")?;
            }
        }
        if self.reference == self.candidate {
            writeln!(f, "they agree, but the observer has lost its connection")?;
        }
        Ok(())
    }
}
