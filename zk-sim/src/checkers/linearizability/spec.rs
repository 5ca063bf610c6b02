//! What a thing does when only one caller uses it at a time.

use std::fmt::Debug;
use std::hash::Hash;

use super::operations::Operations;

/// A sequential specification: states, and how operations lead from one to the next.
///
/// A specification is a value, so that it may carry what it depends on: the size of
/// a semaphore, the contents at the beginning.
pub trait Spec {
    /// What is asked. Two operations that are equal are interchangeable as long as
    /// neither has an answer.
    type Op: Eq + Debug;
    /// What is answered.
    type Ret: Debug;
    /// What the thing remembers. Equal states must have equal futures.
    type State: Clone + Eq + Hash + Debug;
    /// The outcomes of a step: `Option<State>` if there is at most one.
    type Next: IntoIterator<Item = Self::State>;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The states in which `op` may leave the thing, if it is `state` and the answer
    /// is `ret`. None: such an answer is impossible here.
    ///
    /// Without `ret` nobody knows the answer, and every state counts which some answer
    /// leads to. Those in which the operation does nothing may be left out: the search
    /// allows such an operation never to take effect anyhow.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Self::Next;

    /// Whether `op` with this answer, once it is possible, may as well happen at once:
    /// whatever order has it later is as right with it moved up to here. It must have one
    /// outcome at most. The search then takes it as soon as it can and tries nothing else.
    ///
    /// What changes no state at all qualifies: a read, a refusal. A write of the value
    /// that is there already does not: later it would change another.
    fn may_go_first(&self, _op: &Self::Op, _ret: &Self::Ret) -> bool {
        false
    }

    /// For each operation, in the order of `operations`, a number by which the search
    /// prefers it, lowest first. It tries the others afterwards: this changes how long
    /// a verdict takes, not what it is. Those with [`u64::MAX`] and without an answer are
    /// tried last. By default what returned first goes first.
    fn preference(&self, operations: &Operations<Self::Op, Self::Ret>) -> Vec<u64> {
        operations.return_order()
    }
}
