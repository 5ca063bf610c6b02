//! A history: who called what when, and what they were told when.

use crate::history::At;

/// One call and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<Op, Ret> {
    /// Who called, for the reader: calls of one process may overlap.
    pub process: u32,
    /// What was asked.
    pub op: Op,
    /// When.
    pub invoked: At,
    /// When it was answered, and how. `None` if nobody knows how it ended: it may have
    /// taken effect at any time since it was called, may yet, or never.
    pub returned: Option<(At, Ret)>,
}

/// Calls and returns in the order in which they happened.
///
/// Two ways to make one. A recorder tells of each event as it happens, with
/// [`invoke`](Self::invoke) and [`returned`](Self::returned); then the order is that of
/// its calls and exact. Or it is collected from operations with their times; then what
/// happened at the same time counts as concurrent, which can hide a violation but never
/// makes one up.
#[derive(Clone, Debug)]
pub struct Operations<Op, Ret> {
    items: Vec<Operation<Op, Ret>>,
    spans: Vec<Span>,
    events: u64,
}

/// Where an operation begins and ends in the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) invoked: u64,
    pub(super) end: End,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody knows.
    Open,
    /// With an answer, at this place in the order of events.
    Returned(u64),
    /// Without effect: it is no part of the history.
    NotApplied,
}

impl Span {
    /// Whether this operation had its answer before the other was called.
    pub(super) fn precedes(self, other: Self) -> bool {
        match self.end {
            End::Returned(returned) => returned < other.invoked,
            End::Open | End::NotApplied => false,
        }
    }
}

impl<Op, Ret> Operations<Op, Ret> {
    /// An empty history.
    pub const fn new() -> Self {
        Self {
            items: Vec::new(),
            spans: Vec::new(),
            events: 0,
        }
    }

    /// `process` calls `op` now. The number names the operation from here on.
    pub fn invoke(&mut self, process: u32, at: At, op: Op) -> usize {
        let invoked = self.next_event();
        self.items.push(Operation {
            process,
            op,
            invoked: at,
            returned: None,
        });
        self.spans.push(Span {
            invoked,
            end: End::Open,
        });
        self.items.len() - 1
    }

    /// The operation is answered now. One that never is stays open.
    ///
    /// # Panics
    ///
    /// If it has ended already.
    pub fn returned(&mut self, operation: usize, at: At, ret: Ret) {
        let turn = self.next_event();
        self.end(operation, End::Returned(turn));
        self.items[operation].returned = Some((at, ret));
    }

    /// The caller learned that the operation did not and will not take effect.
    ///
    /// # Panics
    ///
    /// If it has ended already.
    pub fn not_applied(&mut self, operation: usize) {
        self.end(operation, End::NotApplied);
    }

    /// How many operations there are, those without effect included.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The operations in the order in which they were called, or collected.
    pub fn iter(&self) -> std::slice::Iter<'_, Operation<Op, Ret>> {
        self.items.iter()
    }

    /// Whether `earlier` had its answer before `later` was called, so that no order
    /// may turn them round.
    pub fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.spans[earlier].precedes(self.spans[later])
    }

    /// Whether the operation is known to have had no effect.
    pub fn is_not_applied(&self, operation: usize) -> bool {
        self.spans[operation].end == End::NotApplied
    }

    /// For each operation the place of its return in the order of events, with
    /// [`u64::MAX`] for those that have none.
    pub fn return_order(&self) -> Vec<u64> {
        let place = |span: &Span| match span.end {
            End::Returned(returned) => returned,
            End::Open | End::NotApplied => u64::MAX,
        };
        self.spans.iter().map(place).collect()
    }

    /// Some of the operations, with their places in the order of all events.
    pub(super) fn select<Other>(
        &self,
        operations: &[usize],
        op: impl Fn(&Op) -> Other,
    ) -> Operations<Other, Ret>
    where
        Ret: Clone,
    {
        let item = |&operation: &usize| {
            let item = &self.items[operation];
            Operation {
                process: item.process,
                op: op(&item.op),
                invoked: item.invoked,
                returned: item.returned.clone(),
            }
        };
        Operations {
            items: operations.iter().map(item).collect(),
            spans: operations
                .iter()
                .map(|&operation| self.spans[operation])
                .collect(),
            events: self.events,
        }
    }

    pub(super) fn span(&self, operation: usize) -> Span {
        self.spans[operation]
    }

    fn next_event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    fn end(&mut self, operation: usize, end: End) {
        let span = &mut self.spans[operation];
        assert!(span.end == End::Open, "an operation ends once");
        span.end = end;
    }
}

impl<Op, Ret> Default for Operations<Op, Ret> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Op, Ret> std::ops::Index<usize> for Operations<Op, Ret> {
    type Output = Operation<Op, Ret>;

    fn index(&self, operation: usize) -> &Self::Output {
        &self.items[operation]
    }
}

impl<'a, Op, Ret> IntoIterator for &'a Operations<Op, Ret> {
    type Item = &'a Operation<Op, Ret>;
    type IntoIter = std::slice::Iter<'a, Operation<Op, Ret>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<Op, Ret> FromIterator<Operation<Op, Ret>> for Operations<Op, Ret> {
    /// Orders the events by their times, calls before returns.
    fn from_iter<I: IntoIterator<Item = Operation<Op, Ret>>>(operations: I) -> Self {
        let items: Vec<_> = operations.into_iter().collect();
        let mut events = Vec::with_capacity(2 * items.len());
        for (index, item) in items.iter().enumerate() {
            events.push((item.invoked, false, index));
            if let Some((at, _)) = &item.returned {
                events.push((*at, true, index));
            }
        }
        events.sort_unstable();
        let mut spans = vec![
            Span {
                invoked: 0,
                end: End::Open,
            };
            items.len()
        ];
        for (turn, &(_, is_return, index)) in (1..).zip(&events) {
            if is_return {
                spans[index].end = End::Returned(turn);
            } else {
                spans[index].invoked = turn;
            }
        }
        Self {
            items,
            spans,
            events: events.len() as u64,
        }
    }
}
