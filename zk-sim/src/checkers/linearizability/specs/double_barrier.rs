//! The double barrier: nobody is in before all have come, nobody out before all want
//! to leave.
//!
//! Entering and leaving are meetings, which take no single instant, so this is a matter
//! of order rather than of linearizability.

use std::collections::BTreeMap;

use crate::checkers::linearizability::Operations;

/// What is asked of a double barrier. Rounds are numbered: each participant enters and
/// leaves a round once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MeetingOp {
    /// Come in, in this round.
    Enter(u64),
    /// Go out, in this round.
    Leave(u64),
}

/// Somebody passed too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedAlone {
    /// Its operation, by the index in the history.
    pub operation: usize,
    /// How many had called by then, itself included.
    pub called: usize,
}

/// Whether everybody who passed did so when `size` participants had called for the same
/// side of the same round. Whoever gave up leaves the return out; the call counts.
///
/// # Errors
///
/// The first, in the order of the history, who did not.
pub fn pass_together(history: &Operations<MeetingOp, ()>, size: usize) -> Result<(), PassedAlone> {
    let mut calls: BTreeMap<MeetingOp, Vec<u64>> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        if !history.is_not_applied(index) {
            let called = history.span(index).invoked;
            calls.entry(operation.op).or_default().push(called);
        }
    }
    let returned = history.return_order();
    for (index, operation) in history.iter().enumerate() {
        if operation.returned.is_some() {
            let before = |&&called: &&u64| called < returned[index];
            let called = calls[&operation.op].iter().filter(before).count();
            if called < size {
                return Err(PassedAlone {
                    operation: index,
                    called,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use MeetingOp::{Enter, Leave};

    /// From events: `(operation, None)` calls, `(_, Some(index))` returns from an earlier.
    fn check(events: &[(MeetingOp, Option<usize>)]) -> Result<(), PassedAlone> {
        let mut history = Operations::new();
        for &(op, returns) in events {
            match returns {
                None => {
                    history.invoke(0, Duration::ZERO, op);
                }
                Some(index) => history.returned(index, Duration::ZERO, ()),
            }
        }
        pass_together(&history, 2)
    }

    #[test]
    fn passing_together_is_fine_in_every_round() {
        let mut events = Vec::new();
        for round in 1..4 {
            for op in [Enter(round), Leave(round)] {
                let first = events.len() / 2;
                events.extend([(op, None), (op, None)]);
                events.extend([(op, Some(first)), (op, Some(first + 1))]);
            }
        }
        assert_eq!(check(&events), Ok(()));
    }

    #[test]
    fn one_who_never_returns_counts_as_come() {
        let events = [(Enter(1), None), (Enter(1), None), (Enter(1), Some(0))];
        assert_eq!(check(&events), Ok(()));
    }

    #[test]
    fn entering_alone_is_refused() {
        let events = [(Enter(1), None), (Enter(1), Some(0)), (Enter(1), None)];
        let alone = PassedAlone {
            operation: 0,
            called: 1,
        };
        assert_eq!(check(&events), Err(alone));
    }

    #[test]
    fn those_of_another_round_or_side_do_not_count() {
        for other in [Enter(2), Leave(1)] {
            let events = [(other, None), (Enter(1), None), (Enter(1), Some(1))];
            let alone = PassedAlone {
                operation: 1,
                called: 1,
            };
            assert_eq!(check(&events), Err(alone));
        }
    }
}
