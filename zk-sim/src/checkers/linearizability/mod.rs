//! Is there an order of the operations, each at one instant between its call and its
//! return, in which every answer is right?
//!
//! A black-box check, for what is built on top of znodes: locks, latches, queues. It
//! knows only what callers asked and were told and what the thing is supposed to be, a
//! [`Spec`]; those for the usual ones are in [`specs`], together with plain checks for
//! what is no matter of linearizability.
//!
//! ```
//! use std::time::Duration;
//! use zk_sim::checkers::linearizability::specs::counter::{Add, Counter};
//! use zk_sim::checkers::linearizability::{Budget, Operations, check};
//!
//! let at = Duration::from_millis;
//! let mut history = Operations::new();
//! let first = history.invoke(0, at(1), Add(1));
//! let second = history.invoke(1, at(2), Add(1));
//! history.returned(second, at(3), 1);
//! history.returned(first, at(4), 2);
//! assert!(check(&Counter, &history, &mut Budget::default()).is_linearizable());
//!
//! let third = history.invoke(0, at(5), Add(1));
//! history.returned(third, at(6), 2); // one was lost
//! assert!(check(&Counter, &history, &mut Budget::default()).is_violation());
//! ```

mod bits;
mod budget;
mod check;
mod explain;
mod operations;
mod plan;
mod search;
mod spec;
pub mod specs;
#[cfg(test)]
mod tests;
mod timeline;
mod verdict;

pub use budget::{Budget, Exhausted};
pub use check::{check, check_by_key};
pub use operations::{Operation, Operations};
pub use spec::Spec;
pub use timeline::{explanation, timeline};
pub use verdict::{Undecided, Verdict, Violation, Witness};
