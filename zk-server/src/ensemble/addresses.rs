//! Where the peers of an ensemble are, and what their configuration says about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::ServerConfig;
use crate::quorum::{LearnerType, ServerId};

/// Peers that an ensemble may have: each has an address `127.0.0.N`.
pub(super) const MAX_PEERS: usize = 254;

/// Apache's usual ports. They are never bound, so that every ensemble can have them.
const QUORUM_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;
pub(super) const OBSERVER_MASTER_PORT: u16 = 2191;

/// What the members of an ensemble know of one another.
#[derive(Clone, Debug)]
pub(super) struct Members {
    /// By id: the value of its `server.N`.
    lines: BTreeMap<ServerId, String>,
    /// The values of `group.N`, from 1 on.
    groups: Vec<Vec<i64>>,
    weights: BTreeMap<i64, u64>,
}

/// The limits of an ensemble, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) init: u32,
    pub(super) sync: u32,
}

/// Where the peer waits for learners, where for votes, and where for observers if it is a
/// master.
pub(super) fn peer_addrs(id: ServerId) -> [SocketAddr; 3] {
    [QUORUM_PORT, ELECTION_PORT, OBSERVER_MASTER_PORT]
        .map(|port| SocketAddr::from((host(id), port)))
}

/// An address of its own for each peer, which looks like a machine of its own.
fn host(id: ServerId) -> Ipv4Addr {
    // The builder refuses more peers than there are last bytes.
    Ipv4Addr::new(127, 0, 0, u8::try_from(id.0).unwrap_or(u8::MAX))
}

impl Members {
    /// Nobody yet, who will be in these groups and have these weights.
    pub(super) fn new(groups: Vec<Vec<i64>>, weights: BTreeMap<i64, u64>) -> Self {
        Self {
            lines: BTreeMap::new(),
            groups,
            weights,
        }
    }

    /// Enters a member that serves clients on `client`.
    pub(super) fn insert(&mut self, id: ServerId, role: LearnerType, client: SocketAddr) {
        let host = host(id);
        let line = format!("{host}:{QUORUM_PORT}:{ELECTION_PORT}:{role};{client}");
        self.lines.insert(id, line);
    }

    /// A member's `server.N=…`.
    pub(super) fn server_line(&self, id: ServerId) -> Option<String> {
        let line = self.lines.get(&id)?;
        Some(format!("server.{id}={line}"))
    }

    /// The id of the next member.
    pub(super) fn next_id(&self) -> ServerId {
        let last = self.lines.last_key_value();
        ServerId(last.map_or(0, |(id, _)| id.0) + 1)
    }

    /// The text of every member's `zoo.cfg`, as far as it is about the ensemble.
    pub(super) fn zoo_cfg(
        &self,
        config: &ServerConfig,
        limits: Limits,
        settings: &[(String, String)],
    ) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        line("tickTime", &millis(config.tick_time));
        let (min, max) = notification_intervals(config.tick_time);
        line("fastleader.minNotificationInterval", &millis(min));
        line("fastleader.maxNotificationInterval", &millis(max));
        line("initLimit", &limits.init);
        line("syncLimit", &limits.sync);
        line("standaloneEnabled", &false);
        line("reconfigEnabled", &config.reconfig_enabled);
        for (key, value) in settings {
            line(key, value);
        }
        for (id, server) in &self.lines {
            line(&format!("server.{id}"), server);
        }
        for (number, group) in (1..).zip(&self.groups) {
            let ids: Vec<_> = group.iter().map(i64::to_string).collect();
            line(&format!("group.{number}"), &ids.join(":"));
        }
        for (id, weight) in &self.weights {
            line(&format!("weight.{id}"), weight);
        }
        text
    }
}

/// Between two repetitions of a vote, the first of which also is how long a better one is
/// waited for. Apache's are 200 ms and a minute, of use between machines; here they would be
/// most of an election, and the latter of what follows a long partition.
fn notification_intervals(tick: Duration) -> (Duration, Duration) {
    let min = (tick / 5).max(Duration::from_millis(1));
    (min, min.max(tick * 5))
}

fn millis(time: Duration) -> u128 {
    time.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ensemble::EnsembleConfig;

    #[test]
    fn the_text_is_a_configuration_of_every_member() {
        let groups = vec![vec![1, 2], vec![3]];
        let mut members = Members::new(groups, BTreeMap::from([(1, 2), (2, 1), (3, 1)]));
        for (id, role) in [
            (1, LearnerType::Participant),
            (2, LearnerType::Participant),
            (3, LearnerType::Participant),
            (4, LearnerType::Observer),
        ] {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000 + id));
            members.insert(ServerId(id.into()), role, client);
        }
        let config = ServerConfig::embedded().reconfig(true).build().unwrap();
        let text = members.zoo_cfg(&config, Limits { init: 50, sync: 5 }, &[]);
        for id in 1..=4 {
            let parsed = EnsembleConfig::parse(&text, id).unwrap();
            assert_eq!(parsed.id, ServerId(id));
            assert_eq!(parsed.settings.tick_time, config.tick_time);
            assert_eq!(parsed.settings.init_limit, 50);
            assert_eq!(parsed.settings.sync_limit, 5);
            assert!(parsed.settings.reconfig_enabled);
            assert_eq!(parsed.client_addr.port, 40_000 + u16::try_from(id).unwrap());
            let own = parsed.verifier.member(ServerId(id)).unwrap();
            let [quorum, election, _] = peer_addrs(ServerId(id));
            assert_eq!(own.addrs[0].quorum().to_string(), quorum.to_string());
            assert_eq!(own.addrs[0].election().to_string(), election.to_string());
        }
        assert_eq!(members.next_id(), ServerId(5));
    }
}
