//! Single rules, and the table of `sync`.

mod rules;
mod sync_table;

use std::time::Duration;

use super::ZabTiming;

const TIMING: ZabTiming = ZabTiming {
    tick_time: Duration::from_millis(100),
    init_limit: 10,
    sync_limit: 5,
};
