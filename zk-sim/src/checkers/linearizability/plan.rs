//! A history laid out for the search.

use super::operations::{End, Operations};
use super::spec::Spec;

/// The operations to place, numbered for the search.
///
/// Those with an answer are numbered in the order of their returns. So the lowest that
/// has no place yet is the one that must have one next, and sets of placed ones are
/// full up to it. Those without an answer have numbers of their own.
pub(super) struct Plan {
    /// By number.
    pub(super) answered: Vec<Answered>,
    /// Numbers of the answered in the order of their calls.
    pub(super) by_call: Vec<u32>,
    /// By number: in the order of their calls.
    pub(super) open: Vec<Open>,
}

/// An operation with an answer.
#[derive(Clone, Copy)]
pub(super) struct Answered {
    /// Its place in the history.
    pub(super) operation: usize,
    pub(super) invoked: u64,
    pub(super) returned: u64,
    /// Lower is tried first.
    pub(super) preference: (u64, u64),
    pub(super) may_go_first: bool,
}

/// An operation without one.
#[derive(Clone, Copy)]
pub(super) struct Open {
    /// Its place in the history.
    pub(super) operation: usize,
    pub(super) invoked: u64,
    /// Lower is tried first.
    pub(super) preference: (u64, u64),
    /// The one called before it that asks the same. As they are interchangeable, that
    /// one goes first.
    pub(super) twin: Option<u32>,
}

impl Open {
    /// Whether the specification gave it a place among the others. Otherwise it is tried
    /// after them.
    pub(super) const fn is_preferred(&self) -> bool {
        self.preference.0 < u64::MAX
    }
}

impl Plan {
    /// Of the history as it was known at the event `until`: what was called later is
    /// left out, what was answered later has no answer.
    pub(super) fn new<S: Spec>(
        spec: &S,
        history: &Operations<S::Op, S::Ret>,
        preference: &[u64],
        until: u64,
    ) -> Self {
        let mut answered = Vec::new();
        let mut open = Vec::new();
        for operation in 0..history.len() {
            let span = history.span(operation);
            if span.invoked > until {
                continue;
            }
            match (span.end, &history[operation].returned) {
                (End::Returned(returned), Some((_, ret))) if returned <= until => {
                    answered.push(Answered {
                        operation,
                        invoked: span.invoked,
                        returned,
                        preference: (preference[operation], returned),
                        may_go_first: spec.may_go_first(&history[operation].op, ret),
                    });
                }
                (End::Returned(_) | End::Open, _) => open.push(Open {
                    operation,
                    invoked: span.invoked,
                    preference: (preference[operation], u64::MAX),
                    twin: None,
                }),
                (End::NotApplied, _) => {}
            }
        }
        answered.sort_unstable_by_key(|answered| answered.returned);
        let by_call = by_call(&answered);
        open.sort_unstable_by_key(|open| open.invoked);
        find_twins(history, &mut open);
        Self {
            answered,
            by_call,
            open,
        }
    }

    /// Where in the order of events the operation of this number returns.
    pub(super) fn returned(&self, number: u32) -> Option<u64> {
        self.answered
            .get(number as usize)
            .map(|answered| answered.returned)
    }
}

fn by_call(answered: &[Answered]) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..).take(answered.len()).collect();
    numbers.sort_unstable_by_key(|&number| answered[number as usize].invoked);
    numbers
}

fn find_twins<Op: Eq, Ret>(history: &Operations<Op, Ret>, open: &mut [Open]) {
    for later in 1..open.len() {
        let asks = &history[open[later].operation].op;
        let twin = (0..later).rfind(|&earlier| history[open[earlier].operation].op == *asks);
        open[later].twin = twin.map(|twin| twin as u32);
    }
}
