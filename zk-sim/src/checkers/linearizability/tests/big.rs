//! Long histories of many processes are decided in few steps.

use super::agreement::assert_explains;
use super::things::{Random, Register, Thing};
use super::worlds::{Event, Events, World, events, history};
use crate::checkers::linearizability::specs::barrier::{Barrier, BarrierOp, BarrierRet};
use crate::checkers::linearizability::specs::counter::Counter;
use crate::checkers::linearizability::specs::fifo_queue::{
    BadPattern, FifoQueue, QueueOp, QueueRet, bad_pattern,
};
use crate::checkers::linearizability::specs::leadership::{
    Leadership, LeadershipOp, LeadershipRet,
};
use crate::checkers::linearizability::specs::mutex::{Mutex, MutexOp, MutexRet};
use crate::checkers::linearizability::specs::semaphore::{Semaphore, SemaphoreOp, SemaphoreRet};
use crate::checkers::linearizability::specs::znode::{Znode, ZnodeOp, ZnodeRet};
use crate::checkers::linearizability::{Budget, Verdict, check};

const OPERATIONS: usize = 2000;
const PROCESSES: [u32; 3] = [4, 8, 16];
const STEPS: u64 = 500_000;

#[test]
fn znodes() {
    decide(&Znode::holding(0, 0), 3, 3, |op| match op {
        ZnodeOp::Read => Some(ZnodeRet::Data(1, u64::MAX)),
        _ => None,
    });
}

/// To refuse it with sixteen processes, every order of the writes that overlapped would
/// have to be tried.
#[test]
fn registers() {
    for processes in PROCESSES {
        accept(&Register, processes, 3);
    }
    for processes in [4, 8] {
        refuse(&Register, processes, 0, |write| {
            write.is_none().then_some(u64::MAX)
        });
    }
}

#[test]
fn mutexes() {
    decide(&Mutex, 3, 0, |op| match op {
        // It was refused: the owner did not have it.
        MutexOp::Release(_) => Some(MutexRet::Done),
        MutexOp::Acquire(_) => None,
    });
}

#[test]
fn leadership() {
    decide(&Leadership, 3, 3, |op| match op {
        LeadershipOp::Lead(_) => Some(LeadershipRet::Elected { term: 1 }),
        LeadershipOp::Resign(_) | LeadershipOp::Observe => None,
    });
}

/// Refused without a search, which would try every order of the puts. And without
/// losses: for a take whose answer is lost there are too many places.
#[test]
fn queues() {
    for processes in PROCESSES {
        let mut events = accept(&FifoQueue::new(), processes, 0);
        let take = spoil_the_middle::<FifoQueue<u64>>(&mut events, |op| match op {
            QueueOp::Take => Some(QueueRet::Took(u64::MAX)),
            QueueOp::Put(_) => None,
        });
        let found = bad_pattern(&history::<FifoQueue<u64>>(&events));
        assert_eq!(found, Some(BadPattern::FromNowhere { take }));
    }
}

#[test]
fn counters() {
    decide(&Counter, 3, 3, |_| Some(1 << 40));
}

/// To refuse it with sixteen processes, every set of them that may have had the leases
/// would have to be tried.
#[test]
fn semaphores() {
    let three = Semaphore { leases: 3 };
    for processes in PROCESSES {
        accept(&three, processes, 1);
    }
    for processes in [4, 8] {
        refuse(&three, processes, 0, |op| match op {
            SemaphoreOp::Return(_) => Some(SemaphoreRet::Done),
            SemaphoreOp::Acquire(_) => None,
        });
    }
}

#[test]
fn barriers() {
    decide(&Barrier, 3, 3, |op| match op {
        BarrierOp::Pass => Some(BarrierRet::Refused),
        BarrierOp::Raise | BarrierOp::Lower => None,
    });
}

/// What the thing did is accepted, and refused with one answer in the middle replaced by
/// one that is impossible. Of a thousand answers so many are lost in the one and in the
/// other; what is lost may explain much.
fn decide<T: Thing>(
    thing: &T,
    lost_in_good: u64,
    lost_in_bad: u64,
    impossible: impl Fn(&T::Op) -> Option<T::Ret>,
) {
    for processes in PROCESSES {
        accept(thing, processes, lost_in_good);
        refuse(thing, processes, lost_in_bad, &impossible);
    }
}

fn refuse<T: Thing>(
    thing: &T,
    processes: u32,
    lost: u64,
    impossible: impl Fn(&T::Op) -> Option<T::Ret>,
) {
    let mut events = accept(thing, processes, lost);
    let offender = spoil_the_middle::<T>(&mut events, impossible);
    match check(thing, &history::<T>(&events), &mut Budget::steps(STEPS)) {
        Verdict::Violation(violation) => assert_eq!(violation.offender, offender),
        verdict => panic!("{processes} processes: {verdict:?}"),
    }
}

fn accept<T: Thing>(thing: &T, processes: u32, lost: u64) -> Events<T> {
    let world = World {
        processes,
        operations: OPERATIONS,
        lost,
    };
    let events = events(thing, &mut Random(processes.into()), world);
    let history = history::<T>(&events);
    match check(thing, &history, &mut Budget::steps(STEPS)) {
        Verdict::Linearizable(witness) => assert_explains(thing, &history, &witness.order),
        verdict => panic!("{world:?}: {verdict:?}"),
    }
    events
}

fn spoil_the_middle<T: Thing>(
    events: &mut Events<T>,
    impossible: impl Fn(&T::Op) -> Option<T::Ret>,
) -> usize {
    let ops: Vec<T::Op> = events
        .iter()
        .filter_map(|event| match event {
            Event::Call(_, _, op) => Some(op.clone()),
            Event::Return(..) | Event::NotApplied(_) => None,
        })
        .collect();
    let middle = events.len() / 2;
    for event in &mut events[middle..] {
        if let Event::Return(number, ret) = event
            && let Some(lie) = impossible(&ops[*number])
            && format!("{lie:?}") != format!("{ret:?}")
        {
            *ret = lie;
            return *number;
        }
    }
    panic!("nothing to spoil");
}
