//! The established leader: proposals, acks, commits, and whether anyone is still there.

use bytes::Bytes;
use zk_env::Mono;
use zk_proto::{OpCode, SessionId, Zxid};

use super::synchronization::proposal_packet;
use super::{Leader, LeaderShutdown, LearnerLoss, Output, Phase, ProposeError};
use crate::quorum::packet::{ForwardedRequest, PacketType, QuorumPacket, Revalidated};
use crate::quorum::zab::Proposal;
use crate::quorum::zab::learner_handler::LearnerId;
use crate::quorum::zab::outstanding::MAX_OUTSTANDING;

impl Leader {
    /// Proposes a transaction. `payload` makes it for the zxid it gets.
    ///
    /// # Errors
    ///
    /// Nothing was proposed, and `payload` not called.
    pub(crate) fn propose(
        &mut self,
        payload: impl FnOnce(Zxid) -> Bytes,
        now: Mono,
    ) -> Result<Zxid, ProposeError> {
        let zxid = self.next_zxid()?;
        self.broadcast(zxid, payload(zxid), now);
        Ok(zxid)
    }

    /// The zxid of the next proposal, if there can be one.
    pub(super) fn next_zxid(&mut self) -> Result<Zxid, ProposeError> {
        if !self.is_established() {
            return Err(ProposeError::NotEstablished);
        }
        if self.outstanding.len() >= MAX_OUTSTANDING {
            return Err(ProposeError::Full {
                limit: MAX_OUTSTANDING,
            });
        }
        let next = self.outstanding.next_zxid();
        next.filter(|zxid| !self.ends_early(*zxid)).ok_or_else(|| {
            self.options.probe.reached("zab: zxid rolled over");
            self.shut_down(LeaderShutdown::ZxidRolledOver);
            ProposeError::RolledOver
        })
    }

    pub(super) fn broadcast(&mut self, zxid: Zxid, payload: Bytes, now: Mono) {
        let proposal = self.outstanding.push(zxid, payload);
        // First to the wire: the disks of all servers work at the same time.
        self.send_to_participants(&proposal_packet(PacketType::Proposal, &proposal));
        let synced = self
            .learners
            .values_mut()
            .filter(|l| l.is_synced() && !l.is_observer());
        synced.for_each(|learner| learner.age.proposed(zxid, now));
        self.options.probe.reached("zab: leader proposed");
        self.outputs.push_back(Output::Append(proposal));
        if self
            .options
            .probe
            .has_planted("server: acks before the log is synced")
        {
            self.handle_appended(zxid);
        }
    }

    /// Lets a simulator end an epoch as if its zxids were used up.
    fn ends_early(&self, next: Zxid) -> bool {
        const EVERY: u32 = 256;
        let may_end = next.counter().is_multiple_of(EVERY);
        may_end && self.options.probe.buggify("zab: zxids used up early")
    }

    /// How many proposals are undecided.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    fn send_to_participants(&mut self, packet: &QuorumPacket) {
        self.send_to_all(packet, false);
    }

    pub(super) fn send_to_all(&mut self, packet: &QuorumPacket, observers: bool) {
        for (id, learner) in &self.learners {
            if learner.is_forwarding() && learner.is_observer() == observers {
                self.outputs.push_back(Output::Send {
                    to: *id,
                    packet: packet.clone(),
                });
            }
        }
    }

    /// Our own log is durable up to `zxid`: that, and nothing before, is our ack.
    pub(crate) fn handle_appended(&mut self, zxid: Zxid) {
        if self.is_established() {
            self.outstanding.ack_through(self.options.id, zxid);
            self.commit();
        }
    }

    /// A learner's log has a transaction.
    pub(super) fn handle_ack(&mut self, from: LearnerId, zxid: Zxid) {
        let Some(handler) = self.learners.get_mut(&from) else {
            return;
        };
        handler.age.acked(zxid);
        if let Some(server) = handler.server.filter(|id| self.config.is_voter(*id)) {
            self.outstanding.ack(server, zxid);
            self.commit();
        }
    }

    /// Commits what is decided, in order. Behind a reconfiguration that makes somebody
    /// else the leader, nothing.
    fn commit(&mut self) {
        let is_deaf = self
            .options
            .probe
            .has_planted("server: the next configuration has no say");
        while self.is_established()
            && let Some((proposal, acks)) = self.outstanding.pop_decided(|zxid, acks| match is_deaf
            {
                true => self.config.committed.contains_quorum(acks),
                false => self.config.decides(zxid, acks),
            })
        {
            self.options.probe.reached("zab: leader committed");
            let reconfigured = self.reconfigured_by(proposal.zxid, &acks);
            match &reconfigured {
                Some((_, leader)) => self.send_commit_and_activate(&proposal, *leader),
                None => self.send_commit(&proposal),
            }
            self.last_processed = proposal.zxid;
            self.committed.push(proposal.clone());
            self.outputs.push_back(Output::Commit(proposal));
            let next_leader = reconfigured.map(|(next, leader)| {
                self.activate(next, leader);
                leader
            });
            self.answer_syncs();
            if let Some(leader) = next_leader.filter(|leader| *leader != self.options.id) {
                self.retire(leader);
            }
        }
    }

    fn send_commit(&mut self, proposal: &Proposal) {
        let commit = QuorumPacket::bare(PacketType::Commit, proposal.zxid);
        self.send_to_participants(&commit);
        self.send_to_all(&proposal_packet(PacketType::Inform, proposal), true);
    }

    /// A learner hands on a request. `sync` is answered here: once everything that was
    /// proposed before it has been sent.
    pub(super) fn handle_request(&mut self, from: LearnerId, request: ForwardedRequest) {
        if !self.is_established() {
            return;
        }
        if request.op != OpCode::Sync as i32 {
            self.outputs.push_back(Output::Request { from, request });
        } else if self.outstanding.len() == 0 {
            self.send(from, sync_packet());
        } else if self.syncs.len() >= MAX_OUTSTANDING {
            self.drop_learner(from, LearnerLoss::Throttled);
        } else {
            let last = self.outstanding.last_proposed();
            self.syncs.push_back((last, from));
        }
    }

    fn answer_syncs(&mut self) {
        let committed = self.outstanding.last_committed();
        let due = self.syncs.partition_point(|(zxid, _)| *zxid <= committed);
        for (_, learner) in self.syncs.drain(..due).collect::<Vec<_>>() {
            self.send(learner, sync_packet());
        }
    }

    /// The answer to [`Output::Revalidate`].
    pub(crate) fn revalidated(&mut self, to: LearnerId, session: SessionId, is_valid: bool) {
        if self.learners.contains_key(&to) {
            let answer = Revalidated { session, is_valid };
            self.send(to, answer.packet());
        }
    }

    /// Drops whoever has not been heard from, or owes an ack for too long.
    pub(super) fn drop_overdue(&mut self, now: Mono) {
        let limit = self.options.timing.sync_time();
        let loss = |learner: &super::LearnerHandler| {
            if learner.deadline <= now {
                Some(LearnerLoss::Silent)
            } else {
                let since = learner.age.since()?;
                (now.since(since) > limit).then_some(LearnerLoss::Behind)
            }
        };
        let overdue = self.learners.iter();
        let overdue: Vec<_> = overdue
            .filter_map(|(id, l)| Some((*id, loss(l)?)))
            .collect();
        for (learner, loss) in overdue {
            self.drop_learner(learner, loss);
        }
    }

    /// Without a quorum of learners that are alive there may be another leader. Nobody
    /// else's commits can be confused with ours, but our clients would wait for nothing.
    /// Who observes is sent no proposals, and does not count though it has a vote: one who
    /// votes in the next configuration only and comes back as an observer would otherwise
    /// keep it undecided for ever (as in Apache). NEWLEADER it can acknowledge.
    pub(super) fn check_quorum(&mut self) {
        if !matches!(self.phase, Phase::Broadcast { .. }) {
            return;
        }
        let alive = self.learners.values().filter(|l| !l.is_observer());
        let alive = alive.filter_map(|learner| learner.server);
        let mut alive: std::collections::BTreeSet<_> = alive.collect();
        alive.insert(self.options.id);
        if !self.config.contains_quorum(&alive) {
            self.shut_down(LeaderShutdown::LostQuorum);
        }
    }

    /// Pings whoever is told what happens.
    pub(super) fn ping(&mut self) {
        let ping = QuorumPacket::bare(PacketType::Ping, self.outstanding.last_proposed());
        self.send_to_all(&ping, false);
        self.send_to_all(&ping, true);
    }
}

fn sync_packet() -> QuorumPacket {
    QuorumPacket::bare(PacketType::Sync, Zxid(0))
}
