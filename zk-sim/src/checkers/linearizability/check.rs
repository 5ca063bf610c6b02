//! From a history to a verdict.

use std::collections::BTreeMap;

use super::budget::Budget;
use super::explain::explain;
use super::operations::Operations;
use super::plan::Plan;
use super::search::Search;
use super::spec::Spec;
use super::verdict::{Undecided, Verdict, Witness};

/// Whether the history is one of a thing that does what `spec` says, each operation at
/// one instant between its call and its return.
///
/// The same history and steps give the same verdict, everywhere. A violation's
/// explanation costs steps too and is less exact when they run out.
pub fn check<S: Spec>(
    spec: &S,
    history: &Operations<S::Op, S::Ret>,
    budget: &mut Budget<'_>,
) -> Verdict<S::State> {
    let preference = spec.preference(history);
    let plan = Plan::new(spec, history, &preference, u64::MAX);
    let searched = Search::new(spec, history, &plan, budget).run();
    match searched.result {
        Ok(Some(found)) => Verdict::Linearizable(Witness { order: found.order }),
        Ok(None) => {
            let dead_end = searched.dead_end;
            Verdict::Violation(explain(spec, history, &preference, &plan, dead_end, budget))
        }
        Err(why) => Verdict::Undecided(Undecided {
            why,
            answered: plan.answered.len(),
            explained: searched.furthest as usize,
        }),
    }
}

/// Checks the operations on each key by themselves: a history of many things is
/// linearizable exactly if that of each is, and many short ones are far easier.
///
/// The verdicts are in the order of the keys and name operations by their index in the
/// whole history. What one key leaves of its share of the budget, the others get.
pub fn check_by_key<K, S>(
    spec: &S,
    history: &Operations<(K, S::Op), S::Ret>,
    budget: &mut Budget<'_>,
) -> Vec<(K, Verdict<S::State>)>
where
    K: Clone + Ord,
    S: Spec,
    S::Op: Clone,
    S::Ret: Clone,
{
    let mut parts: BTreeMap<&K, Vec<usize>> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        parts.entry(&operation.op.0).or_default().push(index);
    }
    let mut left = parts.len() as u64;
    let mut verdicts = Vec::with_capacity(parts.len());
    for (key, names) in parts {
        let part = history.select(&names, |(_, op)| op.clone());
        let mut share = budget.part(budget.remaining().div_ceil(left));
        let verdict = check(spec, &part, &mut share);
        let unused = share.remaining();
        budget.give_back(unused);
        left -= 1;
        verdicts.push((key.clone(), verdict.renamed(&names)));
    }
    verdicts
}
