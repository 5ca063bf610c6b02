//! Which operations the servers know: learned once per address, for the client's life.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use zk_proto::OpCode;

/// Addresses remembered; beyond it all are forgotten and learned again.
const MAX_SERVERS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct ServerOps(BTreeMap<SocketAddr, BTreeMap<OpCode, bool>>);

impl ServerOps {
    /// Whether the server knows the operation; `None` until it was tried.
    pub(super) fn get(&self, server: SocketAddr, op: OpCode) -> Option<bool> {
        self.0.get(&server)?.get(&op).copied()
    }

    pub(super) fn learn(&mut self, server: SocketAddr, op: OpCode, is_known: bool) {
        if self.0.len() >= MAX_SERVERS && !self.0.contains_key(&server) {
            self.0.clear();
        }
        tracing::debug!(%server, ?op, is_known, "learned about an operation");
        self.0.entry(server).or_default().insert(op, is_known);
    }
}
