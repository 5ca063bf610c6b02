//! What arrives next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use crate::observe::{ConnectionId, Side};

/// A segment to be delivered, the first of its direction; ordered by time, then by
/// sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flight {
    pub(crate) due: Instant,
    pub(crate) seq: u64,
    pub(crate) connection: ConnectionId,
    pub(crate) from: Side,
}

/// The first segments in flight of all directions, and others that no longer are:
/// only the direction itself knows, so whoever takes one asks it.
#[derive(Debug, Default)]
pub(crate) struct Schedule(BinaryHeap<Reverse<Flight>>);

impl Schedule {
    /// Whether it is now the first.
    pub(crate) fn add(&mut self, flight: Flight) -> bool {
        let is_first = self.first().is_none_or(|first| flight < first);
        self.0.push(Reverse(flight));
        is_first
    }

    pub(crate) fn first(&self) -> Option<Flight> {
        self.0.peek().map(|Reverse(flight)| *flight)
    }

    pub(crate) fn remove_first(&mut self) {
        self.0.pop();
    }
}
