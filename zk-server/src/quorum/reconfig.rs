//! From one configuration to the next: what a reconfig request asks for, and whether it
//! may be. The checks are Apache's, in Apache's order, which clients see when several
//! things are wrong.

use std::collections::BTreeSet;

use thiserror::Error;
use zk_proto::{ErrorCode, Zxid};

use super::quorum_server::{HostPort, QuorumServer};
use super::server_id::ServerId;
use super::verifier::{MAX_MEMBERS, QuorumVerifier};
use crate::error::ConfigError;

#[cfg(test)]
mod tests;

/// What a client asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReconfigRequest<'r> {
    /// `server.N=…` of those to be added or replaced, between commas.
    pub(crate) joining: Option<&'r str>,
    /// Ids of those to be removed, between commas.
    pub(crate) leaving: Option<&'r str>,
    /// All members there are to be, between commas or one a line. The two others count
    /// for nothing then.
    pub(crate) new_members: Option<&'r str>,
    /// The version of the configuration that is to be changed; −1 for whichever it is.
    pub(crate) config_id: i64,
}

/// The ensemble, as its leader knows it when a request is made a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The configuration in force.
    pub(crate) committed: QuorumVerifier,
    /// The newest one proposed.
    pub(crate) last_seen: QuorumVerifier,
    /// Who has the history of the epoch and is connected, the leader included; observers
    /// are not: they have acknowledged nothing.
    pub(crate) synced: BTreeSet<ServerId>,
    /// `standaloneEnabled`: an ensemble does not shrink to a single voter then, which
    /// would be taken for a standalone server when it starts anew.
    pub(crate) is_standalone_enabled: bool,
}

/// Why a configuration stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ReconfigError {
    /// One was proposed and is not committed.
    #[error("the reconfiguration to version {0:#x} is in progress")]
    InProgress(i64),
    /// The client has another configuration in mind.
    #[error("version {asked:#x} was to be changed, the last seen is {last_seen:#x}")]
    OtherVersion {
        /// The client's.
        asked: i64,
        /// Ours.
        last_seen: i64,
    },
    /// A server or an id cannot be read, or the whole makes no ensemble.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Who is added or removed has no place in groups and weights.
    #[error("groups and weights can only be replaced as a whole")]
    NotMajority,
    /// A server that joins has to say where its clients connect.
    #[error("server.{0} has no client address")]
    NoClientAddr(ServerId),
    /// Two servers cannot be in one place.
    #[error("server.{joining} and server.{member} both have the address {addr}")]
    SameAddr {
        /// Who joins.
        joining: ServerId,
        /// Who is there.
        member: ServerId,
        /// What they share.
        addr: HostPort,
    },
    /// Too few would vote.
    #[error("{voters} voters where there have to be at least {least}")]
    TooFewVoters {
        /// How many there would be.
        voters: usize,
        /// How many there have to be.
        least: usize,
    },
    /// The next configuration could not decide on anything.
    #[error("no quorum of the next configuration is connected and in step")]
    NoQuorum,
}

impl ReconfigError {
    /// What the client is told.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::InProgress(_) => ErrorCode::ReconfigInProgress,
            Self::OtherVersion { .. } => ErrorCode::BadVersion,
            Self::Config(_)
            | Self::NotMajority
            | Self::NoClientAddr(_)
            | Self::SameAddr { .. }
            | Self::TooFewVoters { .. } => ErrorCode::BadArguments,
            Self::NoQuorum => ErrorCode::NewConfigNoQuorum,
        }
    }
}

impl Membership {
    /// The configuration that `request` asks for, of the version that its transaction
    /// gives it. What of a request is not there to be read (a server without `=`, an id
    /// that is no number) is refused like any other nonsense; Apache fails on some of it
    /// in a way it did not plan.
    ///
    /// # Errors
    ///
    /// The first check that fails: a reconfiguration in progress, the version that is to
    /// be changed, what is to be read, the number of voters, a quorum of them in step.
    pub(crate) fn next(
        &self,
        request: &ReconfigRequest<'_>,
        zxid: Zxid,
    ) -> Result<QuorumVerifier, ReconfigError> {
        let last_seen = self.last_seen.version();
        if last_seen != self.committed.version() {
            return Err(ReconfigError::InProgress(last_seen));
        }
        if request.config_id != ANY_VERSION && request.config_id != last_seen {
            return Err(ReconfigError::OtherVersion {
                asked: request.config_id,
                last_seen,
            });
        }
        let next = match request.new_members {
            Some(members) => QuorumVerifier::parse(&members.replace(',', "\n"))?,
            None => self.changed(request)?,
        };
        let least = if self.is_standalone_enabled { 2 } else { 1 };
        let voters = next.voters().count();
        if voters < least {
            return Err(ReconfigError::TooFewVoters { voters, least });
        }
        if !next.contains_quorum(&self.synced) {
            return Err(ReconfigError::NoQuorum);
        }
        Ok(next.with_version(zxid.0))
    }

    fn changed(&self, request: &ReconfigRequest<'_>) -> Result<QuorumVerifier, ReconfigError> {
        if !self.last_seen.is_majority() {
            return Err(ReconfigError::NotMajority);
        }
        let leaving = listed(request.leaving).map(leaving_id);
        let leaving: BTreeSet<_> = leaving.collect::<Result<_, _>>()?;
        let stay = self.last_seen.members();
        let stay = stay.filter(|member| !leaving.contains(&member.id));
        let mut taken: Vec<(HostPort, ServerId)> = stay.flat_map(addrs_of).collect();
        let mut joining = Vec::new();
        for text in listed(request.joining) {
            let server = joining_server(text)?;
            taken.retain(|(_, member)| *member != server.id);
            check_apart(&server, &taken)?;
            taken.extend(addrs_of(&server));
            joining.push(server);
            if joining.len() > MAX_MEMBERS {
                return Err(ConfigError::value("joining", "too long", "at most 1024").into());
            }
        }
        Ok(self.last_seen.with_change(&leaving, joining)?)
    }
}

/// Whichever configuration is in force.
const ANY_VERSION: i64 = -1;

/// What stands between commas, and is something.
fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn leaving_id(text: &str) -> Result<ServerId, ConfigError> {
    let id = text.parse().map(ServerId);
    id.map_err(|_| ConfigError::value("leaving", text, "ids of servers"))
}

/// `server.N=…`, of which all but the `N` in front of the `=` is for the reader.
fn joining_server(text: &str) -> Result<QuorumServer, ReconfigError> {
    let bad = || ConfigError::value("joining", text, "server.N=host:port:port;port");
    let (key, value) = text.split_once('=').ok_or_else(bad)?;
    let number = key.rsplit_once('.').map_or(key, |(_, number)| number);
    let id = number.trim().parse().map(ServerId).map_err(|_| bad())?;
    let server = QuorumServer::parse(key.trim(), id, value.trim())?;
    match server.client_addr {
        Some(_) => Ok(server),
        None => Err(ReconfigError::NoClientAddr(id)),
    }
}

fn addrs_of(server: &QuorumServer) -> impl Iterator<Item = (HostPort, ServerId)> {
    server.distinct_addrs().map(|addr| (addr, server.id))
}

fn check_apart(
    joining: &QuorumServer,
    taken: &[(HostPort, ServerId)],
) -> Result<(), ReconfigError> {
    for addr in joining.distinct_addrs() {
        if let Some((_, member)) = taken.iter().find(|(other, _)| other.is_same_as(&addr)) {
            return Err(ReconfigError::SameAddr {
                joining: joining.id,
                member: *member,
                addr,
            });
        }
    }
    Ok(())
}
