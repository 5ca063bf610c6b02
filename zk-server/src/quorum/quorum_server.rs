//! One `server.N` line: where a member of the ensemble is and what it may do.

use std::fmt;
use std::str::FromStr;

use super::server_id::ServerId;
use crate::error::ConfigError;

/// What a member may do, Apache's `LearnerType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LearnerType {
    /// Votes.
    Participant,
    /// Follows without a vote.
    Observer,
}

impl fmt::Display for LearnerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

impl FromStr for LearnerType {
    type Err = ();

    /// In any case, with white space around it.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim().to_ascii_lowercase().as_str() {
            "participant" => Ok(Self::Participant),
            "observer" => Ok(Self::Observer),
            _ => Err(()),
        }
    }
}

/// A host, by name or address, and a port. An IPv6 address is kept without brackets
/// and written with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl HostPort {
    /// Whether the host says "any address", which nobody can be reached at
    /// (ZOOKEEPER-2164).
    pub(crate) fn is_wildcard(&self) -> bool {
        let addr = self.host.parse::<std::net::IpAddr>();
        addr.is_ok_and(|addr| addr.is_unspecified())
    }

    /// Whether both say the same, as far as can be told without looking up names.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// Whether the host is the machine itself, by address or by its usual name.
    pub(crate) fn is_loopback(&self) -> bool {
        let addr = self.host.parse::<std::net::IpAddr>();
        addr.is_ok_and(|addr| addr.is_loopback()) || self.host.eq_ignore_ascii_case("localhost")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match &split_colons(text).ok_or(())?[..] {
            [host, port] if !host.is_empty() => Ok(Self {
                host: host.clone(),
                port: port.parse().map_err(drop)?,
            }),
            _ => Err(()),
        }
    }
}

/// One of a member's addresses: the two ports are on the same host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerAddr {
    pub(crate) host: String,
    /// Where a leader waits for its learners.
    pub(crate) quorum_port: u16,
    /// Where votes are exchanged.
    pub(crate) election_port: u16,
}

impl PeerAddr {
    /// Where to dial for an election.
    pub(crate) fn election(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.election_port,
        }
    }

    /// Where to dial a leader.
    pub(crate) fn quorum(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.quorum_port,
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.quorum(), self.election_port)
    }
}

/// A member of the ensemble, Apache's `QuorumServer`.
///
/// Its text is the value of `server.N` in a file, in `/zookeeper/config` and on the
/// wire; the role is always written, once, after the last address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuorumServer {
    pub(crate) id: ServerId,
    /// One or more, sorted by host.
    pub(crate) addrs: Vec<PeerAddr>,
    pub(crate) learner_type: LearnerType,
    /// Where it serves clients, as far as this text says.
    pub(crate) client_addr: Option<HostPort>,
}

/// The address of a client part without a host.
const ANY_HOST: &str = "0.0.0.0";

/// Addresses one member may have; nothing honest comes near it.
const MAX_ADDRS: usize = 16;

impl QuorumServer {
    /// Reads the value of the line whose key is `key`, in the grammar of 3.5 to 3.9.
    ///
    /// # Errors
    ///
    /// What of it cannot be used, in the words of a `zoo.cfg`.
    pub(crate) fn parse(key: &str, id: ServerId, value: &str) -> Result<Self, ConfigError> {
        let bad = |allowed: &str| ConfigError::value(key, value, allowed);
        let mut parts = value.split(';');
        let members = parts.next().unwrap_or_default();
        let client_addr = parts.next().map(str::trim).filter(|part| !part.is_empty());
        if parts.next().is_some() {
            return Err(bad("at most one client part, after one ;"));
        }
        let client_addr = client_addr
            .map(|part| client_part(part).ok_or_else(|| bad(CLIENT_GRAMMAR)))
            .transpose()?;
        let mut addrs = Vec::new();
        // The text that peers send has the role but once, last.
        let mut learner_type = None;
        for text in members.split('|') {
            let (addr, role) = member_part(text).map_err(bad)?;
            if let Some(role) = role
                && *learner_type.get_or_insert(role) != role
            {
                return Err(bad("one role for all addresses"));
            }
            addrs.push(addr);
        }
        if addrs.len() > MAX_ADDRS {
            return Err(bad("at most 16 addresses"));
        }
        addrs.sort();
        Ok(Self {
            id,
            addrs,
            learner_type: learner_type.unwrap_or(LearnerType::Participant),
            client_addr,
        })
    }

    /// Every address, the client's included, that belongs to this member alone: "any
    /// address" and the loopback ones say nothing about where a server is.
    pub(crate) fn distinct_addrs(&self) -> impl Iterator<Item = HostPort> {
        let peers = self.addrs.iter();
        let all = peers.flat_map(|addr| [addr.quorum(), addr.election()]);
        all.chain(self.client_addr.clone())
            .filter(|addr| !addr.is_wildcard() && !addr.is_loopback())
    }

    /// Whether learners find it where they found `other`.
    pub(crate) fn has_quorum_addrs_of(&self, other: &Self) -> bool {
        let addrs =
            |server: &Self| -> Vec<_> { server.addrs.iter().map(PeerAddr::quorum).collect() };
        addrs(self) == addrs(other)
    }

    /// Whether it votes.
    pub(crate) fn is_participant(&self) -> bool {
        self.learner_type == LearnerType::Participant
    }
}

const ADDR_GRAMMAR: &str =
    "host:quorumPort:electionPort, then :participant or :observer if need be";
const CLIENT_GRAMMAR: &str = "a client part of host:port or port";

/// `host:quorumPort:electionPort[:role]`
fn member_part(text: &str) -> Result<(PeerAddr, Option<LearnerType>), &'static str> {
    let parts = split_colons(text.trim()).ok_or(ADDR_GRAMMAR)?;
    let (host, quorum, election, role) = match &parts[..] {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(role)),
        _ => return Err(ADDR_GRAMMAR),
    };
    if host.is_empty() {
        return Err(ADDR_GRAMMAR);
    }
    let port = |text: &String| text.parse::<u16>().map_err(|_| "ports from 0 to 65535");
    let addr = PeerAddr {
        host: host.clone(),
        quorum_port: port(quorum)?,
        election_port: port(election)?,
    };
    if addr.quorum_port == addr.election_port {
        return Err("a quorum port and an election port that differ");
    }
    let role = role.map(|role| role.parse().map_err(|()| "participant or observer"));
    Ok((addr, role.transpose()?))
}

/// `[host:]port`
fn client_part(text: &str) -> Option<HostPort> {
    match text.parse::<u16>() {
        Ok(port) => Some(HostPort {
            host: ANY_HOST.to_owned(),
            port,
        }),
        Err(_) => text.parse().ok(),
    }
}

/// The pieces between colons; brackets around the first keep it together and are
/// taken off.
fn split_colons(text: &str) -> Option<Vec<String>> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return Some(text.split(':').map(str::to_owned).collect());
    };
    let (host, rest) = bracketed.split_once(']')?;
    let mut pieces = vec![host.to_owned()];
    match rest.strip_prefix(':') {
        Some(rest) => pieces.extend(rest.split(':').map(str::to_owned)),
        None if rest.is_empty() => {}
        None => return None,
    }
    Some(pieces)
}

impl fmt::Display for QuorumServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, addr) in self.addrs.iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            write!(f, "{separator}{addr}")?;
        }
        write!(f, ":{}", self.learner_type)?;
        match &self.client_addr {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<QuorumServer, ConfigError> {
        QuorumServer::parse("server.1", ServerId(1), value)
    }

    #[track_caller]
    fn reads(value: &str, text: &str) {
        let server = parse(value).unwrap();
        assert_eq!(server.to_string(), text);
        assert_eq!(parse(text).unwrap(), server, "its own text means the same");
    }

    #[test]
    fn every_form_is_read_and_written_as_apache_writes_it() {
        reads("a:2888:3888", "a:2888:3888:participant");
        reads("a:2888:3888: Observer ", "a:2888:3888:observer");
        reads("a:1:2;2181", "a:1:2:participant;0.0.0.0:2181");
        reads("a:1:2;b:2181", "a:1:2:participant;b:2181");
        reads("[::1]:1:2:observer;[::]:9", "[::1]:1:2:observer;[::]:9");
        reads("b:1:2|a:3:4", "a:3:4|b:1:2:participant");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (value, reason) in [
            ("a", "host:quorumPort"),
            ("a:1", "host:quorumPort"),
            (":1:2", "host:quorumPort"),
            ("a:1:2:x", "participant or observer"),
            ("a:1:2:observer:3", "host:quorumPort"),
            ("a:1:1", "that differ"),
            ("a:1:65536", "ports from"),
            ("a:1:2;x", "a client part"),
            ("a:1:2;1;2", "at most one client part"),
            ("a:1:2:observer|b:1:2:participant", "one role"),
            ("a:1:2|b:1:2:x", "participant or observer"),
            ("[::1:1:2", "host:quorumPort"),
            ("[::1]x:1:2", "host:quorumPort"),
        ] {
            let error = parse(value).unwrap_err().to_string();
            assert!(error.contains(reason), "{value}: {error}");
        }
    }

    #[test]
    fn wildcards_are_known_as_such() {
        for (text, expected) in [("0.0.0.0:1", true), ("[::]:1", true), ("a:1", false)] {
            assert_eq!(text.parse::<HostPort>().unwrap().is_wildcard(), expected);
        }
    }
}
