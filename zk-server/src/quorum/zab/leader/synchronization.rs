//! Bringing learners to the epoch's initial history and to what has followed it.

use std::collections::BTreeSet;

use zk_env::Mono;
use zk_proto::Zxid;

use super::{Leader, LearnerLoss, Output, Phase};
use crate::quorum::packet::{PacketType, QuorumPacket};
use crate::quorum::zab::learner_handler::{LearnerId, Stage};
use crate::quorum::zab::outstanding::Outstanding;
use crate::quorum::zab::sync::{DiskLog, SyncDecision, SyncOp, SyncPlan, SyncState, decide};
use crate::quorum::zab::{Proposal, first_zxid};

impl Leader {
    /// Our `currentEpoch` is durable and so is all of our history: that is our own ack of
    /// NEWLEADER. Whoever has acknowledged the epoch is synchronised.
    pub(super) fn enter_synchronization(&mut self, epoch: i64, now: Mono) {
        self.options.probe.reached("zab: leader entered its epoch");
        self.phase = Phase::Synchronization {
            epoch,
            acks: BTreeSet::from([self.options.id]),
        };
        self.number_first_config(epoch);
        let waiting = self
            .learners
            .iter()
            .filter_map(|(id, learner)| match learner.stage {
                Stage::AwaitingSync { last_zxid } => Some((*id, last_zxid)),
                _ => None,
            });
        for (learner, last_zxid) in waiting.collect::<Vec<_>>() {
            self.synchronize(learner, last_zxid, now);
        }
        self.establish(now);
    }

    /// Decides what a learner gets, and sends it unless the log has to be read first.
    pub(super) fn synchronize(&mut self, to: LearnerId, last_zxid: Zxid, now: Mono) {
        let disk = if self.options.reads_log {
            DiskLog::NotRead
        } else {
            DiskLog::Disabled
        };
        self.decide_sync(to, last_zxid, disk, now);
    }

    /// The log was read for a learner, as [`Output::ReadLog`] asked; `None` if it cannot
    /// serve it.
    pub(crate) fn handle_log_read(
        &mut self,
        learner: LearnerId,
        log: Option<Vec<Proposal>>,
        now: Mono,
    ) {
        let stage = self.learners.get(&learner).map(|learner| learner.stage);
        if let Some(Stage::ReadingLog { last_zxid }) = stage {
            let disk = log.map_or(DiskLog::Unavailable, DiskLog::Read);
            self.decide_sync(learner, last_zxid, disk, now);
        }
    }

    fn decide_sync(&mut self, to: LearnerId, last_zxid: Zxid, disk: DiskLog, now: Mono) {
        let decision = if self.options.force_snapshot_sync {
            SyncDecision::Send(SyncPlan {
                op: SyncOp::Snap,
                proposals: Vec::new(),
            })
        } else {
            decide(&SyncState {
                peer_last: last_zxid,
                last_processed: self.last_processed,
                committed: &self.committed,
                disk,
            })
        };
        match decision {
            SyncDecision::Send(plan) => self.send_plan(to, plan, now),
            SyncDecision::ReadLog { from, through } => {
                if let Some(handler) = self.learners.get_mut(&to) {
                    handler.stage = Stage::ReadingLog { last_zxid };
                    handler.deadline = now + self.options.timing.init_time();
                    self.outputs.push_back(Output::ReadLog {
                        learner: to,
                        from,
                        through,
                    });
                }
            }
        }
    }

    /// Sends what was decided, what is outstanding, and NEWLEADER behind it all. From here
    /// on the learner is told whatever happens, so that nothing is missed in between.
    fn send_plan(&mut self, to: LearnerId, plan: SyncPlan, now: Mono) {
        let Some(epoch) = self.synchronizing_epoch() else {
            return;
        };
        let is_snap = plan.op == SyncOp::Snap;
        if self.is_throttled(to, is_snap) {
            return self.drop_learner(to, LearnerLoss::Throttled);
        }
        let Some(handler) = self.learners.get_mut(&to) else {
            return;
        };
        handler.stage = Stage::Syncing { is_snap };
        handler.deadline = now + self.options.timing.init_time();
        let is_observer = handler.is_observer();
        // Who comes back within the epoch may have logged what is undecided still, and
        // will now truncate it, to get it once more. Until then its acks are void: a
        // decision that rests on them could be lost. (In Apache it can.)
        handler
            .server
            .into_iter()
            .for_each(|id| self.outstanding.withdraw_acks(id));
        let probe = &self.options.probe;
        probe.reached(match plan.op {
            SyncOp::Diff(_) if plan.proposals.is_empty() => "zab: leader sent an empty DIFF",
            SyncOp::Diff(_) => "zab: leader sent a DIFF",
            SyncOp::Trunc(_) => "zab: leader sent a TRUNC",
            SyncOp::Snap => "zab: leader sent a SNAP",
        });
        tracing::info!(server = ?handler.server, op = ?plan.op, txns = plan.proposals.len(), "synchronising");
        match plan.op {
            SyncOp::Diff(zxid) => self.send(to, QuorumPacket::bare(PacketType::Diff, zxid)),
            SyncOp::Trunc(zxid) => self.send(to, QuorumPacket::bare(PacketType::Trunc, zxid)),
            SyncOp::Snap => self.outputs.push_back(Output::SendSnapshot {
                to,
                zxid: self.last_processed,
            }),
        }
        for proposal in plan.proposals {
            let zxid = proposal.zxid;
            self.send(to, proposal_packet(PacketType::Proposal, &proposal));
            self.send(to, QuorumPacket::bare(PacketType::Commit, zxid));
        }
        if !is_observer {
            if self.outstanding.len() > 0 {
                let place = "zab: leader sent undecided proposals with a history";
                self.options.probe.reached(place);
            }
            let outstanding = self.outstanding.iter();
            let outstanding = outstanding.map(|p| proposal_packet(PacketType::Proposal, p));
            for packet in outstanding.collect::<Vec<_>>() {
                self.send(to, packet);
            }
        }
        let (zxid, config) = (first_zxid(epoch), self.config.newest().to_text());
        self.send(
            to,
            QuorumPacket::with_data(PacketType::NewLeader, zxid, config),
        );
    }

    /// Whether an observer has to come again. Followers always have their way.
    fn is_throttled(&self, learner: LearnerId, is_snap: bool) -> bool {
        let limit = if is_snap {
            self.options.max_concurrent_snap_syncs
        } else {
            self.options.max_concurrent_diff_syncs
        };
        let syncing = Stage::Syncing { is_snap };
        let busy = self
            .learners
            .values()
            .filter(|l| l.stage == syncing)
            .count();
        self.learners
            .get(&learner)
            .is_some_and(super::LearnerHandler::is_observer)
            && busy >= limit
    }

    /// Another part of a snapshot has gone out. As long as it goes on, it may take longer than
    /// `initLimit`, for the learner and for the epoch: an ensemble with a large tree would
    /// never get to serve. (Apache's leader counts from its end, and gives up on the epoch.)
    pub(crate) fn handle_snapshot_progressed(&mut self, to: LearnerId, now: Mono) {
        let Some(handler) = self.learners.get_mut(&to) else {
            return;
        };
        if !matches!(handler.stage, Stage::Syncing { is_snap: true }) {
            return;
        }
        let deadline = now + self.options.timing.init_time();
        handler.deadline = deadline;
        let has_vote = handler.server.is_some_and(|id| self.config.is_voter(id));
        if let Some(init) = self.timers.init.as_mut().filter(|_| has_vote) {
            *init = deadline;
        }
    }

    /// A learner has the history of the epoch.
    pub(super) fn handle_new_leader_ack(&mut self, from: LearnerId, now: Mono) {
        let Some(handler) = self.learners.get_mut(&from) else {
            return;
        };
        self.options
            .probe
            .reached("zab: leader heard an ack of NEWLEADER");
        handler.stage = Stage::Synced;
        // Until UPTODATE it has no cause to speak.
        handler.deadline = now + self.options.timing.init_time();
        let server = handler.server;
        match &mut self.phase {
            Phase::Synchronization { acks, .. } => {
                acks.extend(server.filter(|id| self.config.is_voter(*id)));
                self.establish(now);
            }
            Phase::Broadcast { .. } => self.send_up_to_date(from, now),
            Phase::Discovery { .. }
            | Phase::AcceptingEpoch { .. }
            | Phase::AwaitingEpochAcks { .. }
            | Phase::EnteringEpoch { .. }
            | Phase::Retiring { .. }
            | Phase::Ended => {}
        }
    }

    /// Once a quorum has the initial history it is committed, and the epoch established.
    fn establish(&mut self, now: Mono) {
        let Phase::Synchronization { epoch, acks } = &self.phase else {
            return;
        };
        if !self.config.contains_quorum(acks) {
            return;
        }
        let (epoch, acks) = (*epoch, acks.clone());
        self.options.probe.reached("zab: leader established");
        self.phase = Phase::Broadcast { epoch };
        self.timers.init = None;
        self.outstanding = Outstanding::new(first_zxid(epoch));
        self.last_processed = first_zxid(epoch);
        let next_leader = self.activate_last_seen(&acks);
        if next_leader.is_none() {
            self.outputs.push_back(Output::Established { epoch });
        }
        let synced = self
            .learners
            .iter()
            .filter(|(_, l)| l.stage == Stage::Synced);
        for learner in synced.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.send_up_to_date(learner, now);
        }
        if let Some(leader) = next_leader {
            self.retire(leader);
        }
    }

    fn send_up_to_date(&mut self, to: LearnerId, now: Mono) {
        if let Some(handler) = self.learners.get_mut(&to) {
            handler.deadline = now + self.options.timing.sync_time();
            handler.stage = Stage::Serving;
            self.send(to, QuorumPacket::bare(PacketType::UpToDate, Zxid(-1)));
        }
    }
}

/// A PROPOSAL or an INFORM.
pub(super) fn proposal_packet(packet_type: PacketType, proposal: &Proposal) -> QuorumPacket {
    QuorumPacket::with_data(packet_type, proposal.zxid, proposal.payload.clone())
}
