//! One znode: a register with versions, that may be absent.

use std::fmt::Debug;
use std::hash::Hash;

use crate::checkers::linearizability::Spec;

/// A znode with data of type `V`. Absent at first, or as [`holding`](Self::holding) says.
///
/// Reads have to be linearizable, which those of an ensemble are not; see
/// [`sync_read`](super::sync_read) for them.
#[derive(Clone, Debug)]
pub struct Znode<V> {
    initial: Option<(i32, V)>,
}

/// What is asked of a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZnodeOp<V> {
    /// Create it with this data.
    Create(V),
    /// Read data and version.
    Read,
    /// Set the data, whatever the version.
    Write(V),
    /// Set the data if the version is this one: compare and set.
    WriteIf(i32, V),
    /// Delete it, whatever the version.
    Delete,
    /// Delete it if the version is this one.
    DeleteIf(i32),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZnodeRet<V> {
    /// Created or deleted.
    Done,
    /// What was read.
    Data(i32, V),
    /// It was written, and has this version now.
    Version(i32),
    /// The version is another.
    BadVersion,
    /// It is absent.
    NoNode,
    /// It is there already.
    NodeExists,
}

impl<V> Znode<V> {
    /// A znode that does not exist.
    pub const fn absent() -> Self {
        Self { initial: None }
    }

    /// A znode with this version and data.
    pub const fn holding(version: i32, data: V) -> Self {
        Self {
            initial: Some((version, data)),
        }
    }
}

impl<V: Clone + Eq + Hash + Debug> Spec for Znode<V> {
    type Op = ZnodeOp<V>;
    type Ret = ZnodeRet<V>;
    /// Version and data, if it exists.
    type State = Option<(i32, V)>;
    type Next = Option<Self::State>;

    fn initial(&self) -> Self::State {
        self.initial.clone()
    }

    fn step(&self, state: &Self::State, op: &ZnodeOp<V>, ret: Option<&ZnodeRet<V>>) -> Self::Next {
        let (answer, next) = apply(state, op);
        ret.is_none_or(|ret| *ret == answer).then_some(next)
    }

    fn may_go_first(&self, _op: &ZnodeOp<V>, ret: &ZnodeRet<V>) -> bool {
        match ret {
            ZnodeRet::Done | ZnodeRet::Version(_) => false,
            ZnodeRet::Data(..) | ZnodeRet::BadVersion | ZnodeRet::NoNode | ZnodeRet::NodeExists => {
                true
            }
        }
    }
}

fn apply<V: Clone>(state: &Option<(i32, V)>, op: &ZnodeOp<V>) -> (ZnodeRet<V>, Option<(i32, V)>) {
    let Some((version, data)) = state else {
        return match op {
            ZnodeOp::Create(new) => (ZnodeRet::Done, Some((0, new.clone()))),
            ZnodeOp::Read
            | ZnodeOp::Write(_)
            | ZnodeOp::WriteIf(..)
            | ZnodeOp::Delete
            | ZnodeOp::DeleteIf(_) => (ZnodeRet::NoNode, None),
        };
    };
    let written = |new: &V| {
        let next = version.wrapping_add(1);
        (ZnodeRet::Version(next), Some((next, new.clone())))
    };
    match op {
        ZnodeOp::Create(_) => (ZnodeRet::NodeExists, state.clone()),
        ZnodeOp::Read => (ZnodeRet::Data(*version, data.clone()), state.clone()),
        ZnodeOp::WriteIf(expected, _) | ZnodeOp::DeleteIf(expected) if expected != version => {
            (ZnodeRet::BadVersion, state.clone())
        }
        ZnodeOp::Write(new) | ZnodeOp::WriteIf(_, new) => written(new),
        ZnodeOp::Delete | ZnodeOp::DeleteIf(_) => (ZnodeRet::Done, None),
    }
}
