//! Thousands of small histories: the checker and brute force agree on each, a witness
//! explains every answer, and a violation names the return that is the first to show it.

use super::brute_force::is_linearizable;
use super::things::{Bag, Random, Register, Thing};
use super::worlds::{World, events, history, spoil};
use crate::checkers::linearizability::specs::barrier::Barrier;
use crate::checkers::linearizability::specs::counter::Counter;
use crate::checkers::linearizability::specs::fifo_queue::{FifoQueue, bad_pattern};
use crate::checkers::linearizability::specs::leadership::Leadership;
use crate::checkers::linearizability::specs::mutex::Mutex;
use crate::checkers::linearizability::specs::semaphore::Semaphore;
use crate::checkers::linearizability::specs::znode::Znode;
use crate::checkers::linearizability::{Budget, Operations, Spec, Verdict, Violation, check};

const HISTORIES: u64 = 3000;

#[test]
fn on_znodes() {
    agree(&Znode::absent(), 1);
    agree(&Znode::holding(0, 0), 2);
}

#[test]
fn on_mutexes() {
    agree(&Mutex, 3);
}

#[test]
fn on_leadership() {
    agree(&Leadership, 4);
}

#[test]
fn on_queues() {
    agree(&FifoQueue::new(), 5);
}

#[test]
fn on_counters() {
    agree(&Counter, 6);
}

#[test]
fn on_semaphores() {
    agree(&Semaphore { leases: 2 }, 7);
}

#[test]
fn on_barriers() {
    agree(&Barrier, 8);
}

#[test]
fn on_steps_with_several_outcomes() {
    agree(&Bag, 9);
}

#[test]
fn on_registers() {
    agree(&Register, 11);
}

#[test]
fn a_queue_with_a_bad_pattern_is_refused() {
    let queue = FifoQueue::new();
    let mut random = Random(10);
    let (mut refused, mut bad) = (0, 0);
    for number in 0..HISTORIES {
        let history = small(&queue, &mut random, number);
        let linearizable = is_linearizable(&queue, &history, usize::MAX);
        refused += u64::from(!linearizable);
        if let Some(pattern) = bad_pattern(&history) {
            assert!(!linearizable, "{pattern:?} in {history:?}");
            bad += 1;
        }
    }
    assert!(bad * 10 > refused * 9, "finds {bad} of {refused}");
}

fn agree<T: Thing>(thing: &T, seed: u64) {
    let mut random = Random(seed);
    let mut refused = 0;
    for number in 0..HISTORIES {
        let history = small(thing, &mut random, number);
        let verdict = check(thing, &history, &mut Budget::default());
        let again = check(thing, &history, &mut Budget::default());
        assert_eq!(verdict, again, "the same history has the same verdict");
        match verdict {
            Verdict::Linearizable(witness) => {
                assert!(is_linearizable(thing, &history, usize::MAX), "{history:?}");
                assert_explains(thing, &history, &witness.order);
            }
            Verdict::Violation(violation) => {
                refused += 1;
                // Only the spoilt ones can be wrong.
                assert!(number % 3 > 0, "{history:?}");
                assert_first(thing, &history, &violation);
            }
            Verdict::Undecided(undecided) => panic!("{undecided:?} about {history:?}"),
        }
    }
    let share = refused * 100 / HISTORIES;
    assert!((10..=66).contains(&share), "{share} % are refused");
}

fn small<T: Thing>(thing: &T, random: &mut Random, number: u64) -> Operations<T::Op, T::Ret> {
    let world = World {
        processes: 1 + random.below(4) as u32,
        operations: 1 + random.below(7) as usize,
        lost: [0, 100, 300][random.below(3) as usize],
    };
    let mut events = events(thing, random, world);
    for _ in 0..2 * (number % 3) {
        spoil(thing, random, &mut events);
    }
    history::<T>(&events)
}

pub(super) fn assert_explains<S: Spec>(
    spec: &S,
    history: &Operations<S::Op, S::Ret>,
    order: &[usize],
) {
    let mut states = vec![spec.initial()];
    for (place, &index) in order.iter().enumerate() {
        assert!(!order[..place].contains(&index), "twice in {order:?}");
        assert!(
            !history.is_not_applied(index),
            "never happened, in {order:?}"
        );
        let turned = |&later: &usize| history.precedes(later, index);
        assert!(
            !order[place..].iter().any(turned),
            "turned round in {order:?}"
        );
        let operation = &history[index];
        let ret = operation.returned.as_ref().map(|(_, ret)| ret);
        let steps = states
            .iter()
            .flat_map(|state| spec.step(state, &operation.op, ret));
        states = steps.collect();
        assert!(
            !states.is_empty(),
            "{operation:?} is impossible in {order:?}"
        );
    }
    let answered = |index: &usize| history[*index].returned.is_some();
    let missing = (0..history.len())
        .filter(answered)
        .find(|index| !order.contains(index));
    assert_eq!(missing, None, "has no place in {order:?}");
}

fn assert_first<S: Spec>(
    spec: &S,
    history: &Operations<S::Op, S::Ret>,
    violation: &Violation<S::State>,
) {
    assert!(violation.certain);
    let returned = history.return_order();
    let before = returned
        .iter()
        .filter(|&&at| at < returned[violation.offender]);
    let before = before.count();
    assert!(
        is_linearizable(spec, history, before),
        "{violation:?} of {history:?}"
    );
    assert!(
        !is_linearizable(spec, history, before + 1),
        "{violation:?} of {history:?}"
    );
    assert!(!is_linearizable(spec, history, usize::MAX), "{history:?}");
    let others = |index: &&usize| **index != violation.offender;
    let placed = violation.placed.iter().filter(others);
    let earlier = |index: &&usize| returned[**index] < returned[violation.offender];
    assert_eq!(placed.filter(earlier).count(), before, "{violation:?}");
    assert!(!violation.states.is_empty());
}
