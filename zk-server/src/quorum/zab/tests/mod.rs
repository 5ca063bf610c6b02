//! The machines together: a whole ensemble of them, with disks that forget what was not
//! synced, links that cut, and every other trouble, from a seed.

mod disk;
mod ensemble;
mod invariants;
mod link;
mod peer;
mod random;
mod rules;
mod sync_table;

use std::time::Duration;

use super::ZabTiming;

const TIMING: ZabTiming = ZabTiming {
    tick_time: Duration::from_millis(100),
    init_limit: 10,
    sync_limit: 5,
};
