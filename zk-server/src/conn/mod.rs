//! Client connections as pure machines: frames in, frames out.

mod connection;
mod connections;

pub(crate) use connection::{Connection, Received, Request};
pub(crate) use connections::{ConnInfo, Connections, Output};

/// A client connection, by the number its driver gave it. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) u64);
