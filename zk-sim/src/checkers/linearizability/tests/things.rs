//! Things that answer, right or wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::checkers::linearizability::Spec;
use crate::checkers::linearizability::specs::barrier::{Barrier, BarrierOp, BarrierRet};
use crate::checkers::linearizability::specs::counter::{Add, Counter};
use crate::checkers::linearizability::specs::fifo_queue::{FifoQueue, QueueOp, QueueRet};
use crate::checkers::linearizability::specs::leadership::{
    Leadership, LeadershipOp, LeadershipRet, Reign,
};
use crate::checkers::linearizability::specs::mutex::{Mutex, MutexOp, MutexRet};
use crate::checkers::linearizability::specs::semaphore::{Semaphore, SemaphoreOp, SemaphoreRet};
use crate::checkers::linearizability::specs::znode::{Znode, ZnodeOp, ZnodeRet};

/// Numbers from a seed (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A specification together with what processes ask and what they are told.
pub(super) trait Thing: Spec<Op: Clone, Ret: Clone> {
    /// What the process asks next; `last` is what it asked and was told before, and
    /// `fresh` differs each time.
    fn ask(
        &self,
        random: &mut Random,
        process: u32,
        fresh: u64,
        last: Option<&(Self::Op, Self::Ret)>,
    ) -> Self::Op;
    /// What it is told; `None` if it has to wait.
    fn answer(&self, state: &Self::State, op: &Self::Op) -> Option<Self::Ret>;
    /// Any answer that might be told.
    fn lie(&self, random: &mut Random, op: &Self::Op) -> Self::Ret;
}

impl Thing for Znode<u64> {
    fn ask(&self, random: &mut Random, _: u32, fresh: u64, last: Option<&Told>) -> ZnodeOp<u64> {
        let version = match last {
            Some((_, ZnodeRet::Data(version, _) | ZnodeRet::Version(version))) => *version,
            _ => 0,
        };
        match random.below(12) {
            0 => ZnodeOp::Create(fresh),
            1 => ZnodeOp::Write(random.below(2)),
            2 | 3 => ZnodeOp::Write(fresh),
            4..7 => ZnodeOp::WriteIf(version, fresh),
            7 => ZnodeOp::Delete,
            8 => ZnodeOp::DeleteIf(version),
            _ => ZnodeOp::Read,
        }
    }

    fn answer(&self, state: &Option<(i32, u64)>, op: &ZnodeOp<u64>) -> Option<ZnodeRet<u64>> {
        let bad = |version: i32| state.is_some_and(|(now, _)| now != version);
        Some(match (state, op) {
            (None, ZnodeOp::Create(_)) => ZnodeRet::Done,
            (None, _) => ZnodeRet::NoNode,
            (Some(_), ZnodeOp::Create(_)) => ZnodeRet::NodeExists,
            (Some((version, data)), ZnodeOp::Read) => ZnodeRet::Data(*version, *data),
            (_, ZnodeOp::WriteIf(version, _) | ZnodeOp::DeleteIf(version)) if bad(*version) => {
                ZnodeRet::BadVersion
            }
            (Some((version, _)), ZnodeOp::Write(_) | ZnodeOp::WriteIf(..)) => {
                ZnodeRet::Version(version + 1)
            }
            (Some(_), ZnodeOp::Delete | ZnodeOp::DeleteIf(_)) => ZnodeRet::Done,
        })
    }

    fn lie(&self, random: &mut Random, op: &ZnodeOp<u64>) -> ZnodeRet<u64> {
        let version = random.below(3) as i32;
        let (done, refused) = match op {
            ZnodeOp::Create(_) => (ZnodeRet::Done, ZnodeRet::NodeExists),
            ZnodeOp::Read => (ZnodeRet::Data(version, random.below(6)), ZnodeRet::NoNode),
            ZnodeOp::Write(_) => (ZnodeRet::Version(version), ZnodeRet::NoNode),
            ZnodeOp::WriteIf(..) => (ZnodeRet::Version(version), ZnodeRet::BadVersion),
            ZnodeOp::Delete => (ZnodeRet::Done, ZnodeRet::NoNode),
            ZnodeOp::DeleteIf(_) => (ZnodeRet::Done, ZnodeRet::BadVersion),
        };
        if random.below(2) == 0 { done } else { refused }
    }
}

type Told = (ZnodeOp<u64>, ZnodeRet<u64>);

impl Thing for Mutex {
    fn ask(
        &self,
        random: &mut Random,
        process: u32,
        _: u64,
        last: Option<&(MutexOp, MutexRet)>,
    ) -> MutexOp {
        let owner = u64::from(process);
        let holds = matches!(last, Some((MutexOp::Acquire(_), MutexRet::Done)));
        if holds || random.below(8) == 0 {
            MutexOp::Release(owner)
        } else {
            MutexOp::Acquire(owner)
        }
    }

    fn answer(&self, holder: &Option<u64>, op: &MutexOp) -> Option<MutexRet> {
        match op {
            // The odd ones try once, the even ones wait.
            MutexOp::Acquire(owner) if holder.is_some() => {
                (owner % 2 == 1).then_some(MutexRet::Refused)
            }
            MutexOp::Release(owner) if *holder != Some(*owner) => Some(MutexRet::Refused),
            MutexOp::Acquire(_) | MutexOp::Release(_) => Some(MutexRet::Done),
        }
    }

    fn lie(&self, random: &mut Random, _: &MutexOp) -> MutexRet {
        [MutexRet::Done, MutexRet::Refused][random.below(2) as usize]
    }
}

impl Thing for Leadership {
    fn ask(
        &self,
        random: &mut Random,
        process: u32,
        _: u64,
        last: Option<&(LeadershipOp, LeadershipRet)>,
    ) -> LeadershipOp {
        let leads = matches!(last, Some((_, LeadershipRet::Elected { .. })));
        match random.below(4) {
            0 => LeadershipOp::Observe,
            _ if leads => LeadershipOp::Resign(process.into()),
            1 => LeadershipOp::Resign(process.into()),
            _ => LeadershipOp::Lead(process.into()),
        }
    }

    fn answer(&self, reign: &Reign, op: &LeadershipOp) -> Option<LeadershipRet> {
        Some(match (op, reign.leader) {
            (LeadershipOp::Lead(_), None) => LeadershipRet::Elected {
                term: reign.term + 1,
            },
            (LeadershipOp::Resign(who), Some(leader)) if *who == leader => LeadershipRet::Resigned,
            (LeadershipOp::Lead(_), Some(_)) | (LeadershipOp::Resign(_), _) => {
                LeadershipRet::Refused
            }
            (LeadershipOp::Observe, None) => LeadershipRet::Nobody,
            (LeadershipOp::Observe, Some(who)) => LeadershipRet::Leader {
                who,
                term: reign.term,
            },
        })
    }

    fn lie(&self, random: &mut Random, op: &LeadershipOp) -> LeadershipRet {
        let term = random.below(4);
        let (one, other) = match op {
            LeadershipOp::Lead(_) => (LeadershipRet::Elected { term }, LeadershipRet::Refused),
            LeadershipOp::Resign(_) => (LeadershipRet::Resigned, LeadershipRet::Refused),
            LeadershipOp::Observe => {
                let who = random.below(3);
                (LeadershipRet::Leader { who, term }, LeadershipRet::Nobody)
            }
        };
        if random.below(3) > 0 { one } else { other }
    }
}

impl Thing for FifoQueue<u64> {
    fn ask(
        &self,
        random: &mut Random,
        _: u32,
        fresh: u64,
        _: Option<&(QueueOp<u64>, QueueRet<u64>)>,
    ) -> QueueOp<u64> {
        if random.below(2) == 0 {
            QueueOp::Put(fresh)
        } else {
            QueueOp::Take
        }
    }

    fn answer(&self, queue: &VecDeque<u64>, op: &QueueOp<u64>) -> Option<QueueRet<u64>> {
        Some(match op {
            QueueOp::Put(_) => QueueRet::Put,
            QueueOp::Take => queue
                .front()
                .map_or(QueueRet::Empty, |&first| QueueRet::Took(first)),
        })
    }

    fn lie(&self, random: &mut Random, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Put(_) => QueueRet::Put,
            QueueOp::Take if random.below(3) == 0 => QueueRet::Empty,
            QueueOp::Take => QueueRet::Took(random.below(5)),
        }
    }
}

impl Thing for Counter {
    fn ask(&self, random: &mut Random, _: u32, _: u64, _: Option<&(Add, i64)>) -> Add {
        Add(random.below(4) as i64 - 1)
    }

    fn answer(&self, state: &i64, op: &Add) -> Option<i64> {
        Some(state + op.0)
    }

    fn lie(&self, random: &mut Random, _: &Add) -> i64 {
        random.below(7) as i64 - 1
    }
}

impl Thing for Semaphore {
    fn ask(
        &self,
        random: &mut Random,
        _: u32,
        fresh: u64,
        last: Option<&(SemaphoreOp, SemaphoreRet)>,
    ) -> SemaphoreOp {
        match last {
            Some((SemaphoreOp::Acquire(lease), SemaphoreRet::Done)) => SemaphoreOp::Return(*lease),
            _ if random.below(10) == 0 => SemaphoreOp::Return(fresh / 2),
            _ => SemaphoreOp::Acquire(fresh),
        }
    }

    fn answer(&self, taken: &BTreeSet<u64>, op: &SemaphoreOp) -> Option<SemaphoreRet> {
        match op {
            SemaphoreOp::Acquire(lease) if taken.len() == self.leases => {
                (lease % 2 == 0).then_some(SemaphoreRet::Refused)
            }
            SemaphoreOp::Return(lease) if !taken.contains(lease) => Some(SemaphoreRet::Refused),
            SemaphoreOp::Acquire(_) | SemaphoreOp::Return(_) => Some(SemaphoreRet::Done),
        }
    }

    fn lie(&self, random: &mut Random, _: &SemaphoreOp) -> SemaphoreRet {
        [SemaphoreRet::Done, SemaphoreRet::Refused][random.below(2) as usize]
    }
}

impl Thing for Barrier {
    fn ask(
        &self,
        random: &mut Random,
        _: u32,
        _: u64,
        _: Option<&(BarrierOp, BarrierRet)>,
    ) -> BarrierOp {
        [BarrierOp::Raise, BarrierOp::Lower, BarrierOp::Pass][random.below(3) as usize]
    }

    fn answer(&self, &up: &bool, op: &BarrierOp) -> Option<BarrierRet> {
        match op {
            BarrierOp::Raise if up => Some(BarrierRet::Refused),
            BarrierOp::Lower if !up => Some(BarrierRet::Refused),
            BarrierOp::Pass if up => None,
            BarrierOp::Raise | BarrierOp::Lower | BarrierOp::Pass => Some(BarrierRet::Done),
        }
    }

    fn lie(&self, random: &mut Random, _: &BarrierOp) -> BarrierRet {
        [BarrierRet::Done, BarrierRet::Refused][random.below(2) as usize]
    }
}

/// Elements in no order: a take whose answer is lost has several outcomes. Taking the
/// same from a bag twice needs it to be put twice, so states are counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bag;

impl Spec for Bag {
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    type State = BTreeMap<u64, u32>;
    type Next = Vec<BTreeMap<u64, u32>>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(
        &self,
        bag: &Self::State,
        op: &QueueOp<u64>,
        ret: Option<&QueueRet<u64>>,
    ) -> Self::Next {
        let without = |value: &u64| {
            let mut bag = bag.clone();
            if bag.remove(value)? > 1 {
                bag.insert(*value, 1);
            }
            Some(bag)
        };
        match (op, ret) {
            (QueueOp::Put(value), Some(QueueRet::Put) | None) => {
                let mut bag = bag.clone();
                let count = bag.entry(*value).or_default();
                *count = (*count + 1).min(2);
                vec![bag]
            }
            (QueueOp::Take, Some(QueueRet::Took(value))) => without(value).into_iter().collect(),
            (QueueOp::Take, None) => bag.keys().filter_map(without).collect(),
            (QueueOp::Take, Some(QueueRet::Empty)) if bag.is_empty() => vec![bag.clone()],
            (_, Some(_)) => Vec::new(),
        }
    }

    fn may_go_first(&self, _: &QueueOp<u64>, ret: &QueueRet<u64>) -> bool {
        *ret == QueueRet::Empty
    }
}

impl Thing for Bag {
    fn ask(
        &self,
        random: &mut Random,
        _: u32,
        _: u64,
        _: Option<&(QueueOp<u64>, QueueRet<u64>)>,
    ) -> QueueOp<u64> {
        if random.below(2) == 0 {
            QueueOp::Put(random.below(3))
        } else {
            QueueOp::Take
        }
    }

    fn answer(&self, bag: &Self::State, op: &QueueOp<u64>) -> Option<QueueRet<u64>> {
        Some(match op {
            QueueOp::Put(_) => QueueRet::Put,
            QueueOp::Take => bag
                .keys()
                .next_back()
                .map_or(QueueRet::Empty, |&v| QueueRet::Took(v)),
        })
    }

    fn lie(&self, random: &mut Random, op: &QueueOp<u64>) -> QueueRet<u64> {
        FifoQueue::new().lie(random, op)
    }
}

/// A number that is written without an answer that tells the order of the writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register;

/// Write this, or read.
pub(super) type Store = Option<u64>;

impl Spec for Register {
    type Op = Store;
    /// The number afterwards.
    type Ret = u64;
    type State = u64;
    type Next = Option<u64>;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, write: &Store, ret: Option<&u64>) -> Option<u64> {
        let next = write.unwrap_or(*state);
        ret.is_none_or(|&ret| ret == next).then_some(next)
    }

    fn may_go_first(&self, write: &Store, _: &u64) -> bool {
        write.is_none()
    }
}

impl Thing for Register {
    fn ask(&self, random: &mut Random, _: u32, _: u64, _: Option<&(Store, u64)>) -> Store {
        (random.below(2) == 0).then(|| random.below(4))
    }

    fn answer(&self, state: &u64, write: &Store) -> Option<u64> {
        Some(write.unwrap_or(*state))
    }

    fn lie(&self, random: &mut Random, _: &Store) -> u64 {
        random.below(4)
    }
}
