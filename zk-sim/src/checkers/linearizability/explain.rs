//! Why a history is not linearizable: the shortest beginning of it that is not.

use super::budget::{Budget, Exhausted};
use super::operations::{End, Operations};
use super::plan::Plan;
use super::search::{DeadEnd, Order, Search, Searched};
use super::spec::Spec;
use super::verdict::Violation;

/// Beginnings of a history that has no order. A beginning ends with a return, and what
/// has not returned by then has no answer: so if one has no order, no longer one has.
struct Beginnings<'a, S: Spec> {
    spec: &'a S,
    history: &'a Operations<S::Op, S::Ret>,
    preference: &'a [u64],
    /// Of the whole history.
    plan: &'a Plan,
}

/// The return that ends the shortest beginning without an order, and what leads there.
struct Shortest<State> {
    offender: usize,
    placed: Vec<usize>,
    states: Vec<State>,
}

/// Explains that the search of the whole history ended in `dead_end`.
pub(super) fn explain<S: Spec>(
    spec: &S,
    history: &Operations<S::Op, S::Ret>,
    preference: &[u64],
    plan: &Plan,
    dead_end: DeadEnd<S::State>,
    budget: &mut Budget<'_>,
) -> Violation<S::State> {
    let beginnings = Beginnings {
        spec,
        history,
        preference,
        plan,
    };
    let (shortest, certain) = match beginnings.shortest(dead_end, budget) {
        Ok(shortest) => (shortest, true),
        Err(dead_end) => (at_dead_end(plan, dead_end), false),
    };
    let Shortest {
        offender,
        placed,
        states,
    } = shortest;
    Violation {
        offender,
        certain,
        under_way: under_way(history, offender, &placed),
        placed,
        states,
    }
}

impl<S: Spec> Beginnings<'_, S> {
    /// Halves the distance between a beginning that has an order and one that has none.
    /// If the budget does not last, gives back the shortest dead end so far.
    fn shortest(
        &self,
        mut dead_end: DeadEnd<S::State>,
        budget: &mut Budget<'_>,
    ) -> Result<Shortest<S::State>, DeadEnd<S::State>> {
        let (mut good, mut bad) = (dead_end.furthest as usize, self.plan.answered.len());
        let mut found: Option<Order<S::State>> = None;
        // The search got as far as this one, so the next return is the likely one.
        let mut probe = good + 1;
        while good + 1 < bad {
            let searched = self.search(probe, budget);
            match searched.result {
                Ok(Some(order)) => (good, found) = (probe, Some(order)),
                Ok(None) => (bad, dead_end) = (probe, searched.dead_end),
                Err(Exhausted::Steps | Exhausted::States | Exhausted::Time) => {
                    return Err(dead_end);
                }
            }
            probe = usize::midpoint(good, bad);
        }
        Ok(match found {
            // All but the offender can be placed only without regard to its answer.
            Some(found) if (dead_end.furthest as usize) < good => Shortest {
                offender: self.plan.answered[good].operation,
                placed: found.order,
                states: vec![found.state],
            },
            Some(_) | None => at_dead_end(self.plan, dead_end),
        })
    }

    fn search(&self, returns: usize, budget: &mut Budget<'_>) -> Searched<S::State> {
        let until = self.plan.answered[returns - 1].returned;
        let plan = Plan::new(self.spec, self.history, self.preference, until);
        Search::new(self.spec, self.history, &plan, budget).run()
    }
}

fn at_dead_end<State>(plan: &Plan, dead_end: DeadEnd<State>) -> Shortest<State> {
    Shortest {
        offender: plan.answered[dead_end.furthest as usize].operation,
        placed: dead_end.order,
        states: dead_end.states,
    }
}

fn under_way<Op, Ret>(
    history: &Operations<Op, Ret>,
    offender: usize,
    placed: &[usize],
) -> Vec<usize> {
    let end = match history.span(offender).end {
        End::Returned(returned) => returned,
        End::Open | End::NotApplied => u64::MAX,
    };
    let is_under_way = |&operation: &usize| {
        let span = history.span(operation);
        operation != offender
            && span.end != End::NotApplied
            && span.invoked < end
            && !placed.contains(&operation)
    };
    (0..history.len()).filter(is_under_way).collect()
}
