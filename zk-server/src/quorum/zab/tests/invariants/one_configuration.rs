//! One configuration follows another: at most one is under way, old and new decide on it
//! and on what is behind it, its version is its zxid, and whoever may still elect by the
//! old one has heard of the new one. So there are never two that decide apart.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::zab::Proposal;
use crate::quorum::{QuorumVerifier, ServerId};
use crate::txn::reconfigured;

#[derive(Debug, Default)]
pub(super) struct OneConfiguration {
    /// What was ever proposed, by zxid.
    proposed: BTreeMap<Zxid, String>,
    /// What was ever in force, by version.
    chain: BTreeMap<i64, QuorumVerifier>,
    /// What each leader has proposed and not put in force.
    pending: BTreeMap<ServerId, QuorumVerifier>,
}

impl Invariant for OneConfiguration {
    fn name(&self) -> &'static str {
        "one configuration"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        world: &World<'_>,
    ) -> Result<(), String> {
        match event {
            Event::Proposed { config } => self.propose(server, config),
            Event::Broadcast(proposal) => {
                let text = reconfigured(&proposal.payload).map_err(|error| error.to_string())?;
                self.proposed.extend(text.map(|text| (proposal.zxid, text)));
                Ok(())
            }
            Event::InForce { config } => {
                self.pending.remove(&server);
                self.activate(config, world)
            }
            Event::Acknowledged(proposal) => self.acknowledge(server, proposal, world),
            // A role that begins has nothing under way.
            Event::Established { .. } => {
                self.pending.remove(&server);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl OneConfiguration {
    fn propose(&mut self, server: ServerId, config: &QuorumVerifier) -> Result<(), String> {
        match self.pending.insert(server, config.clone()) {
            Some(pending) => Err(format!("{config:?} while {pending:?} is under way")),
            None => Ok(()),
        }
    }

    /// Its version is the zxid it was proposed with, or that of an epoch for the one that
    /// came from files.
    fn is_as_proposed(&self, config: &QuorumVerifier) -> bool {
        let zxid = Zxid(config.version());
        match self.proposed.get(&zxid) {
            Some(text) => *text == config.to_text(),
            None => zxid.counter() == 0,
        }
    }

    fn activate(&mut self, config: &QuorumVerifier, world: &World<'_>) -> Result<(), String> {
        if !self.is_as_proposed(config) {
            return Err(format!("{config:?} was not proposed with its version"));
        }
        let version = config.version();
        if let Some(known) = self.chain.get(&version) {
            let is_same = known.has_same_members(config);
            return is_same
                .then_some(())
                .ok_or_else(|| format!("{config:?}, known as {known:?}"));
        }
        let newest = self.chain.last_key_value();
        if let Some((newest, _)) = newest.filter(|(newest, _)| **newest > version) {
            return Err(format!("{config:?} behind version {newest:#x}"));
        }
        let before = world.config;
        if !before.has_same_members(config) {
            let heard = world.disks.iter();
            let heard = heard.filter(|(_, disk)| {
                let known = disk.config();
                let last_seen = known.last_seen.map_or(0, |config| config.version());
                last_seen.max(known.committed.version()) >= version
            });
            let heard: BTreeSet<_> = heard.map(|(id, _)| *id).collect();
            if !before.contains_quorum(&heard) || !config.contains_quorum(&heard) {
                return Err(format!("only {heard:?} have heard of {config:?}"));
            }
        }
        self.chain.insert(version, config.clone());
        Ok(())
    }

    fn acknowledge(
        &self,
        server: ServerId,
        proposal: &Proposal,
        world: &World<'_>,
    ) -> Result<(), String> {
        let Some(next) = self.pending.get(&server) else {
            return Ok(());
        };
        if proposal.zxid.0 < next.version() {
            return Ok(());
        }
        let has = world
            .disks
            .iter()
            .filter(|(_, disk)| disk.has(proposal.zxid));
        let has: BTreeSet<_> = has.map(|(id, _)| *id).collect();
        if next.contains_quorum(&has) {
            return Ok(());
        }
        Err(format!(
            "{} was acknowledged, {has:?} have it, and {next:?} is under way",
            proposal.zxid
        ))
    }
}
