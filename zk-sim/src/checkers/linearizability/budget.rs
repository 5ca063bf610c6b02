//! How much work a verdict may cost.

use std::fmt;

/// Bounds the search, which is exponential in the worst case.
///
/// Counted in steps, so that a verdict does not depend on how fast the machine is. A
/// limit in real time is for those who would rather have an answer that does.
pub struct Budget<'a> {
    steps: u64,
    states: u64,
    stop: Option<&'a mut dyn FnMut() -> bool>,
}

/// What there was too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Steps of the specification.
    Steps,
    /// Room to remember what was tried.
    States,
    /// Time: the closure said stop.
    Time,
}

impl<'a> Budget<'a> {
    /// At most this many steps of the specification, about a million of which pass in a
    /// second. No more combinations of state and operations done are remembered than
    /// [`DEFAULT_STATES`](Self::DEFAULT_STATES).
    pub const fn steps(steps: u64) -> Self {
        Self {
            steps,
            states: Self::DEFAULT_STATES,
            stop: None,
        }
    }

    /// How many combinations are remembered by default: at about a hundred bytes each
    /// and a small state, some two hundred megabytes.
    pub const DEFAULT_STATES: u64 = 2_000_000;

    /// Remembers at most this many combinations; the memory that the search takes is
    /// in proportion.
    #[must_use]
    pub const fn with_states(mut self, states: u64) -> Self {
        self.states = states;
        self
    }

    /// Asks `stop` every 1,024 steps, and gives up when it says so.
    #[must_use]
    pub fn until(mut self, stop: &'a mut dyn FnMut() -> bool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The steps that are left.
    pub const fn remaining(&self) -> u64 {
        self.steps
    }

    /// A part of what is left, which is taken from this one at once. What it leaves
    /// over has to be [given back](Self::give_back).
    pub(super) fn part(&mut self, steps: u64) -> Budget<'_> {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        Budget {
            steps,
            states: self.states,
            stop: match &mut self.stop {
                Some(stop) => Some(&mut **stop),
                None => None,
            },
        }
    }

    pub(super) const fn give_back(&mut self, steps: u64) {
        self.steps += steps;
    }

    pub(super) fn step(&mut self) -> Result<(), Exhausted> {
        if self.steps == 0 {
            return Err(Exhausted::Steps);
        }
        self.steps -= 1;
        if self.steps.is_multiple_of(1024)
            && let Some(stop) = &mut self.stop
            && stop()
        {
            return Err(Exhausted::Time);
        }
        Ok(())
    }

    pub(super) const fn room_for(&self, states: u64) -> Result<(), Exhausted> {
        if states > self.states {
            return Err(Exhausted::States);
        }
        Ok(())
    }
}

impl Default for Budget<'_> {
    /// Five million steps: seconds in a release build.
    fn default() -> Self {
        Self::steps(5_000_000)
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("steps", &self.steps)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => "out of steps",
            Self::States => "out of room for states",
            Self::Time => "out of time",
        })
    }
}
