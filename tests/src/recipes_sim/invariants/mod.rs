//! What must hold of recipes at every step, one file each.
//!
//! "Every step" is every moment at which it could cease to hold: whenever an ownership is
//! granted, proven again, doubted or lost ([`Roll`](super::roll::Roll)), and at a tick besides.

mod counted_once;
mod members_leave_together;
mod no_orphans;
mod one_owner;
mod readers_and_writers;
mod semaphore_size;
mod taken_once;
mod tokens_rise;
mod turns_come;
mod views_equal;
mod worked_on;

pub(crate) use counted_once::Count;
pub(crate) use members_leave_together::Parties;
pub(crate) use no_orphans::nothing_left;
pub(crate) use one_owner::at_most_one_owner;
pub(crate) use readers_and_writers::no_reader_beside_a_writer;
pub(crate) use semaphore_size::never_over_its_size;
pub(crate) use taken_once::Items;
pub(crate) use tokens_rise::{Granted, tokens_rise_from_write_to_write};
pub(crate) use turns_come::Wait;
pub(crate) use views_equal::{View, views_end_equal};
pub(crate) use worked_on::Worked;

/// An ownership that vouches for itself at this moment, by the boot clock of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Whose.
    pub(crate) host: String,
    /// To what.
    pub(crate) right: super::roll::Right,
    /// Its fencing token.
    pub(crate) token: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipes_sim::roll::Right;

    pub(crate) fn held(host: &str, right: Right) -> Held {
        Held {
            host: host.to_owned(),
            right,
            token: 7,
        }
    }
}
