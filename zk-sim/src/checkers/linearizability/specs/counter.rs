//! A number that many add to.

use crate::checkers::linearizability::Spec;

/// A counter, zero at first.
#[derive(Clone, Copy, Debug)]
pub struct Counter;

/// Add this, which may be 0 to read or negative. The answer is the number afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add(pub i64);

impl Spec for Counter {
    type Op = Add;
    type Ret = i64;
    type State = i64;
    type Next = Option<i64>;

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &Add, ret: Option<&i64>) -> Option<i64> {
        let next = state.wrapping_add(op.0);
        ret.is_none_or(|&ret| ret == next).then_some(next)
    }

    fn may_go_first(&self, op: &Add, _ret: &i64) -> bool {
        op.0 == 0
    }
}
