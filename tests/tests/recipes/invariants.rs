//! What must hold of ownerships at every step, one file each.

mod counted_once;
mod members_leave_together;
mod one_works_on_it;
mod readers_and_writers;
mod semaphore_size;
mod tokens_rise;

pub(crate) use counted_once::each_change_is_counted_once;
pub(crate) use members_leave_together::members_leave_together;
pub(crate) use one_works_on_it::one_works_on_each_item;
pub(crate) use readers_and_writers::no_reader_beside_a_writer;
pub(crate) use semaphore_size::no_more_leases_than_the_size;
pub(crate) use tokens_rise::tokens_rise_from_write_to_write;

use zk_recipes::{Ownership, OwnershipState};

/// That it vouches for itself, by the clock of the machine that has it.
fn is_held(ownership: &Ownership) -> bool {
    matches!(ownership.current(), OwnershipState::Held { .. })
}
