//! The session against a scripted server: virtual clock, no runtime.

mod auth;
mod bad_input;
mod close;
mod deadlines;
mod epochs;
mod fallback;
mod handshake;
mod order;
mod outcome;
mod pair;
mod probes;
mod queue;
mod random;
mod read_only;
mod removal;
mod replay;
#[cfg(feature = "sasl")]
mod sasl;
mod timers;
mod watches;
mod xids;
