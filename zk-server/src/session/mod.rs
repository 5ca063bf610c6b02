//! Sessions: their ids and passwords, and when they expire.

mod expiry;
mod ids;
mod tracker;

pub(crate) use ids::{SessionIds, password};
pub(crate) use tracker::{Expiring, LocalSessions, Origin, SessionInfo, Sessions, Strangers};
