//! What a check says.

use super::budget::Exhausted;

/// Whether a history is linearizable.
///
/// Operations are named by their index in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<State> {
    /// There is an order of the operations that explains every answer.
    Linearizable(Witness),
    /// There is none.
    Violation(Violation<State>),
    /// The budget was used up before either was certain.
    Undecided(Undecided),
}

/// The proof that a history is linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// An order in which the operations explain every answer, and which turns none
    /// round of which one was over before the other began. Operations without an answer
    /// that are not in it did not have to take effect.
    pub order: Vec<usize>,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<State> {
    /// The operation whose answer cannot be explained: up to before its return the
    /// history is linearizable, with it no more.
    pub offender: usize,
    /// Whether that is certain. Otherwise the budget did not last for it: the history
    /// is not linearizable all the same, but an earlier or later return may be the first
    /// to show it.
    pub certain: bool,
    /// An order that explains what was answered before. If the offender is in it, it
    /// has the effect of another answer than its own: with its own, even the earlier
    /// answers cannot be explained.
    pub placed: Vec<usize>,
    /// States, at most eight, in which the offender's answer would have to be possible
    /// and is not. The first is where `placed` leads.
    pub states: Vec<State>,
    /// Operations that were under way when the offender returned and are not placed.
    pub under_way: Vec<usize>,
}

/// How far a check came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// What there was too little of.
    pub why: Exhausted,
    /// How many operations were answered.
    pub answered: usize,
    /// How many of them, in the order of their returns, could be explained.
    pub explained: usize,
}

impl<State> Verdict<State> {
    /// Whether it is [`Linearizable`](Self::Linearizable).
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable(_))
    }

    /// Whether it is a [`Violation`](Self::Violation).
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }

    /// The same with every operation under another name.
    pub(super) fn renamed(mut self, names: &[usize]) -> Self {
        let rename = |operations: &mut Vec<usize>| {
            for operation in operations {
                *operation = names[*operation];
            }
        };
        match &mut self {
            Self::Linearizable(witness) => rename(&mut witness.order),
            Self::Violation(violation) => {
                violation.offender = names[violation.offender];
                rename(&mut violation.placed);
                rename(&mut violation.under_way);
            }
            Self::Undecided(_) => {}
        }
        self
    }
}
