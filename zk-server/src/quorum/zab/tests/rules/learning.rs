//! The learner, and a leader that says what the script says.

use zk_proto::{OpCode, SessionId, Zxid};

use super::{EMPTY, T, after, bare, request, zxid};
use crate::quorum::packet::{
    PacketType, QuorumPacket, Revalidated, decode_touch_table, encode_epoch,
};
use crate::quorum::zab::tests::TIMING;
use crate::quorum::zab::{
    EpochFile, History, Learner, LearnerOptions, LearnerOutput, LearnerShutdown, Proposal,
    SnapshotOutcome, TruncateOutcome,
};
use crate::quorum::{LearnerType, ServerId};

pub(super) struct Learned {
    pub(super) learner: Learner,
}

fn learned(history: History) -> Learned {
    learning(LearnerType::Participant, history, false)
}

fn learning(learner_type: LearnerType, history: History, wants_snapshot: bool) -> Learned {
    let mut options = LearnerOptions::new(ServerId(2), learner_type, TIMING);
    options.wants_snapshot = wants_snapshot;
    learning_with(options, history)
}

pub(super) fn learning_with(options: LearnerOptions, history: History) -> Learned {
    let mut learner = Learner::new(options, history, T);
    learner.handle_connected(T);
    let mut learned = Learned { learner };
    assert_eq!(learned.drain().len(), 1);
    learned
}

pub(super) fn ack(zxid: Zxid) -> LearnerOutput {
    LearnerOutput::Send(bare(PacketType::Ack, zxid))
}

fn txn(zxid: Zxid) -> Proposal {
    Proposal::new(zxid, "txn")
}

impl Learned {
    pub(super) fn drain(&mut self) -> Vec<LearnerOutput> {
        std::iter::from_fn(|| self.learner.poll_output()).collect()
    }

    pub(super) fn hear(&mut self, packet: QuorumPacket) -> Vec<LearnerOutput> {
        self.learner.handle_packet(packet, T);
        self.drain()
    }

    pub(super) fn hear_bare(&mut self, packet_type: PacketType, zxid: Zxid) -> Vec<LearnerOutput> {
        self.hear(bare(packet_type, zxid))
    }

    fn hear_txn(&mut self, packet_type: PacketType, zxid: Zxid) -> Vec<LearnerOutput> {
        self.hear(QuorumPacket::with_data(packet_type, zxid, "txn"))
    }

    pub(super) fn appended(&mut self, zxid: Zxid) -> Vec<LearnerOutput> {
        self.learner.handle_appended(zxid, T);
        self.drain()
    }

    pub(super) fn persisted(&mut self, file: EpochFile) -> Vec<LearnerOutput> {
        self.learner.handle_epoch_persisted(file, T);
        self.drain()
    }

    /// Has accepted epoch 2 and awaits its history.
    pub(super) fn accepting(mut self) -> Self {
        self.hear_bare(PacketType::LeaderInfo, zxid(2, 0));
        self.persisted(EpochFile::Accepted);
        self
    }

    /// Serves in epoch 2, in which nothing has happened.
    pub(super) fn serving(self) -> Self {
        let mut learned = self.accepting();
        learned.hear_bare(PacketType::Diff, Zxid(0));
        learned.hear_bare(PacketType::NewLeader, zxid(2, 0));
        learned.persisted(EpochFile::Current);
        learned.hear_bare(PacketType::UpToDate, Zxid(-1));
        assert!(learned.learner.is_established());
        learned
    }
}

#[test]
fn history_then_epoch_then_ack() {
    let mut learned = learned(EMPTY).accepting();
    assert_eq!(learned.hear_bare(PacketType::Diff, zxid(1, 2)), []);
    for counter in 1..=2 {
        learned.hear_txn(PacketType::Proposal, zxid(1, counter));
        assert_eq!(learned.hear_bare(PacketType::Commit, zxid(1, counter)), []);
    }
    learned.hear_txn(PacketType::Proposal, zxid(2, 1));
    let history = [txn(zxid(1, 1)), txn(zxid(1, 2))];
    let append = history.clone().map(LearnerOutput::Append);
    assert_eq!(learned.hear_bare(PacketType::NewLeader, zxid(2, 0)), append);
    assert!(!learned.learner.wants_packets());
    assert_eq!(
        learned.appended(zxid(1, 1)),
        [LearnerOutput::Commit(history[0].clone())]
    );
    let epoch = LearnerOutput::PersistEpoch {
        file: EpochFile::Current,
        epoch: 2,
    };
    assert_eq!(
        learned.appended(zxid(1, 2)),
        [LearnerOutput::Commit(history[1].clone()), epoch]
    );
    let outstanding = LearnerOutput::Append(txn(zxid(2, 1)));
    assert_eq!(
        learned.persisted(EpochFile::Current),
        [ack(zxid(2, 0)), outstanding]
    );
    assert_eq!(learned.appended(zxid(2, 1)), [ack(zxid(2, 1))]);
    let established = LearnerOutput::Established { epoch: 2 };
    assert_eq!(
        learned.hear_bare(PacketType::UpToDate, Zxid(-1)),
        [established, ack(zxid(2, 0))]
    );
}

#[test]
fn an_epoch_is_promised_once() {
    let history = History {
        accepted_epoch: 2,
        current_epoch: 1,
        last_zxid: zxid(1, 4),
    };
    let ack_epoch = |current, last| {
        let data = encode_epoch(current);
        LearnerOutput::Send(QuorumPacket::with_data(PacketType::AckEpoch, last, data))
    };
    let mut same = learned(history);
    let outputs = same.hear_bare(PacketType::LeaderInfo, zxid(2, 0));
    assert_eq!(outputs, [ack_epoch(-1, zxid(1, 4))]);

    let mut later = learned(history);
    let outputs = later.hear_bare(PacketType::LeaderInfo, zxid(3, 0));
    let accept = LearnerOutput::PersistEpoch {
        file: EpochFile::Accepted,
        epoch: 3,
    };
    assert_eq!(outputs, [accept]);
    assert_eq!(
        later.persisted(EpochFile::Accepted),
        [ack_epoch(1, zxid(1, 4))]
    );

    let mut older = learned(history);
    let outputs = older.hear_bare(PacketType::LeaderInfo, zxid(1, 0));
    let refused = LearnerShutdown::OldEpoch {
        leader: 1,
        accepted: 2,
    };
    assert_eq!(outputs, [LearnerOutput::ShutDown(refused)]);

    // Only where the ack does not count may it say less than is true.
    let mut again = learning(LearnerType::Participant, history, true);
    let outputs = again.hear_bare(PacketType::LeaderInfo, zxid(2, 0));
    assert_eq!(outputs, [ack_epoch(-1, Zxid(0))]);
    let mut anew = learning(LearnerType::Participant, history, true);
    anew.hear_bare(PacketType::LeaderInfo, zxid(3, 0));
    assert_eq!(
        anew.persisted(EpochFile::Accepted),
        [ack_epoch(1, zxid(1, 4))]
    );
}

#[test]
fn a_log_that_cannot_be_truncated_stays_as_it_is() {
    let mut learned = learned(EMPTY).accepting();
    let zxid = zxid(1, 3);
    assert_eq!(
        learned.hear_bare(PacketType::Trunc, zxid),
        [LearnerOutput::Truncate { zxid }]
    );
    assert!(!learned.learner.wants_packets());
    learned
        .learner
        .handle_truncated(TruncateOutcome::NoSuchTransaction, T);
    let reason = LearnerShutdown::CannotTruncate(zxid);
    assert_eq!(learned.drain(), [LearnerOutput::ShutDown(reason)]);
}

#[test]
fn a_snapshot_that_breaks_off_ends_the_role() {
    let mut learned = learned(EMPTY).accepting();
    let zxid = zxid(1, 3);
    assert_eq!(
        learned.hear_bare(PacketType::Snap, zxid),
        [LearnerOutput::InstallSnapshot { zxid }]
    );
    learned
        .learner
        .handle_snapshot_installed(SnapshotOutcome::Unusable, T);
    assert_eq!(
        learned.drain(),
        [LearnerOutput::ShutDown(LearnerShutdown::BadSnapshot)]
    );
}

#[test]
fn what_follows_a_snapshot_continues_it() {
    let mut learned = learned(EMPTY).accepting();
    learned.hear_bare(PacketType::Snap, zxid(1, 3));
    learned
        .learner
        .handle_snapshot_installed(SnapshotOutcome::Installed, T);
    assert_eq!(
        learned.hear_txn(PacketType::Proposal, zxid(1, 3)),
        [],
        "it is in there"
    );
    assert_eq!(learned.hear_txn(PacketType::Proposal, zxid(1, 4)), []);
    let outputs = learned.hear_txn(PacketType::Proposal, zxid(1, 6));
    assert!(matches!(
        outputs[..],
        [LearnerOutput::ShutDown(LearnerShutdown::Order(_))]
    ));
}

#[test]
fn the_tree_is_never_ahead_of_the_log() {
    let mut learned = learned(EMPTY).serving();
    let first = zxid(2, 1);
    assert_eq!(
        learned.hear_txn(PacketType::Proposal, first),
        [LearnerOutput::Append(txn(first))]
    );
    assert_eq!(learned.hear_bare(PacketType::Commit, first), []);
    assert_eq!(
        learned.hear_bare(PacketType::Sync, Zxid(0)),
        [],
        "behind the commit"
    );
    let outputs = learned.appended(first);
    assert_eq!(
        outputs,
        [
            ack(first),
            LearnerOutput::Commit(txn(first)),
            LearnerOutput::Synced
        ]
    );
    assert_eq!(
        learned.hear_bare(PacketType::Sync, Zxid(0)),
        [LearnerOutput::Synced]
    );
}

#[test]
fn a_commit_of_anything_but_the_next_ends_the_role() {
    let mut learned = learned(EMPTY).serving();
    learned.hear_txn(PacketType::Proposal, zxid(2, 1));
    learned.hear_txn(PacketType::Proposal, zxid(2, 2));
    let outputs = learned.hear_bare(PacketType::Commit, zxid(2, 2));
    assert!(matches!(
        outputs[..],
        [LearnerOutput::ShutDown(LearnerShutdown::Order(_))]
    ));
    assert_eq!(learned.appended(zxid(2, 2)), [], "no ack after the end");
}

#[test]
fn observers_log_what_they_are_informed_of_and_acknowledge_nothing() {
    let mut learned = learning(LearnerType::Observer, EMPTY, false).serving();
    let first = zxid(2, 1);
    assert_eq!(
        learned.hear_txn(PacketType::Inform, first),
        [LearnerOutput::Append(txn(first))]
    );
    assert_eq!(learned.appended(first), [LearnerOutput::Commit(txn(first))]);
    assert_eq!(
        learned.hear_txn(PacketType::Proposal, zxid(2, 2)),
        [],
        "not meant for it"
    );
}

#[test]
fn a_ping_takes_the_touched_sessions_along() {
    let mut learned = learned(EMPTY).serving();
    learned.learner.touch(SessionId(7), 4000);
    let table = |outputs: Vec<LearnerOutput>| match &outputs[..] {
        [LearnerOutput::Send(pong)] => decode_touch_table(pong.data.as_ref().unwrap())
            .unwrap()
            .len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(table(learned.hear_bare(PacketType::Ping, zxid(2, 0))), 1);
    assert_eq!(table(learned.hear_bare(PacketType::Ping, zxid(2, 0))), 0);
}

#[test]
fn a_session_is_asked_for_once_there_is_a_leader_to_ask() {
    let mut early = learned(EMPTY);
    early.learner.revalidate(SessionId(7), 4000);
    early.learner.forward(request(OpCode::Create));
    assert_eq!(early.drain(), []);
    let mut learned = learned(EMPTY).serving();
    learned.learner.revalidate(SessionId(7), 4000);
    learned.learner.forward(request(OpCode::Create));
    assert_eq!(learned.drain().len(), 2);
    let answer = Revalidated {
        session: SessionId(7),
        is_valid: false,
    };
    assert_eq!(
        learned.hear(answer.packet()),
        [LearnerOutput::Revalidated(answer)]
    );
}

#[test]
fn a_silent_leader_is_left_sooner_once_the_history_is_agreed_on() {
    let mut early = learned(EMPTY);
    assert_eq!(early.learner.poll_timeout(), Some(after(10.0)));
    early.learner.handle_timeout(after(9.9));
    assert_eq!(early.drain(), []);
    early.learner.handle_timeout(after(10.0));
    assert_eq!(
        early.drain(),
        [LearnerOutput::ShutDown(LearnerShutdown::Silent)]
    );

    let mut late = learned(EMPTY).serving();
    assert_eq!(late.learner.poll_timeout(), Some(after(5.0)));
    late.learner.handle_timeout(after(5.0));
    assert_eq!(
        late.drain(),
        [LearnerOutput::ShutDown(LearnerShutdown::Silent)]
    );
    assert_eq!(late.learner.poll_timeout(), None);
}
