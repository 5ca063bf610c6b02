//! A whole server in a simulated network with a paused clock, talked to in raw
//! frames. Time passes only while everyone waits, so that no test depends on the
//! speed of the machine.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod accept;
#[cfg(feature = "admin")]
mod admin;
#[cfg(feature = "tls")]
mod certificates;
mod fail_stop;
mod failpoints;
mod faults;
mod four_letter;
mod hostile;
mod lifecycle;
mod limits;
mod raw;
mod slow_reader;
mod storage;
#[cfg(feature = "tls")]
mod tls;
