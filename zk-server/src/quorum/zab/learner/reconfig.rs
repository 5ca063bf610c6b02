//! A learner and the configuration: seen when it is proposed, in force when it is
//! committed.

use zk_proto::Zxid;

use super::{Learner, LearnerShutdown, Output};
use crate::error::ConfigError;
use crate::quorum::packet::QuorumPacket;
use crate::quorum::zab::{Proposal, first_zxid};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};
use crate::txn::reconfigured;

/// A configuration that takes effect behind a transaction.
#[derive(Debug)]
pub(super) struct Activation {
    /// The last that has to be delivered before; none, if all is.
    pub(super) after: Option<Zxid>,
    pub(super) config: QuorumVerifier,
    pub(super) leader: ServerId,
}

impl Learner {
    /// A transaction that is about to be received, and may be a reconfiguration. What the
    /// history has already was seen with it; what is older than the last seen belongs to
    /// a history that is being caught up with.
    pub(super) fn see_proposal(&mut self, proposal: &Proposal) -> Result<(), LearnerShutdown> {
        let Some(reconfig) = &mut self.options.reconfig else {
            return Ok(());
        };
        if self.pending.is_known(proposal.zxid) {
            return Ok(());
        }
        let Some(next) = configuration(proposal)? else {
            return Ok(());
        };
        if next.version() > reconfig.config.newest().version() {
            self.outputs
                .push_back(Output::ConfigProposed(next.to_text()));
            reconfig.config.last_seen = Some(next);
        }
        Ok(())
    }

    /// NEWLEADER: the leader's last seen configuration is ours, even if we have seen a
    /// newer one. That was proposed by a leader of the past, and is not in this history.
    pub(super) fn see_new_leader(&mut self, packet: &QuorumPacket) -> Result<(), LearnerShutdown> {
        let Some(reconfig) = &mut self.options.reconfig else {
            return Ok(());
        };
        let text = packet.bytes();
        if text.len() <= 1 {
            return Ok(());
        }
        let config = QuorumVerifier::parse(&String::from_utf8_lossy(&text));
        let config = config.map_err(|error| LearnerShutdown::Config {
            zxid: packet.zxid,
            error,
        })?;
        if config.version() != reconfig.config.newest().version() {
            self.outputs.push_back(Output::NewConfig(config.to_text()));
            reconfig.config.last_seen = Some(config.clone());
        }
        self.new_leader_config = Some(config);
        Ok(())
    }

    /// The configuration that was proposed with `zxid` is committed.
    pub(super) fn expect_activation(
        &mut self,
        zxid: Zxid,
        leader: ServerId,
    ) -> Result<(), LearnerShutdown> {
        let Some(reconfig) = &self.options.reconfig else {
            return Ok(());
        };
        if self.pending.is_known(zxid) {
            return Ok(());
        }
        let config = reconfig.config.last_seen.as_ref();
        let config = config.filter(|config| config.version() == zxid.0);
        self.activations.push_back(Activation {
            after: self.pending.last_undelivered(),
            config: config.cloned().ok_or(LearnerShutdown::NoSuchConfig(zxid))?,
            leader,
        });
        Ok(())
    }

    /// UPTODATE: what came with NEWLEADER is in force; unless it was proposed in this very
    /// epoch and is undecided still, for then it may come to nothing. (Apache's learners
    /// put it in force all the same.)
    pub(super) fn activate_new_leader_config(&mut self, epoch: i64) {
        let Some(config) = self.new_leader_config.take() else {
            return;
        };
        let decided = self.pending.last_committed().max(first_zxid(epoch));
        if config.version() <= decided.0 {
            self.activate(config, None);
        }
    }

    /// A configuration is in force, unless a newer one is already. The role ends if this
    /// peer has another one by it, or another leader.
    pub(super) fn activate(&mut self, next: QuorumVerifier, leader: Option<ServerId>) {
        let Some(reconfig) = &mut self.options.reconfig else {
            return;
        };
        if next.version() <= reconfig.config.committed.version() {
            return;
        }
        let config = next.to_text();
        self.outputs.push_back(Output::Activate { config, leader });
        self.options
            .probe
            .reached("zab: learner activates a configuration");
        let before = reconfig.config.commit(next);
        let now = &reconfig.config.committed;
        if before.has_same_members(now) {
            return;
        }
        let stays_leader = match leader {
            Some(leader) => leader == reconfig.leader,
            None => leads_on(reconfig.leader, &before, now),
        };
        if !stays_leader || role_in(now, self.options.id) != self.options.learner_type {
            self.shut_down(LearnerShutdown::Reconfigured { leader });
        }
    }
}

/// The configuration that a transaction proposes, if it does.
fn configuration(proposal: &Proposal) -> Result<Option<QuorumVerifier>, LearnerShutdown> {
    let zxid = proposal.zxid;
    let text = reconfigured(&proposal.payload);
    let parsed = text.and_then(|text| text.as_deref().map(QuorumVerifier::parse).transpose());
    let checked = parsed.and_then(|parsed| match parsed {
        Some(next) if next.version() != zxid.0 => Err(ConfigError::value(
            "version",
            format!("{:x}", next.version()),
            "the zxid of the transaction",
        )),
        parsed => Ok(parsed),
    });
    checked.map_err(|error| LearnerShutdown::Config { zxid, error })
}

/// Whether a leader that nobody has named stays one: a voter in the same place.
fn leads_on(leader: ServerId, before: &QuorumVerifier, now: &QuorumVerifier) -> bool {
    let voter = |config: &QuorumVerifier| {
        let member = config.member(leader).cloned();
        member.filter(|member| member.is_participant())
    };
    match (voter(before), voter(now)) {
        (Some(before), Some(now)) => before.has_quorum_addrs_of(&now),
        _ => false,
    }
}

/// What a server is. One that was removed follows on, without a vote.
fn role_in(config: &QuorumVerifier, id: ServerId) -> LearnerType {
    config
        .member(id)
        .map_or(LearnerType::Participant, |member| member.learner_type)
}
