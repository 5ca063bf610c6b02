//! The leader and the configuration: one change at a time, decided by the old ensemble
//! and the new one, in force everywhere behind its own transaction.

use std::collections::BTreeSet;

use bytes::Bytes;
use zk_env::Mono;
use zk_proto::Zxid;

use super::{Leader, LeaderShutdown, Output, Phase, ProposeError};
use crate::quorum::packet::{PacketType, QuorumPacket, encode_informed, encode_server_id};
use crate::quorum::zab::{Proposal, first_zxid};
use crate::quorum::{Membership, QuorumVerifier, ServerId};

impl Leader {
    /// Proposes the next configuration, whose version becomes the zxid it gets. `payload`
    /// makes the transaction for that zxid.
    ///
    /// From now on proposals, this one first, need quorums of both configurations, and so
    /// does the leader to go on.
    ///
    /// # Errors
    ///
    /// Nothing was proposed, and `payload` not called.
    pub(crate) fn propose_reconfig(
        &mut self,
        next: QuorumVerifier,
        payload: impl FnOnce(Zxid) -> Bytes,
        now: Mono,
    ) -> Result<Zxid, ProposeError> {
        if !self.options.reconfig_enabled {
            return Err(ProposeError::ReconfigDisabled);
        }
        if let Some(pending) = self.config.newer() {
            let version = pending.version();
            return Err(ProposeError::ReconfigInProgress { version });
        }
        if !next.contains_quorum(&self.synced()) {
            return Err(ProposeError::NewConfigNoQuorum);
        }
        let zxid = self.next_zxid()?;
        self.see(next.with_version(zxid.0));
        self.broadcast(zxid, payload(zxid), now);
        self.options
            .probe
            .reached("zab: leader proposed a configuration");
        Ok(zxid)
    }

    /// What a reconfiguration is prepared against.
    pub(crate) fn membership(&self, is_standalone_enabled: bool) -> Membership {
        Membership {
            committed: self.config.committed.clone(),
            last_seen: self.config.newest().clone(),
            synced: self.synced(),
            is_standalone_enabled,
        }
    }

    /// Ourselves and all followers that have the history of the epoch, voters or not.
    fn synced(&self) -> BTreeSet<ServerId> {
        let synced = self.learners.values();
        let synced = synced.filter(|l| l.is_synced() && !l.is_observer());
        let mut synced: BTreeSet<_> = synced.filter_map(|learner| learner.server).collect();
        synced.insert(self.options.id);
        synced
    }

    fn see(&mut self, next: QuorumVerifier) {
        let text = next.to_text();
        self.config.last_seen = Some(next);
        self.outputs.push_back(Output::ConfigProposed(text));
    }

    /// A list from a file has no version. The first leader that a quorum follows gives it
    /// one, by NEWLEADER, so that it comes before the lists of servers that want to join
    /// (ZOOKEEPER-1783).
    pub(super) fn number_first_config(&mut self, epoch: i64) {
        let has_none = self.config.newest().version() == 0;
        if self.options.reconfig_enabled && has_none {
            let first = self.config.committed.clone();
            self.see(first.with_version(first_zxid(epoch).0));
        }
    }

    /// The epoch is established, and with it what was proposed in an earlier one and is
    /// the last seen: a quorum of both has acknowledged it with NEWLEADER. Returns who is
    /// to lead on, if that is somebody else.
    pub(super) fn activate_last_seen(&mut self, acks: &BTreeSet<ServerId>) -> Option<ServerId> {
        let next = self.config.newer()?.clone();
        let leader = self.designated_leader(&next, acks);
        self.activate(next, leader);
        (leader != self.options.id).then_some(leader)
    }

    /// The configuration that is committed with `proposal`, if that is its transaction,
    /// and who leads with it.
    pub(super) fn reconfigured_by(
        &self,
        zxid: Zxid,
        acks: &BTreeSet<ServerId>,
    ) -> Option<(QuorumVerifier, ServerId)> {
        let next = self.config.newer()?;
        let is_it = next.version() == zxid.0;
        is_it.then(|| (next.clone(), self.designated_leader(next, acks)))
    }

    pub(super) fn send_commit_and_activate(&mut self, proposal: &Proposal, leader: ServerId) {
        let commit = QuorumPacket::with_data(
            PacketType::CommitAndActivate,
            proposal.zxid,
            encode_server_id(leader),
        );
        self.send_to_all(&commit, false);
        let inform = QuorumPacket::with_data(
            PacketType::InformAndActivate,
            proposal.zxid,
            encode_informed(leader, &proposal.payload),
        );
        self.send_to_all(&inform, true);
    }

    pub(super) fn activate(&mut self, next: QuorumVerifier, leader: ServerId) {
        let config = next.to_text();
        tracing::info!(version = format_args!("{:#x}", next.version()), %leader, "a new configuration");
        self.config.commit(next);
        self.outputs.push_back(Output::Activate { config, leader });
        self.options
            .probe
            .reached("zab: leader activates a configuration");
    }

    /// Who leads with the next configuration: we, if it has us as a voter in the same
    /// place. If not, a voter that has it on disk and as much of what follows as anybody,
    /// connected if possible; of several the one with the highest id.
    fn designated_leader(&self, next: &QuorumVerifier, acks: &BTreeSet<ServerId>) -> ServerId {
        let us = self.options.id;
        let before = self.config.committed.member(us);
        let stays = next.member(us).filter(|server| server.is_participant());
        if stays.is_some_and(|now| before.is_none_or(|before| before.has_quorum_addrs_of(now))) {
            return us;
        }
        let can_lead = |id: &ServerId| *id != us && next.is_voter(*id) && next.weight(*id) > 0;
        let mut candidates: BTreeSet<_> = acks.iter().copied().filter(can_lead).collect();
        let synced = self.synced();
        for narrower in std::iter::once(&synced).chain(self.outstanding.acks()) {
            let fewer: BTreeSet<_> = candidates.intersection(narrower).copied().collect();
            if !fewer.is_empty() {
                candidates = fewer;
            }
        }
        // Nobody, if we alone vote and only move: then there is nobody to wait for either.
        candidates.last().copied().unwrap_or(us)
    }

    /// Somebody else leads from now on. Nothing more is committed here, and what is
    /// outstanding is the next leader's to decide. The learners leave of their own accord,
    /// so that what they were sent certainly arrives before the connections end.
    pub(super) fn retire(&mut self, leader: ServerId) {
        let Phase::Broadcast { epoch } = self.phase else {
            return;
        };
        self.phase = Phase::Retiring {
            epoch,
            leader,
            until: None,
            gone: BTreeSet::from([self.options.id]),
        };
        self.syncs.clear();
        self.end_retirement();
    }

    /// A learner is gone, and if we retire it knows whom to follow.
    pub(super) fn note_gone(&mut self, server: Option<ServerId>) {
        if let Phase::Retiring { gone, .. } = &mut self.phase {
            gone.extend(server);
            self.end_retirement();
        }
    }

    /// The role is over once the next leader has gone and a quorum with it, or nobody is
    /// left.
    fn end_retirement(&mut self) {
        let Phase::Retiring { leader, gone, .. } = &self.phase else {
            return;
        };
        let leader = *leader;
        let is_told = gone.contains(&leader) && self.config.committed.contains_quorum(gone);
        let is_alone = !self
            .learners
            .values()
            .any(super::LearnerHandler::is_forwarding);
        if is_told || is_alone {
            self.shut_down(LeaderShutdown::Reconfigured { leader });
        }
    }
    /// Whoever has not left by now does not listen.
    pub(super) fn check_retirement(&mut self, now: Mono) {
        let limit = now + self.options.timing.sync_time();
        if let Phase::Retiring { leader, until, .. } = &mut self.phase {
            let leader = *leader;
            if *until.get_or_insert(limit) <= now {
                self.shut_down(LeaderShutdown::Reconfigured { leader });
            }
        }
    }
}
