//! A lock that one owner holds at a time.

use crate::checkers::linearizability::Spec;

/// A lock, free at first.
///
/// Give every attempt an owner of its own if one process may ask again while an earlier
/// attempt of it is in doubt. An owner who may lose the lock without knowing when, for
/// instance with its session, releases it with an operation that has no answer.
#[derive(Clone, Copy, Debug)]
pub struct Mutex;

/// What is asked of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutexOp {
    /// This owner wants it.
    Acquire(u64),
    /// This owner gives it back.
    Release(u64),
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutexRet {
    /// The owner has it; or no more.
    Done,
    /// Somebody has it already; or the owner does not have it.
    Refused,
}

impl Spec for Mutex {
    type Op = MutexOp;
    type Ret = MutexRet;
    /// Who holds it.
    type State = Option<u64>;
    type Next = Option<Self::State>;

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, holder: &Self::State, op: &MutexOp, ret: Option<&MutexRet>) -> Self::Next {
        let (possible, next) = match op {
            MutexOp::Acquire(owner) => (holder.is_none(), Some(*owner)),
            MutexOp::Release(owner) => (*holder == Some(*owner), None),
        };
        match ret {
            Some(MutexRet::Done) | None => possible.then_some(next),
            Some(MutexRet::Refused) => (!possible).then_some(*holder),
        }
    }

    fn may_go_first(&self, _op: &MutexOp, ret: &MutexRet) -> bool {
        *ret == MutexRet::Refused
    }
}
