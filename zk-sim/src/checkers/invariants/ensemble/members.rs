//! Whoever leads is a voter of the ensemble as its history has it.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::Zxid;

use crate::history::{Applied, History, PeerSeen, Step};
use crate::runner::{Invariant, id_of};

/// Leaders are voters of the configuration at the zxid from which they lead on, or of the one
/// before: whether the last one in its history was committed, a leader need not know when it is
/// elected.
#[derive(Debug, Default)]
pub struct Members {
    /// Who votes from a transaction on.
    voters: BTreeMap<Zxid, BTreeSet<usize>>,
}

impl Invariant for Members {
    fn name(&self) -> &'static str {
        "members"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Applied(applied) => self.apply(applied),
            Step::Peer(seen) if seen.is_established_leader() => self.lead(seen),
            _ => Ok(()),
        }
    }

    /// By the end the log tells also of what nobody was seen to apply.
    fn check(&mut self, history: &History) -> Result<(), String> {
        for made in &history.transactions {
            if let Some(config) = &made.config {
                self.note(made.zxid, config)?;
            }
        }
        let mut leaders = history.peers.iter().filter(|s| s.is_established_leader());
        leaders.try_for_each(|seen| self.lead(seen))
    }
}

impl Members {
    fn apply(&mut self, applied: &Applied) -> Result<(), String> {
        match &applied.transaction.config {
            Some(config) => self.note(applied.transaction.zxid, config),
            None => Ok(()),
        }
    }

    /// A configuration's version is the zxid of its transaction.
    fn note(&mut self, zxid: Zxid, config: &str) -> Result<(), String> {
        let version = format!("version={:x}", zxid.0);
        if !config.lines().any(|line| line == version) {
            return Err(format!(
                "what {zxid} puts in force is not of its version: {config}"
            ));
        }
        self.voters.insert(zxid, voters(config));
        Ok(())
    }

    fn lead(&self, seen: &PeerSeen) -> Result<(), String> {
        let mut known = self.voters.range(..=seen.last_zxid).rev();
        let (Some((zxid, last)), before) = (known.next(), known.next()) else {
            return Ok(());
        };
        let Some((_, before)) = before else {
            // The first list is not in the log.
            return Ok(());
        };
        let id = id_of(&seen.peer).unwrap_or_default();
        if last.contains(&id) || before.contains(&id) {
            return Ok(());
        }
        Err(format!(
            "{} leads epoch {} from {} on, and is no voter: {last:?} since {zxid}, {before:?} \
             before",
            seen.peer, seen.epoch, seen.last_zxid
        ))
    }
}

fn voters(config: &str) -> BTreeSet<usize> {
    let voter = |line: &str| {
        let (id, server) = line.strip_prefix("server.")?.split_once('=')?;
        server.contains(":participant").then(|| id.parse().ok())?
    };
    config.lines().filter_map(voter).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::PeerState;

    fn leads(peer: &str, last_zxid: i64) -> PeerSeen {
        PeerSeen {
            at: Duration::ZERO,
            peer: peer.into(),
            state: PeerState::Leading,
            is_serving: true,
            epoch: 1,
            accepted_epoch: 1,
            last_zxid: Zxid(last_zxid),
        }
    }

    const TEXT: &str = "server.1=peer-1:1:2:participant;3\nserver.2=peer-2:1:2:observer;3\n";

    #[test]
    fn whoever_leads_has_a_vote() {
        let mut members = Members::default();
        let with = |more: &str, version| format!("{TEXT}{more}version={version}");
        let third = "server.3=peer-3:1:2:participant;3\n";
        assert_eq!(members.note(Zxid(5), &with(third, "5")), Ok(()));
        assert_eq!(members.note(Zxid(16), &with("", "10")), Ok(()));
        assert_eq!(members.lead(&leads("peer-1", 20)), Ok(()));
        assert_eq!(
            members.lead(&leads("peer-3", 20)),
            Ok(()),
            "it may not know"
        );
        assert!(members.lead(&leads("peer-2", 20)).is_err());
        assert_eq!(
            members.lead(&leads("peer-2", 7)),
            Ok(()),
            "by the first list"
        );
        assert_eq!(members.note(Zxid(17), &with("", "11")), Ok(()));
        assert!(members.lead(&leads("peer-3", 20)).is_err());
    }

    #[test]
    fn a_configuration_has_the_version_of_its_transaction() {
        let mut members = Members::default();
        assert!(members.note(Zxid(5), &format!("{TEXT}version=6")).is_err());
    }
}
