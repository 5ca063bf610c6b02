//! Becoming a copy of the leader: history durable, then `currentEpoch` durable, then the
//! ack of NEWLEADER. Any other order loses transactions that were acknowledged
//! (ZOOKEEPER-4643, ZOOKEEPER-4646, ZOOKEEPER-4685).

use zk_env::Mono;
use zk_proto::Zxid;

use super::{
    Learner, LearnerShutdown, MAX_WAITING_BYTES, Output, SnapshotOutcome, Stage, TruncateOutcome,
    unexpected,
};
use crate::quorum::ServerId;
use crate::quorum::packet::{PacketType, QuorumPacket, decode_informed, decode_server_id};
use crate::quorum::zab::learner::pending::Pending;
use crate::quorum::zab::{EpochFile, Proposal, first_zxid};

/// A part of the history, whatever packet it came in.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) proposal: Option<Proposal>,
    pub(super) commit: Option<Zxid>,
    pub(super) activate: Option<ServerId>,
}

impl Piece {
    /// What a packet holds of the history; nothing, if it is of another kind.
    pub(super) fn of(packet: &QuorumPacket) -> Result<Option<Self>, LearnerShutdown> {
        let zxid = packet.zxid;
        let proposal = |payload| Some(Proposal { zxid, payload });
        let (proposal, commit, activate) = match packet.packet_type {
            PacketType::Proposal => (proposal(packet.bytes()), None, None),
            PacketType::Commit => (None, Some(zxid), None),
            PacketType::CommitAndActivate => {
                let leader = decode_server_id(&packet.bytes())?;
                (None, Some(zxid), Some(leader))
            }
            PacketType::Inform => (proposal(packet.bytes()), Some(zxid), None),
            PacketType::InformAndActivate => {
                let (leader, payload) = decode_informed(packet.bytes())?;
                (proposal(payload), Some(zxid), Some(leader))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            proposal,
            commit,
            activate,
        }))
    }
}

impl Learner {
    /// DIFF, TRUNC or SNAP.
    pub(super) fn hear_history(
        &mut self,
        epoch: i64,
        packet: &QuorumPacket,
        now: Mono,
    ) -> Result<(), LearnerShutdown> {
        let zxid = packet.zxid;
        let replace = match packet.packet_type {
            PacketType::Diff => {
                self.enter(Stage::Synchronizing { epoch }, now);
                return Ok(());
            }
            PacketType::Trunc => Output::Truncate { zxid },
            PacketType::Snap => Output::InstallSnapshot { zxid },
            _ => return Err(unexpected(packet)),
        };
        self.enter(Stage::Replacing { epoch, zxid }, now);
        self.outputs.push_back(replace);
        Ok(())
    }

    /// The log has been truncated, or cannot be.
    pub(crate) fn handle_truncated(&mut self, outcome: TruncateOutcome, now: Mono) {
        if let Stage::Replacing { epoch, zxid } = self.stage {
            match outcome {
                TruncateOutcome::Truncated => self.begin_synchronizing(epoch, zxid, now),
                TruncateOutcome::NoSuchTransaction => {
                    self.shut_down(LearnerShutdown::CannotTruncate(zxid));
                }
            }
        }
    }

    /// The leader's snapshot has been installed, or cannot be.
    pub(crate) fn handle_snapshot_installed(&mut self, outcome: SnapshotOutcome, now: Mono) {
        if let Stage::Replacing { epoch, zxid } = self.stage {
            match outcome {
                SnapshotOutcome::Installed => self.begin_synchronizing(epoch, zxid, now),
                SnapshotOutcome::Unusable => self.shut_down(LearnerShutdown::BadSnapshot),
            }
        }
    }

    fn begin_synchronizing(&mut self, epoch: i64, last_zxid: Zxid, now: Mono) {
        self.history.last_zxid = last_zxid;
        self.pending = Pending::new(last_zxid);
        self.enter(Stage::Synchronizing { epoch }, now);
    }

    /// Transactions, until NEWLEADER. They wait in memory, so that a server that is stopped
    /// seldom has transactions of an epoch that it has not entered; if they are many, the
    /// committed ones go to the log at once.
    pub(super) fn hear_synchronizing(
        &mut self,
        epoch: i64,
        packet: QuorumPacket,
        now: Mono,
    ) -> Result<(), LearnerShutdown> {
        if packet.packet_type == PacketType::NewLeader {
            return self.hear_new_leader(epoch, &packet, now);
        }
        match Piece::of(&packet)? {
            Some(piece) => self.take(epoch, piece)?,
            None => check_harmless(&packet)?,
        }
        if self.pending.held_bytes() > MAX_WAITING_BYTES {
            self.append_committed();
        }
        Ok(())
    }

    /// Adds to the history. Nothing is of a later epoch than its leader's.
    pub(super) fn take(&mut self, epoch: i64, piece: Piece) -> Result<(), LearnerShutdown> {
        if let Some(proposal) = piece.proposal {
            if proposal.zxid.epoch() > epoch {
                return Err(LearnerShutdown::Unexpected {
                    packet: PacketType::Proposal,
                    zxid: proposal.zxid,
                });
            }
            self.see_proposal(&proposal)?;
            self.pending.receive(proposal)?;
        }
        if let Some(zxid) = piece.commit {
            self.pending.commit(zxid)?;
            if let Some(leader) = piece.activate {
                self.expect_activation(zxid, leader)?;
            }
        }
        self.deliver();
        Ok(())
    }

    fn append_committed(&mut self) {
        if self.stage == Stage::Ended {
            return;
        }
        let history = self.pending.append_committed();
        self.outputs.extend(history.into_iter().map(Output::Append));
    }

    /// The history of the epoch is complete: to the disk with it.
    fn hear_new_leader(
        &mut self,
        epoch: i64,
        packet: &QuorumPacket,
        now: Mono,
    ) -> Result<(), LearnerShutdown> {
        if packet.zxid != first_zxid(epoch) {
            return Err(unexpected(packet));
        }
        self.see_new_leader(packet)?;
        if self
            .options
            .probe
            .has_planted("server: epoch written before the history")
        {
            self.persist(EpochFile::Current, epoch);
        }
        self.enter(Stage::LoggingHistory { epoch }, now);
        self.append_committed();
        self.enter_epoch(now);
        Ok(())
    }

    /// All of the history is durable: now the epoch may be.
    pub(super) fn enter_epoch(&mut self, now: Mono) {
        if let Stage::LoggingHistory { epoch } = self.stage
            && self.pending.is_durable()
        {
            self.enter(Stage::EnteringEpoch { epoch }, now);
            self.persist(EpochFile::Current, epoch);
        }
    }

    /// The epoch is durable as well: now it may be acknowledged. What was proposed in it
    /// goes to the log behind that, and its acks behind this one.
    pub(super) fn ack_new_leader(&mut self, epoch: i64, now: Mono) {
        self.history.current_epoch = epoch;
        self.enter(Stage::AwaitingUpToDate { epoch }, now);
        self.send(QuorumPacket::bare(PacketType::Ack, first_zxid(epoch)));
        self.append_all();
    }

    /// Transactions, until UPTODATE.
    pub(super) fn hear_up_to_date(
        &mut self,
        epoch: i64,
        packet: QuorumPacket,
        now: Mono,
    ) -> Result<(), LearnerShutdown> {
        if packet.packet_type == PacketType::UpToDate {
            self.enter(Stage::Serving { epoch }, now);
            self.activate_new_leader_config(epoch);
            if self.stage == Stage::Ended {
                return Ok(());
            }
            self.outputs.push_back(Output::Established { epoch });
            self.send(QuorumPacket::bare(PacketType::Ack, first_zxid(epoch)));
            return Ok(());
        }
        match Piece::of(&packet)? {
            Some(piece) => {
                self.take(epoch, piece)?;
                self.append_all();
                Ok(())
            }
            None => check_harmless(&packet),
        }
    }
}

/// Before UPTODATE a ping is not answered: the leader expects the ack of NEWLEADER next.
fn check_harmless(packet: &QuorumPacket) -> Result<(), LearnerShutdown> {
    match packet.packet_type {
        PacketType::Ping | PacketType::Unknown(_) => Ok(()),
        _ => Err(unexpected(packet)),
    }
}
