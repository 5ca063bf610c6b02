//! The connections of the election port: who keeps which, and what waits for whom.

mod handshake;
mod manager;
#[cfg(test)]
mod tests;

pub(super) use manager::{CnxManager, CnxOptions, ConnId, DialError, Output};
