//! Losing the connection, and getting it back with the same session.

mod liveness;
mod outcome;
mod replay;
mod soak;
mod survival;
