//! One server: a disk, a tree, and the machine of its role.

use zk_env::Mono;

use super::disk::{Disk, Done};
use crate::quorum::zab::{Leader, Learner, LearnerId, Proposal};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

/// What a server is doing.
#[derive(Debug)]
pub(super) enum Role {
    Down,
    Looking,
    Leading(Box<Leader>),
    Learning {
        learner: Box<Learner>,
        link: LearnerId,
    },
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: ServerId,
    pub(super) disk: Disk,
    pub(super) role: Role,
    /// The tree, as the transactions that it is made of.
    pub(super) tree: Vec<Proposal>,
    /// Whether clients see it.
    pub(super) is_serving: bool,
    /// The snapshot that is on its way in.
    pub(super) incoming: Option<Vec<Proposal>>,
    /// The log of the last role could not be truncated.
    pub(super) wants_snapshot: bool,
    /// A reconfiguration has said whom to follow.
    pub(super) designated: Option<ServerId>,
    /// Which of its roles this is.
    pub(super) run: u64,
}

impl Peer {
    pub(super) fn new(id: ServerId, config: QuorumVerifier) -> Self {
        Self {
            id,
            disk: Disk::new(config),
            role: Role::Looking,
            tree: Vec::new(),
            is_serving: false,
            incoming: None,
            wants_snapshot: false,
            designated: None,
            run: 0,
        }
    }

    pub(super) fn is_voter(&self) -> bool {
        self.knows(self.id)
    }

    /// Whether a vote for this leader counts here, and it can be found.
    pub(super) fn knows(&self, leader: ServerId) -> bool {
        let mut configs = self.configs().into_iter();
        configs.any(|config| config.is_voter(leader))
    }

    /// The configuration in force, and the one that is to follow it.
    pub(super) fn configs(&self) -> Vec<QuorumVerifier> {
        let config = self.disk.durable.config();
        let next = config.newer().cloned();
        [config.committed].into_iter().chain(next).collect()
    }

    /// Likewise, with no regard to what has only been proposed.
    pub(super) fn knows_in_force(&self, leader: ServerId) -> bool {
        self.disk.durable.config().committed.is_voter(leader)
    }

    /// Whoever has no part follows without a vote.
    pub(super) fn learner_type(&self) -> LearnerType {
        let config = self.disk.durable.config().committed;
        let member = config.member(self.id);
        member.map_or(LearnerType::Participant, |member| member.learner_type)
    }

    /// Whether it can take a role: the writer of the last one has finished.
    pub(super) fn can_begin(&self) -> bool {
        matches!(self.role, Role::Looking) && self.disk.is_idle()
    }

    /// Begins a role from what the disk has.
    pub(super) fn begin(&mut self, role: Role) {
        assert!(self.can_begin());
        self.tree = self.disk.durable.txns();
        self.run += 1;
        self.role = role;
    }

    /// Ends a role.
    pub(super) fn end(&mut self) {
        self.role = Role::Looking;
        self.is_serving = false;
        self.incoming = None;
    }

    pub(super) fn timeout(&self) -> Option<Mono> {
        match &self.role {
            Role::Down | Role::Looking => None,
            Role::Leading(leader) => leader.poll_timeout(),
            Role::Learning { learner, .. } => learner.poll_timeout(),
        }
    }

    /// Something has become durable.
    pub(super) fn handle_done(&mut self, done: Done, now: Mono) {
        match (&mut self.role, done) {
            (Role::Leading(leader), Done::Appended(zxid)) => leader.handle_appended(zxid),
            (Role::Leading(leader), Done::Epoch(file)) => leader.handle_epoch_persisted(file, now),
            (Role::Learning { learner, .. }, Done::Appended(zxid)) => {
                learner.handle_appended(zxid, now);
            }
            (Role::Learning { learner, .. }, Done::Epoch(file)) => {
                learner.handle_epoch_persisted(file, now);
            }
            (Role::Learning { learner, .. }, Done::Truncated(outcome)) => {
                self.tree = self.disk.durable.txns();
                learner.handle_truncated(outcome, now);
            }
            (Role::Learning { learner, .. }, Done::Installed(outcome)) => {
                self.tree = self.disk.durable.txns();
                learner.handle_snapshot_installed(outcome, now);
            }
            (Role::Learning { .. }, Done::Configured) => {}
            // What a role has left to be written is written, and nobody told.
            (Role::Leading(_) | Role::Looking | Role::Down, _) => {}
        }
    }
}
