//! A queue: first in, first out, each element once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use crate::checkers::linearizability::{Operation, Operations, Spec};

/// A queue of values, empty at first. No value may be put twice.
///
/// Look for a [`bad_pattern`] first: to refuse a long history, the search would have to
/// try every order of puts that overlapped. It accepts long ones easily, but with many
/// processes and takes without an answer it may remain undecided.
#[derive(Clone, Copy, Debug)]
pub struct FifoQueue<V>(PhantomData<V>);

/// What is asked of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOp<V> {
    /// Append this.
    Put(V),
    /// Remove the first.
    Take,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueRet<V> {
    /// It is in the queue.
    Put,
    /// This was the first.
    Took(V),
    /// There was none.
    Empty,
}

impl<V> FifoQueue<V> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V> Default for FifoQueue<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Clone + Ord + Hash + Debug> Spec for FifoQueue<V> {
    type Op = QueueOp<V>;
    type Ret = QueueRet<V>;
    type State = VecDeque<V>;
    type Next = Option<VecDeque<V>>;

    fn initial(&self) -> VecDeque<V> {
        VecDeque::new()
    }

    fn step(
        &self,
        queue: &VecDeque<V>,
        op: &QueueOp<V>,
        ret: Option<&QueueRet<V>>,
    ) -> Option<VecDeque<V>> {
        match (op, ret) {
            (QueueOp::Put(value), Some(QueueRet::Put) | None) => {
                let mut queue = queue.clone();
                queue.push_back(value.clone());
                Some(queue)
            }
            (QueueOp::Take, Some(QueueRet::Empty)) => queue.is_empty().then(|| queue.clone()),
            (QueueOp::Take, Some(QueueRet::Took(value))) => {
                (queue.front()? == value).then(|| without_first(queue))
            }
            (QueueOp::Take, None) => (!queue.is_empty()).then(|| without_first(queue)),
            (QueueOp::Put(_), Some(QueueRet::Took(_) | QueueRet::Empty))
            | (QueueOp::Take, Some(QueueRet::Put)) => None,
        }
    }

    /// Taking what nobody else can get, as no value is there twice, stands in nobody's
    /// way.
    fn may_go_first(&self, _op: &QueueOp<V>, ret: &QueueRet<V>) -> bool {
        match ret {
            QueueRet::Took(_) | QueueRet::Empty => true,
            QueueRet::Put => false,
        }
    }

    /// Puts in an order that fits the one in which the values are taken: a wrong one
    /// would be found out late.
    fn preference(&self, operations: &Operations<QueueOp<V>, QueueRet<V>>) -> Vec<u64> {
        let mut preference = operations.return_order();
        let passages = passages(operations);
        for (index, operation) in operations.iter().enumerate() {
            if value_put(operation).is_some() {
                preference[index] = u64::MAX;
            }
        }
        // A value is needed when it is taken, or one behind it.
        let scale = passages.len() as u64 + 1;
        let mut needed = u64::MAX;
        for (place, passage) in passages.iter().enumerate().rev() {
            needed = needed.min(passage.taking.1);
            preference[passage.put] = needed * scale + place as u64;
        }
        for (index, operation) in operations.iter().enumerate() {
            if matches!(operation.op, QueueOp::Take) {
                preference[index] = preference[index].saturating_mul(scale);
            }
        }
        preference
    }
}

/// A value's way through the queue.
struct Passage {
    put: usize,
    /// Call and return.
    putting: (u64, u64),
    taking: (u64, u64),
}

/// Of the values that were taken, in an order in which they may have been put and taken:
/// none before another whose put, or whose take, was over before its own was called. If
/// there is none such, in any order.
fn passages<V: Ord>(operations: &Operations<QueueOp<V>, QueueRet<V>>) -> Vec<Passage> {
    let returned = operations.return_order();
    let span = |index: usize| (operations.span(index).invoked, returned[index]);
    let taken = takes(operations);
    let mut left: Vec<Passage> = puts(operations)
        .into_iter()
        .filter_map(|(value, put)| {
            Some(Passage {
                put,
                putting: span(put),
                taking: span(taken.get(value)?[0]),
            })
        })
        .collect();
    left.sort_unstable_by_key(|passage| passage.putting.0);
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let next = next_through(&left);
        order.push(left.remove(next));
    }
    order
}

/// The one that goes next; they are in the order of the calls of their puts.
fn next_through(left: &[Passage]) -> usize {
    let put_by = left.iter().map(|passage| passage.putting.1).min();
    let taken_by = left.iter().map(|passage| passage.taking.1).min();
    let is_before = |call: u64, first_return: Option<u64>| first_return.is_none_or(|at| call <= at);
    let may = |passage: &Passage| {
        is_before(passage.putting.0, put_by) && is_before(passage.taking.0, taken_by)
    };
    let candidates = left.iter().enumerate().filter(|(_, passage)| may(passage));
    let next = candidates.min_by_key(|(_, passage)| passage.taking.1);
    next.map_or(0, |(next, _)| next)
}

/// Why a history cannot be that of a queue, seen from two values at most. Operations
/// are named by their index in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPattern {
    /// The value was taken, and never put, or put only afterwards.
    FromNowhere {
        /// The take.
        take: usize,
    },
    /// The value was taken twice.
    Twice {
        /// The take that is in the history first.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// One value was put before the other, and taken after it.
    Overtaken {
        /// The put of the value that came first.
        put: usize,
        /// The take of the other value.
        take: usize,
    },
    /// One value was put before the other, which was taken; it was not, and no take
    /// without an answer can have got it.
    Lost {
        /// The put of the value that is gone.
        put: usize,
        /// The take of the other value.
        take: usize,
    },
    /// A take found the queue empty, while a value was in it all the time.
    NotEmpty {
        /// The put of the value.
        put: usize,
        /// The take.
        take: usize,
    },
}

/// Looks for what no queue does, without a search: it cannot run out of anything, and
/// names the operations that contradict each other. Finding nothing is no proof.
pub fn bad_pattern<V: Ord>(operations: &Operations<QueueOp<V>, QueueRet<V>>) -> Option<BadPattern> {
    let taken = takes(operations);
    let puts = puts(operations);
    for (value, takes) in &taken {
        if let [first, second, ..] = takes[..] {
            return Some(BadPattern::Twice { first, second });
        }
        let put = puts.get(value);
        if put.is_none_or(|&put| operations.precedes(takes[0], put)) {
            return Some(BadPattern::FromNowhere { take: takes[0] });
        }
    }
    let calls = |index: usize| operations.span(index).invoked;
    let returned = operations.return_order();
    let takes_by_put = puts.iter().filter_map(|(value, &put)| {
        let take = taken.get(value)?[0];
        Some((calls(put), returned[take], take))
    });
    let takes_by_put = Soonest::new(takes_by_put.collect());
    let empties = (0..operations.len()).filter(|&index| found_empty(operations, index));
    let empties = Soonest::new(
        empties
            .map(|index| (calls(index), returned[index], index))
            .collect(),
    );
    let unknown = (0..operations.len()).filter(|&index| is_unknown_take(operations, index));
    let first_unknown = unknown.map(calls).min().unwrap_or(u64::MAX);
    puts.iter().find_map(|(value, &put)| {
        let own = taken.get(value).map(|takes| takes[0]);
        // It is in the queue at least from the return of the put until this.
        let until = own.map_or(first_unknown, calls);
        if let Some(take) = takes_by_put.after(returned[put], until) {
            return Some(match own {
                Some(_) => BadPattern::Overtaken { put, take },
                None => BadPattern::Lost { put, take },
            });
        }
        let take = empties.after(returned[put], until)?;
        Some(BadPattern::NotEmpty { put, take })
    })
}

/// Operations by some moment of each, to find the one of the later ones that returns
/// first.
struct Soonest {
    /// The moment, and of it and all later ones the earliest return, and whose.
    moments: Vec<(u64, u64, usize)>,
}

impl Soonest {
    /// From moment, return and operation.
    fn new(mut moments: Vec<(u64, u64, usize)>) -> Self {
        moments.sort_unstable();
        let mut soonest = (u64::MAX, usize::MAX);
        for (_, returned, operation) in moments.iter_mut().rev() {
            soonest = soonest.min((*returned, *operation));
            (*returned, *operation) = soonest;
        }
        Self { moments }
    }

    /// One whose moment is after `from` and which returned before `until`.
    fn after(&self, from: u64, until: u64) -> Option<usize> {
        let first = self.moments.partition_point(|&(moment, ..)| moment <= from);
        let &(_, returned, operation) = self.moments.get(first)?;
        (returned < until).then_some(operation)
    }
}

fn found_empty<V>(operations: &Operations<QueueOp<V>, QueueRet<V>>, index: usize) -> bool {
    matches!(operations[index].returned, Some((_, QueueRet::Empty)))
}

fn is_unknown_take<V>(operations: &Operations<QueueOp<V>, QueueRet<V>>, index: usize) -> bool {
    let operation = &operations[index];
    matches!(operation.op, QueueOp::Take)
        && operation.returned.is_none()
        && !operations.is_not_applied(index)
}

/// By value, who took it: indices in the history.
fn takes<V: Ord>(operations: &Operations<QueueOp<V>, QueueRet<V>>) -> BTreeMap<&V, Vec<usize>> {
    let mut takes: BTreeMap<&V, Vec<usize>> = BTreeMap::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Some((_, QueueRet::Took(value))) = &operation.returned {
            takes.entry(value).or_default().push(index);
        }
    }
    takes
}

/// By value, who put it. Those without effect put nothing.
fn puts<V: Ord>(operations: &Operations<QueueOp<V>, QueueRet<V>>) -> BTreeMap<&V, usize> {
    operations
        .iter()
        .enumerate()
        .filter(|&(index, _)| !operations.is_not_applied(index))
        .filter_map(|(index, operation)| Some((value_put(operation)?, index)))
        .collect()
}

fn without_first<V: Clone>(queue: &VecDeque<V>) -> VecDeque<V> {
    queue.iter().skip(1).cloned().collect()
}

const fn value_put<V>(operation: &Operation<QueueOp<V>, QueueRet<V>>) -> Option<&V> {
    match &operation.op {
        QueueOp::Put(value) => Some(value),
        QueueOp::Take => None,
    }
}
