//! Which sets of servers are a quorum: a majority of the voters, or a majority of
//! groups in each of which a majority of the weight is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::quorum_server::{HostPort, QuorumServer};
use super::server_id::ServerId;
use crate::config::properties;
use crate::error::ConfigError;

#[cfg(test)]
mod tests;

/// The members of an ensemble and what a quorum of them is, Apache's
/// `QuorumVerifier`, with the version of the configuration it stands in.
#[derive(Clone, Debug)]
pub(crate) struct QuorumVerifier {
    members: BTreeMap<ServerId, QuorumServer>,
    /// Present in a hierarchical configuration.
    hierarchy: Option<Hierarchy>,
    /// The zxid of the reconfiguration that made it, 0 for one from a file.
    version: i64,
    /// The client address is left out of the text: it came from `clientPort`.
    hidden_client_addr: Option<ServerId>,
}

/// `group.N` and `weight.N`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hierarchy {
    groups: BTreeMap<i64, BTreeSet<ServerId>>,
    /// As it is written; those not named weigh 1.
    weights: BTreeMap<ServerId, i64>,
}

/// Members one configuration may have. Session ids have room for 255 servers that
/// clients connect to, so nothing honest comes near it.
pub(crate) const MAX_MEMBERS: usize = 1024;

/// Lines of a text, so that what strangers send costs little to read.
const MAX_LINES: usize = 4 * MAX_MEMBERS;

/// Where all lines of an ensemble are put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct VerifierDraft {
    members: BTreeMap<ServerId, QuorumServer>,
    groups: BTreeMap<i64, BTreeSet<ServerId>>,
    /// Whoever is in one of them.
    grouped: BTreeSet<ServerId>,
    weights: BTreeMap<ServerId, i64>,
    has_hierarchy: bool,
}

impl VerifierDraft {
    /// Whether `key` is one of those that describe an ensemble.
    pub(crate) fn takes(key: &str) -> bool {
        ["server.", "group", "weight"]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    }

    /// Takes one such line.
    ///
    /// # Errors
    ///
    /// What of it cannot be used.
    pub(crate) fn apply(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        if let Some(number) = key.strip_prefix("server.") {
            let id = ServerId(decimal(key, number)?);
            let server = QuorumServer::parse(key, id, value)?;
            if self.members.insert(id, server).is_some() {
                return Err(ConfigError::value(key, value, "each server once"));
            }
            if self.members.len() > MAX_MEMBERS {
                return Err(ConfigError::value(key, value, "at most 1024 servers"));
            }
            return Ok(());
        }
        self.has_hierarchy = true;
        if let Some(number) = key.strip_prefix("group.") {
            let group = decimal(key, number)?;
            let members = value.split(':').map(str::trim);
            let members: Result<BTreeSet<_>, _> =
                members.map(|id| decimal(key, id).map(ServerId)).collect();
            let members = members?;
            if let Some(twice) = members.iter().find(|id| !self.grouped.insert(**id)) {
                let allowed = format!("each server in one group, {twice} is in two");
                return Err(ConfigError::value(key, value, allowed));
            }
            self.groups.insert(group, members);
        } else if let Some(number) = key.strip_prefix("weight.") {
            let id = ServerId(decimal(key, number)?);
            let weight = decimal(key, value)?;
            if !(0..=i64::from(i32::MAX)).contains(&weight) {
                return Err(ConfigError::value(key, value, "0 to 2147483647"));
            }
            self.weights.insert(id, weight);
        } else {
            return Err(ConfigError::value(
                key,
                value,
                "group.N and weight.N as keys",
            ));
        }
        Ok(())
    }

    /// How many servers there are with a vote, and without.
    pub(crate) fn count(&self) -> (usize, usize) {
        let voters = self.members.values().filter(|s| s.is_participant()).count();
        (voters, self.members.len() - voters)
    }

    /// Checks what one line alone cannot tell.
    ///
    /// # Errors
    ///
    /// A configuration without a server that votes, or a voter in no group.
    pub(crate) fn build(self, version: i64) -> Result<QuorumVerifier, ConfigError> {
        let hierarchy = self.has_hierarchy.then_some(Hierarchy {
            groups: self.groups,
            weights: self.weights,
        });
        let verifier = QuorumVerifier {
            members: self.members,
            hierarchy,
            version,
            hidden_client_addr: None,
        };
        verifier.check_voters()?;
        verifier.check_groups()?;
        Ok(verifier)
    }
}

fn decimal(key: &str, text: &str) -> Result<i64, ConfigError> {
    let number = text.trim().parse();
    number.map_err(|_| ConfigError::value(key, text, "whole numbers"))
}

impl QuorumVerifier {
    /// Reads what a peer sends and what `/zookeeper/config` holds.
    ///
    /// # Errors
    ///
    /// The first line that cannot be used.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.matches(['\n', '\r']).count() > MAX_LINES {
            let allowed = format!("at most {MAX_LINES} lines");
            return Err(ConfigError::value("configuration", "too long", allowed));
        }
        let mut draft = VerifierDraft::default();
        let mut version = 0;
        for property in properties::parse(text)? {
            let (key, value) = (property.key.as_str(), property.value.as_str());
            if key == "version" {
                version = i64::from_str_radix(value, 16)
                    .map_err(|_| ConfigError::value(key, value, "hexadecimal digits"))?;
            } else if VerifierDraft::takes(key) {
                draft.apply(key, value)?;
            } else {
                return Err(ConfigError::value(
                    key,
                    value,
                    "server, group, weight, version",
                ));
            }
        }
        draft.build(version)
    }

    fn check_groups(&self) -> Result<(), ConfigError> {
        let Some(hierarchy) = &self.hierarchy else {
            return Ok(());
        };
        let grouped: BTreeSet<_> = hierarchy.groups.values().flatten().copied().collect();
        match self.voters().find(|id| !grouped.contains(id)) {
            Some(id) => Err(ConfigError::Missing {
                key: "group.N".to_owned(),
                purpose: format!("server.{id}, which is in no group"),
            }),
            None => Ok(()),
        }
    }

    /// The zxid of the reconfiguration that made it.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// The same ensemble as of another reconfiguration.
    pub(crate) fn with_version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Whether a quorum is a majority: no groups, no weights.
    pub(crate) fn is_majority(&self) -> bool {
        self.hierarchy.is_none()
    }

    /// The same without the `leaving`, and with the `joining` in place of whoever had
    /// their ids; of two with one id the last counts. Who leaves and is not there has left already.
    ///
    /// # Errors
    ///
    /// Too many members, or none that votes.
    pub(crate) fn with_change(
        &self,
        leaving: &BTreeSet<ServerId>,
        joining: Vec<QuorumServer>,
    ) -> Result<Self, ConfigError> {
        let mut next = self.clone();
        next.members.retain(|id, _| !leaving.contains(id));
        let joining = joining.into_iter().map(|server| (server.id, server));
        for (id, server) in joining {
            if next.hidden_client_addr == Some(id) {
                next.hidden_client_addr = None;
            }
            next.members.insert(id, server);
        }
        if next.members.len() > MAX_MEMBERS {
            let members = next.members.len().to_string();
            return Err(ConfigError::value("server.N", members, "at most 1024"));
        }
        next.check_voters()?;
        next.check_groups()?;
        Ok(next)
    }

    fn check_voters(&self) -> Result<(), ConfigError> {
        if self.voters().next().is_some() {
            return Ok(());
        }
        Err(ConfigError::Missing {
            key: "server.N".to_owned(),
            purpose: "an ensemble: one server at least has to be a participant".to_owned(),
        })
    }

    /// Leaves the client address of `id` out of the text: it stands in the static
    /// file of that very server.
    pub(crate) fn with_hidden_client_addr(mut self, id: ServerId, addr: HostPort) -> Self {
        if let Some(server) = self.members.get_mut(&id) {
            server.client_addr = Some(addr);
            self.hidden_client_addr = Some(id);
        }
        self
    }

    /// Everybody, by id.
    pub(crate) fn members(&self) -> impl Iterator<Item = &QuorumServer> {
        self.members.values()
    }

    /// The member with this id.
    pub(crate) fn member(&self, id: ServerId) -> Option<&QuorumServer> {
        self.members.get(&id)
    }

    /// Those with a vote, in ascending order.
    pub(crate) fn voters(&self) -> impl Iterator<Item = ServerId> {
        let voters = self.members.values().filter(|s| s.is_participant());
        voters.map(|server| server.id)
    }

    /// Whether `id` has a vote.
    pub(crate) fn is_voter(&self, id: ServerId) -> bool {
        self.member(id).is_some_and(QuorumServer::is_participant)
    }

    /// What the vote of `id` weighs; one that weighs nothing is never elected.
    pub(crate) fn weight(&self, id: ServerId) -> i64 {
        match &self.hierarchy {
            Some(hierarchy) => hierarchy.weight(id),
            None => 1,
        }
    }

    /// Whether `acks` are enough. Only those of voters count.
    pub(crate) fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        match &self.hierarchy {
            Some(hierarchy) => {
                let acks = acks.iter().copied().filter(|id| self.is_voter(*id));
                hierarchy.contains_quorum(&acks.collect())
            }
            None => {
                let voters = self.voters().count();
                self.voters().filter(|id| acks.contains(id)).count() > voters / 2
            }
        }
    }

    /// Whether any quorum of this one shares a server with any quorum of `other`: two
    /// lists of which that is not true can elect a leader each. Known for
    /// majorities; groups are taken to agree only where they are the same.
    pub(crate) fn always_meets(&self, other: &Self) -> bool {
        if self.hierarchy.is_some() || other.hierarchy.is_some() {
            return self.hierarchy == other.hierarchy && self.voters().eq(other.voters());
        }
        let ours: BTreeSet<_> = self.voters().collect();
        let theirs: BTreeSet<_> = other.voters().collect();
        let common = ours.intersection(&theirs).count();
        // What a majority needs beyond those who are in one list only.
        let needed = |voters: &BTreeSet<ServerId>| {
            let majority = voters.len() / 2 + 1;
            majority.saturating_sub(voters.len() - common)
        };
        needed(&ours) + needed(&theirs) > common
    }

    /// Whether members, roles, addresses and groups are the same, whatever the
    /// versions say.
    pub(crate) fn has_same_members(&self, other: &Self) -> bool {
        self.members == other.members && self.hierarchy == other.hierarchy
    }

    /// The configuration as peers and `/zookeeper/config` have it: no newline after
    /// the version.
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.member_text();
        // Writing to a string cannot fail.
        let _ = write!(text, "version={:x}", self.version);
        text
    }

    /// The lines without the version, each with its newline.
    fn member_text(&self) -> String {
        let mut text = String::new();
        for (id, server) in &self.members {
            let mut shown = server.clone();
            if self.hidden_client_addr == Some(*id) {
                shown.client_addr = None;
            }
            let _ = writeln!(text, "server.{id}={shown}");
        }
        let Some(hierarchy) = &self.hierarchy else {
            return text;
        };
        for (group, members) in &hierarchy.groups {
            let members: Vec<_> = members.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "group.{group}={}", members.join(":"));
        }
        for (id, weight) in &hierarchy.weights {
            let _ = writeln!(text, "weight.{id}={weight}");
        }
        text
    }
}

impl Hierarchy {
    fn weight(&self, id: ServerId) -> i64 {
        self.weights.get(&id).copied().unwrap_or(1)
    }

    /// Weights fit an `i32` and a group has at most as many members as a line can
    /// hold, so that the sums cannot overflow.
    fn contains_quorum(&self, acks: &BTreeSet<ServerId>) -> bool {
        let sum = |ids: &mut dyn Iterator<Item = &ServerId>| ids.map(|id| self.weight(*id)).sum();
        let (mut groups, mut won) = (0, 0);
        for members in self.groups.values() {
            let total: i64 = sum(&mut members.iter());
            let acked: i64 = sum(&mut members.intersection(acks));
            groups += usize::from(total > 0);
            won += usize::from(acked > total / 2);
        }
        won > groups / 2
    }
}

/// As Apache compares: the same version is the same configuration.
impl PartialEq for QuorumVerifier {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version || self.has_same_members(other)
    }
}
