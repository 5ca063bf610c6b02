//! A number of leases.

use std::collections::BTreeSet;

use crate::checkers::linearizability::Spec;

/// A semaphore with this many leases, all free at first.
///
/// A lease that may be lost without its owner knowing when is returned by an operation
/// that has no answer.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    /// How many leases there are.
    pub leases: usize,
}

/// What is asked of a semaphore. Leases are numbered, each acquired once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemaphoreOp {
    /// This lease is wanted.
    Acquire(u64),
    /// This lease is returned.
    Return(u64),
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SemaphoreRet {
    /// The lease is taken, or free again.
    Done,
    /// All leases are taken; or this one was not.
    Refused,
}

impl Spec for Semaphore {
    type Op = SemaphoreOp;
    type Ret = SemaphoreRet;
    /// The leases that are taken.
    type State = BTreeSet<u64>;
    type Next = Option<Self::State>;

    fn initial(&self) -> Self::State {
        BTreeSet::new()
    }

    fn step(
        &self,
        taken: &Self::State,
        op: &SemaphoreOp,
        ret: Option<&SemaphoreRet>,
    ) -> Self::Next {
        let possible = match op {
            SemaphoreOp::Acquire(lease) => taken.len() < self.leases && !taken.contains(lease),
            SemaphoreOp::Return(lease) => taken.contains(lease),
        };
        if ret == Some(&SemaphoreRet::Refused) {
            return (!possible).then(|| taken.clone());
        }
        possible.then(|| {
            let mut taken = taken.clone();
            match op {
                SemaphoreOp::Acquire(lease) => taken.insert(*lease),
                SemaphoreOp::Return(lease) => taken.remove(lease),
            };
            taken
        })
    }

    fn may_go_first(&self, _op: &SemaphoreOp, ret: &SemaphoreRet) -> bool {
        *ret == SemaphoreRet::Refused
    }
}
