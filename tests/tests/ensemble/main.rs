//! Client and recipes on an ensemble of Apache servers that crash, stall and forget: started
//! by `scripts/apache.sh with-ensemble VERSION 3 -- cargo test -p zk-tests --test ensemble`,
//! which says in `ZK_TEST_PEERS` where its servers are. Without it the tests are skipped,
//! and say so. `ZK_TEST_SHORT=1` asks for fewer crashes.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod counter;
mod crashes;
mod latch;
mod peers;
mod proof;
mod queue;
mod stage;
mod watching;
mod wiped;

use std::io::Write;

/// Past the test harness, which would keep it to itself.
fn say(text: &str) {
    // A closed standard error is nothing to fail over.
    let _ = std::io::stderr().write_all(format!("ensemble: {text}\n").as_bytes());
}
