//! The search for an order: Wing and Gong's, with Lowe's memory of what was tried.
//!
//! It places one operation after the other. What may come next is what was called
//! before the first return that has no place yet. A position (which operations are
//! placed, and the state) is tried once, whatever order led to it. Beyond that:
//!
//! - Operations that may go first are placed as soon as their answer is right, and no
//!   other way is tried.
//! - Operations without an answer may stay without a place. They are tried last, equal
//!   ones in the order of their calls, and a position is not tried if the same one
//!   failed with fewer of them used up.

use rustc_hash::FxHashMap;

use super::bits::{Bits, is_subset};
use super::budget::{Budget, Exhausted};
use super::operations::Operations;
use super::plan::Plan;
use super::spec::Spec;

/// What came of a search.
pub(super) struct Searched<State> {
    pub(super) result: Result<Option<Order<State>>, Exhausted>,
    /// How many answered operations had a place, in the order of their returns and
    /// without a gap, when it came furthest.
    pub(super) furthest: u32,
    pub(super) dead_end: DeadEnd<State>,
}

/// An order of operations, and where it leads.
pub(super) struct Order<State> {
    /// Places in the history.
    pub(super) order: Vec<usize>,
    pub(super) state: State,
}

/// Where the search came furthest and had to turn back.
pub(super) struct DeadEnd<State> {
    pub(super) furthest: u32,
    /// Places in the history: one order that leads there.
    pub(super) order: Vec<usize>,
    /// The states there, at most [`STATES_SHOWN`].
    pub(super) states: Vec<State>,
}

/// How many states of a dead end are kept: more would not be read.
pub(super) const STATES_SHOWN: usize = 8;

impl<State: Clone + PartialEq> DeadEnd<State> {
    /// The position's state comes first, and alone if nothing came as far before.
    fn lead_to<S: Spec<State = State>>(&mut self, position: &Position<S>, alone: bool) {
        if alone {
            self.states.clear();
        }
        self.furthest = position.low;
        self.states.retain(|state| *state != position.state);
        self.states.insert(0, position.state.clone());
        self.states.truncate(STATES_SHOWN);
    }

    fn add(&mut self, state: &State) {
        if !self.states.contains(state) {
            self.states.push(state.clone());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Answered(u32),
    Open(u32),
}

/// Some operations have their place; what next?
struct Position<S: Spec> {
    state: S::State,
    /// The lowest answered operation without a place.
    low: u32,
    /// How many of [`Plan::by_call`] were called before that one returned.
    called: usize,
    /// Those of them without a place, and open ones that are preferred, in that order.
    pending: Vec<Slot>,
    /// How many of [`Plan::open`] were called before that return.
    open: u32,
    /// How many operations had a place before the step that led here.
    placed_before: usize,
    /// How many candidates were tried: first those pending, then those open.
    tried: usize,
    /// The candidate tried last, and outcomes of it which were not.
    outcomes: Option<(Slot, <S::Next as IntoIterator>::IntoIter)>,
}

/// A position that was tried, but for the open operations it used up.
#[derive(PartialEq, Eq, Hash)]
struct Tried<State> {
    low: u32,
    done: Box<[u64]>,
    state: State,
}

pub(super) struct Search<'s, 'b, S: Spec> {
    spec: &'s S,
    history: &'s Operations<S::Op, S::Ret>,
    plan: &'s Plan,
    budget: &'s mut Budget<'b>,
    /// The answered operations that have a place.
    done: Bits,
    /// The open ones.
    used: Bits,
    order: Vec<Slot>,
    /// For each position the sets of open operations it was tried with.
    tried: FxHashMap<Tried<S::State>, Vec<Box<[u64]>>>,
    remembered: u64,
    furthest: u32,
    dead_end: DeadEnd<S::State>,
}

impl<'s, 'b, S: Spec> Search<'s, 'b, S> {
    pub(super) fn new(
        spec: &'s S,
        history: &'s Operations<S::Op, S::Ret>,
        plan: &'s Plan,
        budget: &'s mut Budget<'b>,
    ) -> Self {
        Self {
            spec,
            history,
            plan,
            budget,
            done: Bits::below(plan.answered.len()),
            used: Bits::below(plan.open.len()),
            order: Vec::new(),
            tried: FxHashMap::default(),
            remembered: 0,
            furthest: 0,
            dead_end: DeadEnd {
                furthest: 0,
                order: Vec::new(),
                states: Vec::new(),
            },
        }
    }

    pub(super) fn run(mut self) -> Searched<S::State> {
        let result = self.find();
        Searched {
            result,
            furthest: self.furthest,
            dead_end: self.dead_end,
        }
    }

    fn find(&mut self) -> Result<Option<Order<S::State>>, Exhausted> {
        let mut way = Vec::new();
        let mut next = Some(self.start());
        loop {
            if let Some(mut position) = next.take() {
                self.hurry(&mut position)?;
                self.furthest = self.furthest.max(position.low);
                if position.low as usize == self.plan.answered.len() {
                    return Ok(Some(self.found(position)));
                }
                if self.is_new(&position)? {
                    way.push(position);
                } else {
                    self.take_back(position.placed_before);
                }
            }
            let Some(position) = way.last_mut() else {
                return Ok(None);
            };
            next = self.step_from(position)?;
            if next.is_none()
                && let Some(position) = way.pop()
            {
                self.turn_back(&position);
            }
        }
    }

    fn start(&self) -> Position<S> {
        let mut start = Position {
            state: self.spec.initial(),
            low: 0,
            called: 0,
            pending: Vec::new(),
            open: 0,
            placed_before: 0,
            tried: 0,
            outcomes: None,
        };
        self.advance(&mut start);
        start
    }

    /// The next position that a single operation leads to.
    fn step_from(&mut self, from: &mut Position<S>) -> Result<Option<Position<S>>, Exhausted> {
        loop {
            if let Some((slot, states)) = &mut from.outcomes {
                let slot = *slot;
                match states.next() {
                    // Without an effect it may as well stay open.
                    Some(state) if matches!(slot, Slot::Open(_)) && state == from.state => continue,
                    Some(state) => return Ok(Some(self.place(from, slot, state))),
                    None => from.outcomes = None,
                }
            }
            let Some(slot) = self.next_candidate(from) else {
                return Ok(None);
            };
            from.outcomes = Some((slot, self.outcomes(&from.state, slot)?.into_iter()));
        }
    }

    fn next_candidate(&self, from: &mut Position<S>) -> Option<Slot> {
        while let Some(&slot) = from.pending.get(from.tried) {
            from.tried += 1;
            let is_candidate = match slot {
                // Of those that may go first, the possible ones are placed.
                Slot::Answered(number) => !self.plan.answered[number as usize].may_go_first,
                Slot::Open(number) => self.is_free(number),
            };
            if is_candidate {
                return Some(slot);
            }
        }
        loop {
            let number = (from.tried - from.pending.len()) as u32;
            if number >= from.open {
                return None;
            }
            from.tried += 1;
            if !self.plan.open[number as usize].is_preferred() && self.is_free(number) {
                return Some(Slot::Open(number));
            }
        }
    }

    /// Whether the open operation has no place and its twin has.
    fn is_free(&self, number: u32) -> bool {
        let twin = self.plan.open[number as usize].twin;
        !self.used.contains(number) && twin.is_none_or(|twin| self.used.contains(twin))
    }

    fn outcomes(&mut self, state: &S::State, slot: Slot) -> Result<S::Next, Exhausted> {
        self.budget.step()?;
        let operation = &self.history[self.operation(slot)];
        let ret = match slot {
            Slot::Answered(_) => operation.returned.as_ref().map(|(_, ret)| ret),
            // In the prefix of a history it may have an answer that comes later.
            Slot::Open(_) => None,
        };
        Ok(self.spec.step(state, &operation.op, ret))
    }

    fn place(&mut self, from: &Position<S>, slot: Slot, state: S::State) -> Position<S> {
        let mut position = Position {
            state,
            low: from.low,
            called: from.called,
            pending: from.pending.clone(),
            open: from.open,
            placed_before: self.order.len(),
            tried: 0,
            outcomes: None,
        };
        self.put(&mut position, slot);
        position
    }

    fn put(&mut self, position: &mut Position<S>, slot: Slot) {
        self.order.push(slot);
        position.pending.retain(|&pending| pending != slot);
        match slot {
            Slot::Answered(number) => {
                self.done.insert(number);
                self.advance(position);
            }
            Slot::Open(number) => self.used.insert(number),
        }
    }

    /// Passes the returns of what has a place, and lets in what was called before the
    /// next one.
    fn advance(&self, position: &mut Position<S>) {
        let Plan {
            answered,
            by_call,
            open,
        } = self.plan;
        while (position.low as usize) < answered.len() && self.done.contains(position.low) {
            position.low += 1;
        }
        let until = self.plan.returned(position.low).unwrap_or(u64::MAX);
        while let Some(&number) = by_call.get(position.called)
            && answered[number as usize].invoked < until
        {
            self.let_in(position, Slot::Answered(number));
            position.called += 1;
        }
        while let Some(next) = open.get(position.open as usize)
            && next.invoked < until
        {
            if next.is_preferred() {
                self.let_in(position, Slot::Open(position.open));
            }
            position.open += 1;
        }
    }

    fn let_in(&self, position: &mut Position<S>, slot: Slot) {
        let preference = |slot: Slot| match slot {
            Slot::Answered(number) => self.plan.answered[number as usize].preference,
            Slot::Open(number) => self.plan.open[number as usize].preference,
        };
        let before = |&pending: &Slot| preference(pending) < preference(slot);
        let at = position.pending.partition_point(before);
        position.pending.insert(at, slot);
    }

    /// Places every operation that may go first and can, also those which only that
    /// lets in or makes possible.
    fn hurry(&mut self, position: &mut Position<S>) -> Result<(), Exhausted> {
        let mut at = 0;
        while let Some(&slot) = position.pending.get(at) {
            at += 1;
            let Slot::Answered(number) = slot else {
                continue;
            };
            if !self.plan.answered[number as usize].may_go_first {
                continue;
            }
            if let Some(state) = self.outcomes(&position.state, slot)?.into_iter().next() {
                let same = state == position.state;
                let called = position.called;
                position.state = state;
                self.put(position, slot);
                // The answers to the others stay what they were, unless something changed.
                at = if same && called == position.called {
                    at - 1
                } else {
                    0
                };
            }
        }
        Ok(())
    }

    /// Whether the position was not tried yet, nor one with more freedom.
    fn is_new(&mut self, position: &Position<S>) -> Result<bool, Exhausted> {
        let used = self.used.all();
        let key = Tried {
            low: position.low,
            done: self.done.from(position.low).into(),
            state: position.state.clone(),
        };
        let with = self.tried.entry(key).or_default();
        if with.iter().any(|with| is_subset(used, with)) {
            return Ok(false);
        }
        let before = with.len() as u64;
        with.retain(|with| !is_subset(with, used));
        with.push(used.into());
        self.remembered = self.remembered + with.len() as u64 - before;
        self.budget.room_for(self.remembered)?;
        Ok(true)
    }

    fn turn_back(&mut self, position: &Position<S>) {
        let end = &self.dead_end;
        let is_first = end.states.is_empty() || position.low > end.furthest;
        // Of several ways the shortest says most: it supposes least about open ones.
        if is_first || position.low == end.furthest && self.order.len() < end.order.len() {
            self.dead_end.order = self.operations();
            self.dead_end.lead_to(position, is_first);
        } else if position.low == end.furthest && end.states.len() < STATES_SHOWN {
            self.dead_end.add(&position.state);
        }
        self.take_back(position.placed_before);
    }

    fn take_back(&mut self, placed_before: usize) {
        for slot in self.order.drain(placed_before..) {
            match slot {
                Slot::Answered(number) => self.done.remove(number),
                Slot::Open(number) => self.used.remove(number),
            }
        }
    }

    fn found(&self, position: Position<S>) -> Order<S::State> {
        Order {
            order: self.operations(),
            state: position.state,
        }
    }

    fn operations(&self) -> Vec<usize> {
        let operation = |&slot: &Slot| self.operation(slot);
        self.order.iter().map(operation).collect()
    }

    fn operation(&self, slot: Slot) -> usize {
        match slot {
            Slot::Answered(number) => self.plan.answered[number as usize].operation,
            Slot::Open(number) => self.plan.open[number as usize].operation,
        }
    }
}
