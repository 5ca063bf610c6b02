//! A learner in its place: transactions to the log, acks to the leader, commits to the
//! tree, and what its clients want of the leader.

use zk_env::Mono;
use zk_proto::{SessionId, Zxid};

use super::{Learner, LearnerShutdown, Output, Stage};
use crate::quorum::LearnerType;
use crate::quorum::packet::{
    PacketType, QuorumPacket, Revalidate, Revalidated, Touch, encode_touch_table,
};
use crate::quorum::zab::learner::synchronization::Piece;

impl Learner {
    /// Any packet of an established leader.
    pub(super) fn hear_serving(&mut self, packet: QuorumPacket) -> Result<(), LearnerShutdown> {
        if let Some(piece) = Piece::of(&packet)? {
            return self.hear_piece(packet.packet_type, piece);
        }
        match packet.packet_type {
            PacketType::Ping => self.answer_ping(packet.zxid),
            PacketType::Sync => {
                self.syncs.push_back(self.pending.last_undelivered());
                self.deliver();
            }
            PacketType::Revalidate => {
                let answer = Revalidated::decode(&packet.bytes())?;
                self.outputs.push_back(Output::Revalidated(answer));
            }
            other => tracing::warn!(?other, "a packet that an established leader does not send"),
        }
        Ok(())
    }

    fn hear_piece(&mut self, packet: PacketType, piece: Piece) -> Result<(), LearnerShutdown> {
        let is_observer = self.options.learner_type == LearnerType::Observer;
        if is_observer && !matches!(packet, PacketType::Inform | PacketType::InformAndActivate) {
            tracing::warn!(?packet, "not meant for an observer");
            return Ok(());
        }
        if let Stage::Serving { epoch } = self.stage {
            self.take(epoch, piece)?;
            self.append_all();
        }
        Ok(())
    }

    /// Hands whatever has been received to the log.
    pub(super) fn append_all(&mut self) {
        if self.stage == Stage::Ended {
            return;
        }
        for proposal in self.pending.append_all() {
            let zxid = proposal.zxid;
            self.outputs.push_back(Output::Append(proposal));
            if self
                .options
                .probe
                .has_planted("server: acks before the log is synced")
            {
                self.ack(zxid);
            }
        }
    }

    /// The log is durable up to `zxid`. This alone is what acks come from.
    pub(crate) fn handle_appended(&mut self, zxid: Zxid, now: Mono) {
        if self.stage == Stage::Ended {
            return;
        }
        let had_room = self.wants_packets();
        let durable = self.pending.durable_through(zxid);
        // What is logged before NEWLEADER is acknowledged with it.
        if self.stage.is_synced() {
            durable.into_iter().for_each(|zxid| self.ack(zxid));
        }
        self.deliver();
        self.enter_epoch(now);
        if !had_room && self.wants_packets() {
            self.deadline = now + self.patience();
        }
    }

    fn ack(&mut self, zxid: Zxid) {
        if self.options.learner_type == LearnerType::Participant {
            self.options.probe.reached("zab: follower acknowledged");
            self.send(QuorumPacket::bare(PacketType::Ack, zxid));
        }
    }

    /// Carries out what is committed and durable, and what was waiting behind it.
    pub(super) fn deliver(&mut self) {
        let mut delivered = self.history.last_zxid;
        loop {
            self.release(delivered);
            if self.stage == Stage::Ended {
                break;
            }
            let Some(proposal) = self.pending.deliver() else {
                break;
            };
            delivered = proposal.zxid;
            self.history.last_zxid = delivered;
            self.outputs.push_back(Output::Commit(proposal));
        }
    }

    /// Activations and syncs that waited for nothing after `delivered`.
    fn release(&mut self, delivered: Zxid) {
        let is_due = |after: Option<Zxid>| after.is_none_or(|zxid| zxid <= delivered);
        while self.activations.front().is_some_and(|a| is_due(a.after))
            && let Some(activation) = self.activations.pop_front()
        {
            self.activate(activation.config, Some(activation.leader));
        }
        while self.stage != Stage::Ended && self.syncs.front().is_some_and(|after| is_due(*after)) {
            self.syncs.pop_front();
            self.outputs.push_back(Output::Synced);
        }
    }

    /// A session of a client of ours has shown life. The leader hears of it with the next
    /// answer to a ping.
    pub(crate) fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        self.touched.insert(session, timeout_ms);
    }

    fn answer_ping(&mut self, zxid: Zxid) {
        let touched = std::mem::take(&mut self.touched).into_iter();
        let table: Vec<_> = touched
            .map(|(session, timeout_ms)| Touch {
                session,
                timeout_ms,
            })
            .collect();
        let table = encode_touch_table(table.into_iter());
        self.send(QuorumPacket::with_data(PacketType::Ping, zxid, table));
    }

    /// Asks the leader for a session that a client presents here. The answer comes as
    /// [`Output::Revalidated`], in the order of the questions.
    pub(crate) fn revalidate(&mut self, session: SessionId, timeout_ms: i32) {
        if self.is_established() {
            let question = Revalidate {
                session,
                timeout_ms,
            };
            self.send(question.packet());
        }
    }
}
