//! Linearizability by trying every order, without any cleverness.

use crate::checkers::linearizability::{Operations, Spec};

/// Whether there is an order that explains the first `returns` answers, those after
/// them being unknown.
pub(super) fn is_linearizable<S: Spec>(
    spec: &S,
    history: &Operations<S::Op, S::Ret>,
    returns: usize,
) -> bool {
    let mut order: Vec<usize> = (0..history.len())
        .filter(|&index| history[index].returned.is_some())
        .collect();
    let returned = history.return_order();
    order.sort_by_key(|&index| returned[index]);
    let all = returns >= order.len();
    let answered = &order[..returns.min(order.len())];
    // In the beginning of a history, what was called after its end does not exist.
    let exists = |index: usize| {
        let after = |&last: &usize| history.precedes(last, index) && !all;
        !history.is_not_applied(index) && !answered.last().is_some_and(after)
    };
    let try_all = Try {
        spec,
        history,
        answered,
        candidates: (0..history.len()).filter(|&index| exists(index)).collect(),
    };
    try_all.from(&spec.initial(), &mut Vec::new())
}

struct Try<'a, S: Spec> {
    spec: &'a S,
    history: &'a Operations<S::Op, S::Ret>,
    answered: &'a [usize],
    candidates: Vec<usize>,
}

impl<S: Spec> Try<'_, S> {
    fn from(&self, state: &S::State, placed: &mut Vec<usize>) -> bool {
        if self.answered.iter().all(|index| placed.contains(index)) {
            return true;
        }
        for &next in &self.candidates {
            if placed.contains(&next) || !self.may_follow(next, placed) {
                continue;
            }
            let operation = &self.history[next];
            let ret = operation.returned.as_ref().map(|(_, ret)| ret);
            let ret = ret.filter(|_| self.answered.contains(&next));
            for state in self.spec.step(state, &operation.op, ret) {
                placed.push(next);
                let found = self.from(&state, placed);
                placed.pop();
                if found {
                    return true;
                }
            }
        }
        false
    }

    /// Whether everything that was over before it began has its place.
    fn may_follow(&self, next: usize, placed: &[usize]) -> bool {
        let fits =
            |earlier: &usize| placed.contains(earlier) || !self.history.precedes(*earlier, next);
        self.answered.iter().all(fits)
    }
}
