//! What a peer knows of who is in the ensemble, as that changes.

use super::Peer;
use super::disk::DiskOp;
use crate::quorum::election::{Decision, PeerState, Vote};
use crate::quorum::zab::{LeaderShutdown, LearnerReconfig, LearnerShutdown};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

use super::RoleEnd;

impl RoleEnd {
    /// Who leads from now on by a reconfiguration that has ended the role, if it names one.
    pub(super) fn designated_leader(&self) -> Option<ServerId> {
        match self {
            Self::Led(LeaderShutdown::Reconfigured { leader }) => Some(*leader),
            Self::Learned(LearnerShutdown::Reconfigured { leader }) => *leader,
            _ => None,
        }
    }
}

impl Peer {
    /// What a learner of `leader`'s needs to see the configuration change, if it may.
    pub(super) fn learner_reconfig(&self, leader: ServerId) -> Option<LearnerReconfig> {
        let is_enabled = self.config.settings.reconfig_enabled;
        is_enabled.then(|| LearnerReconfig {
            config: self.membership.clone(),
            leader,
        })
    }

    /// A configuration was proposed, or is what the leader has seen last.
    pub(super) fn see_config(&mut self, text: &str) {
        match QuorumVerifier::parse(text) {
            Ok(config) => {
                tracing::info!(
                    version = format_args!("{:#x}", config.version()),
                    "a configuration is proposed"
                );
                if self.config.settings.reconfig_enabled {
                    let text = config.to_text();
                    self.disk.ask(DiskOp::ProposeMembers { text });
                }
                self.membership.last_seen = Some(config);
                self.is_membership_untold = true;
            }
            Err(error) => tracing::error!(%error, "a configuration that cannot be read"),
        }
    }

    /// A configuration is in force.
    pub(super) fn activate_config(&mut self, text: &str) {
        match QuorumVerifier::parse(text) {
            Ok(config) => {
                tracing::info!(
                    version = format_args!("{:#x}", config.version()),
                    "a configuration is in force"
                );
                self.membership.last_seen = Some(config.clone());
                self.adopt(config);
            }
            Err(error) => tracing::error!(%error, "a configuration that cannot be read"),
        }
    }

    /// A configuration in this peer's history that is newer than all it knows of was proposed
    /// at least. Without it a peer that has got the history of a leader, and not been told
    /// yet that it is the ensemble's, would be counted by the old members alone.
    pub(super) fn see_history(&mut self) {
        if !self.config.settings.reconfig_enabled {
            return;
        }
        let text = self.shell.act("looking for a configuration", |zks, _, _| {
            zks.config_of_history()
        });
        // A fresh tree says nothing, and a peer's own list may have no version yet.
        let Some(Ok(config)) = text.flatten().map(|text| QuorumVerifier::parse(&text)) else {
            return;
        };
        let newest = self
            .membership
            .last_seen
            .as_ref()
            .map_or(0, QuorumVerifier::version);
        if config.version() > newest.max(self.membership.committed.version()) {
            self.membership.last_seen = Some(config);
            self.is_membership_untold = true;
        }
    }

    /// This is the ensemble from now on.
    pub(super) fn adopt(&mut self, config: QuorumVerifier) {
        if let Some(own) = config.member(self.config.id) {
            self.config.learner_type = own.learner_type;
        } else {
            // Removed: it follows on, without a vote, until somebody stops it.
            self.config.learner_type = LearnerType::Participant;
        }
        if self.config.settings.reconfig_enabled {
            let own = config.member(self.config.id);
            self.disk.ask(DiskOp::SetMembers {
                version: config.version(),
                text: config.to_text(),
                has_client_addr: own.is_some_and(|own| own.client_addr.is_some()),
            });
        }
        self.config.verifier = config.clone();
        self.membership.committed = config;
        self.is_membership_untold = true;
        self.show_config();
    }

    /// The configuration's znode says what is in force.
    pub(super) fn show_config(&self) {
        let verifier = &self.membership.committed;
        let (text, version) = (verifier.to_text(), verifier.version());
        self.shell.act("showing the configuration", |zks, _, wall| {
            zks.set_config(&text, version, wall);
        });
        self.shell
            .with_view(|view| view.verifier = verifier.clone());
    }

    /// Tells the election what it has to count by.
    pub(super) async fn tell_membership(&mut self) {
        if std::mem::take(&mut self.is_membership_untold) {
            let last_seen = self.membership.last_seen.clone();
            let last_seen = last_seen.filter(|_| self.config.settings.reconfig_enabled);
            self.election
                .set_config(self.membership.committed.clone(), last_seen)
                .await;
        }
    }

    /// The role that a reconfiguration gives without an election; nothing, if this peer
    /// does not know where the leader is.
    pub(super) async fn designated(&mut self, leader: ServerId) -> Option<Decision> {
        self.membership.committed.member(leader)?;
        let role = if leader == self.config.id {
            PeerState::Leading
        } else {
            match self.config.learner_type {
                LearnerType::Participant => PeerState::Following,
                LearnerType::Observer => PeerState::Observing,
            }
        };
        let zxid = self.history.last_zxid.0;
        self.tell_membership().await;
        self.election.set_leader(leader, zxid, role).await;
        let vote = Vote {
            version: 0,
            leader,
            zxid,
            round: -1,
            peer_epoch: -1,
            state: role,
        };
        Some(Decision { leader, role, vote })
    }
}
