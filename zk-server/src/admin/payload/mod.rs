//! What the answers hold, a file per subject, in the order and under the names of Apache's.

pub(super) mod configuration;
pub(super) mod connections;
pub(super) mod ensemble;
pub(super) mod monitor;
pub(super) mod server;
pub(super) mod watches;
