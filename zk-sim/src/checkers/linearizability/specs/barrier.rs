//! A barrier that is up or down.

use crate::checkers::linearizability::Spec;

/// A barrier, down at first: nobody has to wait.
#[derive(Clone, Copy, Debug)]
pub struct Barrier;

/// What is asked of a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierOp {
    /// Put it up.
    Raise,
    /// Take it away.
    Lower,
    /// Wait until it is down. Whoever gave up waiting leaves the operation out.
    Pass,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierRet {
    /// It was put up, taken away, passed.
    Done,
    /// It was up, or down, already. Passing is never refused.
    Refused,
}

impl Spec for Barrier {
    type Op = BarrierOp;
    type Ret = BarrierRet;
    /// Whether it is up.
    type State = bool;
    type Next = Option<bool>;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, &up: &bool, op: &BarrierOp, ret: Option<&BarrierRet>) -> Option<bool> {
        let refused = ret == Some(&BarrierRet::Refused);
        match op {
            BarrierOp::Raise if refused => up.then_some(up),
            BarrierOp::Lower if refused => (!up).then_some(up),
            BarrierOp::Raise => (!up).then_some(true),
            BarrierOp::Lower => up.then_some(false),
            BarrierOp::Pass => (!up && !refused).then_some(up),
        }
    }

    fn may_go_first(&self, op: &BarrierOp, ret: &BarrierRet) -> bool {
        *op == BarrierOp::Pass || *ret == BarrierRet::Refused
    }
}
