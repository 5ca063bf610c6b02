//! The connections there are, and how many there may be.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use zk_env::Mono;

use super::outbox::Outbox;
use crate::config::ServerConfig;
use crate::stats::CnxnStats;
use crate::zookeeper_server::ConnId;

/// A connection as the whole server sees it. Its socket is its task's alone.
#[derive(Debug)]
pub(crate) struct Cnxn {
    pub(crate) peer: SocketAddr,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) stats: CnxnStats,
    /// Wall-clock time of the accept, in milliseconds.
    pub(crate) established_ms: i64,
    /// Whether it has sent a frame, the first of which is its ConnectRequest.
    pub(crate) has_sent: bool,
    /// Its session's timeout, once there has been a handshake.
    pub(crate) timeout: Option<Duration>,
    /// When it is closed if it stays silent.
    pub(crate) idle_deadline: Mono,
}

/// Every open connection, in the order of their numbers so that what is listed
/// does not depend on hashing.
#[derive(Debug, Default)]
pub(crate) struct Cnxns {
    by_id: BTreeMap<ConnId, Cnxn>,
    /// Those that are no connections any more, but still have a task that writes
    /// the last replies.
    ending: BTreeMap<ConnId, Arc<Outbox>>,
    per_address: BTreeMap<IpAddr, u32>,
    accepted: u64,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `maxCnxns`
    TooMany,
    /// `maxClientCnxns`
    TooManyFromAddress,
}

impl Cnxns {
    /// Whether one more from `peer` is within the limits.
    pub(crate) fn check_limits(&self, peer: IpAddr, config: &ServerConfig) -> Result<(), Refusal> {
        let reached = |limit: u32, count: usize| limit > 0 && count >= limit as usize;
        if reached(config.max_cnxns, self.by_id.len()) {
            return Err(Refusal::TooMany);
        }
        let from_address = self.per_address.get(&peer).copied().unwrap_or(0);
        if reached(config.max_client_cnxns, from_address as usize) {
            return Err(Refusal::TooManyFromAddress);
        }
        Ok(())
    }

    /// Adds a connection and numbers it.
    pub(crate) fn add(&mut self, cnxn: Cnxn) -> ConnId {
        self.accepted += 1;
        let id = ConnId(self.accepted);
        *self.per_address.entry(cnxn.peer.ip()).or_default() += 1;
        self.by_id.insert(id, cnxn);
        id
    }

    /// Ends a connection: it counts no more. Its task lives until [`ended`](Self::ended).
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Cnxn> {
        let cnxn = self.by_id.remove(&id)?;
        if let Some(count) = self.per_address.get_mut(&cnxn.peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&cnxn.peer.ip());
            }
        }
        self.ending.insert(id, Arc::clone(&cnxn.outbox));
        Some(cnxn)
    }

    /// The task of a connection that was removed is gone too.
    pub(crate) fn ended(&mut self, id: ConnId) {
        self.ending.remove(&id);
    }

    /// Outboxes of connections that end.
    pub(crate) fn ending(&self) -> impl Iterator<Item = &Outbox> {
        self.ending.values().map(Arc::as_ref)
    }

    /// One connection.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Cnxn> {
        self.by_id.get_mut(&id)
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnId, &Cnxn)> {
        self.by_id.iter().map(|(id, cnxn)| (*id, cnxn))
    }

    /// All of them, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut Cnxn)> {
        self.by_id.iter_mut().map(|(id, cnxn)| (*id, cnxn))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cnxn(peer: &str) -> Cnxn {
        Cnxn {
            peer: peer.parse().unwrap(),
            outbox: Arc::default(),
            stats: CnxnStats::default(),
            established_ms: 0,
            has_sent: false,
            timeout: None,
            idle_deadline: Mono::MAX,
        }
    }

    #[test]
    fn the_limit_counts_each_address_by_itself() {
        let config = ServerConfig::builder().max_client_cnxns(2).build().unwrap();
        let mut cnxns = Cnxns::default();
        let first = cnxns.add(cnxn("10.0.0.1:1000"));
        cnxns.add(cnxn("10.0.0.1:1001"));
        let (full, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!(
            cnxns.check_limits(full, &config),
            Err(Refusal::TooManyFromAddress)
        );
        assert_eq!(cnxns.check_limits(other, &config), Ok(()));
        assert!(cnxns.remove(first).is_some());
        assert!(cnxns.remove(first).is_none());
        assert_eq!(cnxns.check_limits(full, &config), Ok(()));
    }

    #[test]
    fn zero_is_no_limit_and_the_total_counts_all_addresses() {
        let unlimited = ServerConfig::builder().max_client_cnxns(0).build().unwrap();
        let two = ServerConfig::builder().max_cnxns(2).build().unwrap();
        let mut cnxns = Cnxns::default();
        cnxns.add(cnxn("10.0.0.1:1000"));
        cnxns.add(cnxn("10.0.0.2:1000"));
        let third = "10.0.0.3".parse().unwrap();
        assert_eq!(cnxns.check_limits(third, &unlimited), Ok(()));
        assert_eq!(cnxns.check_limits(third, &two), Err(Refusal::TooMany));
    }
}
