//! Histories that come from a real thing, made by processes that take turns at random.

use std::time::Duration;

use super::things::{Random, Thing};
use crate::checkers::linearizability::{Operations, Spec};

/// What happens to an operation, which is named by its number.
#[derive(Clone, Debug)]
pub(super) enum Event<Op, Ret> {
    Call(usize, u32, Op),
    Return(usize, Ret),
    NotApplied(usize),
}

impl<Op, Ret> Event<Op, Ret> {
    pub(super) const fn operation(&self) -> usize {
        match self {
            Self::Call(operation, ..)
            | Self::Return(operation, _)
            | Self::NotApplied(operation) => *operation,
        }
    }
}

/// How busy the processes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) processes: u32,
    pub(super) operations: usize,
    /// How many answers in a thousand are lost.
    pub(super) lost: u64,
}

enum Doing<Op, Ret> {
    Nothing,
    Called(usize, Op),
    Done(usize, Op, Ret),
}

pub(super) type Events<T> = Vec<Event<<T as Spec>::Op, <T as Spec>::Ret>>;

/// A linearizable history of the thing.
pub(super) fn events<T: Thing>(thing: &T, random: &mut Random, world: World) -> Events<T> {
    let mut events = Vec::new();
    let mut state = thing.initial();
    let mut doing: Vec<Doing<T::Op, T::Ret>> = Vec::new();
    let mut last: Vec<Option<(T::Op, T::Ret)>> = Vec::new();
    for _ in 0..world.processes {
        doing.push(Doing::Nothing);
        last.push(None);
    }
    // Calls nobody waits for any more, which may still take effect.
    let mut adrift: Vec<T::Op> = Vec::new();
    let mut calls = 0;
    // Some may be blocked for good: then they stay open.
    for _ in 0..60 * world.operations + 60 {
        let process = random.below(u64::from(world.processes)) as usize;
        let at = &mut doing[process];
        *at = match std::mem::replace(at, Doing::Nothing) {
            Doing::Nothing if calls == world.operations => Doing::Nothing,
            Doing::Nothing => {
                let op = thing.ask(random, process as u32, calls as u64, last[process].as_ref());
                events.push(Event::Call(calls, process as u32, op.clone()));
                calls += 1;
                Doing::Called(calls - 1, op)
            }
            Doing::Called(_, op) if random.below(1000) < world.lost => {
                adrift.push(op);
                Doing::Nothing
            }
            Doing::Called(number, op) => match thing.answer(&state, &op) {
                Some(ret) => {
                    state = effect(thing, &state, &op, &ret);
                    Doing::Done(number, op, ret)
                }
                None => Doing::Called(number, op),
            },
            Doing::Done(..) if random.below(1000) < world.lost => Doing::Nothing,
            Doing::Done(number, op, ret) => {
                last[process] = Some((op, ret.clone()));
                events.push(Event::Return(number, ret));
                Doing::Nothing
            }
        };
        if !adrift.is_empty() && random.below(8) == 0 {
            let op = adrift.swap_remove(random.below(adrift.len() as u64) as usize);
            if let Some(ret) = thing.answer(&state, &op) {
                state = effect(thing, &state, &op, &ret);
            }
        }
    }
    events
}

fn effect<T: Thing>(thing: &T, state: &T::State, op: &T::Op, ret: &T::Ret) -> T::State {
    let mut next = thing.step(state, op, Some(ret)).into_iter();
    next.next().expect("the thing's answers are possible")
}

/// Changes something that may well be noticed.
pub(super) fn spoil<T: Thing>(thing: &T, random: &mut Random, events: &mut Events<T>) {
    if events.is_empty() {
        return;
    }
    let at = random.below(events.len() as u64) as usize;
    if random.below(3) == 0 {
        if at > 0 && events[at].operation() != events[at - 1].operation() {
            events.swap(at, at - 1);
        }
        return;
    }
    let ops: Vec<(usize, T::Op)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Call(number, _, op) => Some((*number, op.clone())),
            Event::Return(..) | Event::NotApplied(_) => None,
        })
        .collect();
    if let Event::Return(number, ret) = &mut events[at] {
        let number = *number;
        let op = &ops
            .iter()
            .find(|op| op.0 == number)
            .expect("it was called")
            .1;
        *ret = thing.lie(random, op);
        if random.below(6) == 0 {
            events[at] = Event::NotApplied(number);
        }
    }
}

/// The history of the events, a millisecond apart.
pub(super) fn history<T: Thing>(events: &Events<T>) -> Operations<T::Op, T::Ret> {
    let mut history = Operations::new();
    let mut names = std::collections::BTreeMap::new();
    for (at, event) in (1..).zip(events) {
        let at = Duration::from_millis(at);
        match event {
            Event::Call(number, process, op) => {
                names.insert(*number, history.invoke(*process, at, op.clone()));
            }
            Event::Return(number, ret) => history.returned(names[number], at, ret.clone()),
            Event::NotApplied(number) => history.not_applied(names[number]),
        }
    }
    history
}
