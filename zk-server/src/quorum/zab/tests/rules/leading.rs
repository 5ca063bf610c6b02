//! The leader, and learners that say what the script says.

use bytes::Bytes;
use zk_proto::{OpCode, SessionId, Zxid};

use super::{EMPTY, T, after, bare, request, zxid};
use crate::quorum::packet::{
    LEARNER_PROTOCOL_VERSION, LearnerInfo, PacketType, QuorumPacket, Revalidate, Touch,
    encode_epoch, encode_touch_table,
};
use crate::quorum::zab::LeaderConfig as Config;
use crate::quorum::zab::tests::TIMING;
use crate::quorum::zab::{
    CommittedLog, EpochFile, History, Leader, LeaderOptions, LeaderOutput, LeaderShutdown,
    LearnerId, LearnerLoss, ProposeError,
};
use crate::quorum::{QuorumVerifier, ServerId};

/// A leader of three voters and an observer; what it says is drained after each input.
pub(super) struct Led {
    pub(super) leader: Leader,
}

impl Led {
    fn new(voters: i64, history: History) -> Self {
        let line = |n| format!("server.{n}=h:1:2:participant\n");
        let text: String = (1..=voters).map(line).collect();
        let committed = QuorumVerifier::parse(&text).unwrap();
        let config = Config {
            committed,
            last_seen: None,
        };
        Self::with(LeaderOptions::new(ServerId(1), TIMING), config, history)
    }

    pub(super) fn with(options: LeaderOptions, config: Config, history: History) -> Self {
        let leader = Leader::new(options, config, history, CommittedLog::new(500), T);
        Self { leader }
    }

    pub(super) fn drain(&mut self) -> Vec<LeaderOutput> {
        std::iter::from_fn(|| self.leader.poll_output()).collect()
    }

    /// Packets only, and to whom.
    pub(super) fn sent(&mut self) -> Vec<(u64, PacketType, Zxid)> {
        let outputs = self.drain().into_iter();
        let sent = outputs.filter_map(|output| match output {
            LeaderOutput::Send { to, packet } => Some((to.0, packet.packet_type, packet.zxid)),
            _ => None,
        });
        sent.collect()
    }

    pub(super) fn hear(&mut self, from: u64, packet: QuorumPacket) -> Vec<LeaderOutput> {
        self.leader.handle_packet(LearnerId(from), packet, T);
        self.drain()
    }

    /// Server `n` connects as connection `n`, having accepted `accepted`.
    pub(super) fn connect(
        &mut self,
        n: u64,
        accepted: i64,
        packet_type: PacketType,
    ) -> Vec<LeaderOutput> {
        self.leader.handle_learner_connected(LearnerId(n), T);
        self.introduce(n, accepted, packet_type)
    }

    /// Connection `n` says that it is server `n`.
    pub(super) fn introduce(
        &mut self,
        n: u64,
        accepted: i64,
        packet_type: PacketType,
    ) -> Vec<LeaderOutput> {
        let info = LearnerInfo {
            server_id: Some(ServerId(n as i64)),
            protocol_version: LEARNER_PROTOCOL_VERSION,
            config_version: 0,
        };
        self.hear(
            n,
            QuorumPacket::with_data(packet_type, zxid(accepted, 0), info.encode()),
        )
    }

    pub(super) fn ack_epoch(&mut self, n: u64, current: i32, last: Zxid) -> Vec<LeaderOutput> {
        self.hear(
            n,
            QuorumPacket::with_data(PacketType::AckEpoch, last, encode_epoch(current)),
        )
    }

    pub(super) fn persisted(&mut self, file: EpochFile) -> Vec<LeaderOutput> {
        self.leader.handle_epoch_persisted(file, T);
        self.drain()
    }

    pub(super) fn ack(&mut self, n: u64, zxid: Zxid) -> Vec<LeaderOutput> {
        self.hear(n, bare(PacketType::Ack, zxid))
    }

    /// Three voters, of which 1 and 2 have established epoch 1.
    fn established() -> Self {
        let mut led = Self::new(3, EMPTY);
        led.establish();
        led
    }

    /// Establishes epoch 1 with server 2.
    pub(super) fn establish(&mut self) {
        self.connect(2, 0, PacketType::FollowerInfo);
        self.persisted(EpochFile::Accepted);
        self.ack_epoch(2, 0, Zxid(0));
        self.persisted(EpochFile::Current);
        self.ack(2, zxid(1, 0));
        assert!(self.leader.is_established());
    }

    /// Server `n` joins the established epoch, by a snapshot.
    pub(super) fn join(&mut self, n: u64, packet_type: PacketType) {
        self.connect(n, 0, packet_type);
        self.ack_epoch(n, 0, Zxid(0));
        self.leader.handle_log_read(LearnerId(n), None, T);
        let outputs = self.drain();
        assert!(
            matches!(outputs[0], LeaderOutput::SendSnapshot { .. }),
            "{outputs:?}"
        );
        self.ack(n, zxid(1, 0));
    }

    pub(super) fn propose(&mut self) -> Zxid {
        self.leader
            .propose(|_| Bytes::from_static(b"txn"), T)
            .unwrap()
    }
}

pub(super) fn commits(outputs: &[LeaderOutput]) -> Vec<Zxid> {
    let commit = |output: &LeaderOutput| match output {
        LeaderOutput::Commit(proposal) => Some(proposal.zxid),
        _ => None,
    };
    outputs.iter().filter_map(commit).collect()
}

pub(super) fn losses(outputs: &[LeaderOutput]) -> Vec<LearnerLoss> {
    let loss = |output: &LeaderOutput| match output {
        LeaderOutput::Close { loss, .. } => Some(loss.clone()),
        _ => None,
    };
    outputs.iter().filter_map(loss).collect()
}

#[test]
fn the_epoch_is_told_when_our_own_promise_is_durable() {
    let mut led = Led::new(3, EMPTY);
    let persist = |file, epoch| LeaderOutput::PersistEpoch { file, epoch };
    assert_eq!(
        led.connect(2, 6, PacketType::FollowerInfo),
        [persist(EpochFile::Accepted, 7)]
    );
    assert_eq!(
        led.connect(3, 9, PacketType::FollowerInfo),
        [LeaderOutput::PersistEpoch {
            file: EpochFile::Accepted,
            epoch: 7,
        }][..0]
    );
    led.leader.handle_epoch_persisted(EpochFile::Accepted, T);
    let told = |to| (to, PacketType::LeaderInfo, zxid(7, 0));
    assert_eq!(led.sent(), [told(2), told(3)]);
}

#[test]
fn an_epoch_accepted_before_counts_for_nothing() {
    let mut led = Led::new(3, EMPTY);
    led.connect(2, 0, PacketType::FollowerInfo);
    led.persisted(EpochFile::Accepted);
    assert_eq!(led.ack_epoch(2, -1, Zxid(0)), []);
    led.connect(3, 0, PacketType::FollowerInfo);
    let entered = LeaderOutput::PersistEpoch {
        file: EpochFile::Current,
        epoch: 1,
    };
    assert_eq!(led.ack_epoch(3, 0, Zxid(0)), [entered]);
}

#[test]
fn observers_and_strangers_make_no_quorum() {
    let mut led = Led::new(3, EMPTY);
    assert_eq!(led.connect(4, 0, PacketType::ObserverInfo), []);
    assert_eq!(led.connect(5, 0, PacketType::FollowerInfo), []);
    assert!(!led.connect(2, 0, PacketType::FollowerInfo).is_empty());
}

#[test]
fn a_follower_that_is_ahead_is_not_led() {
    let ours = History {
        accepted_epoch: 2,
        current_epoch: 2,
        last_zxid: zxid(2, 5),
    };
    for (current, last, is_ahead) in [
        (2, zxid(2, 6), true),
        (3, zxid(1, 1), true),
        (2, zxid(2, 5), false),
        (1, zxid(3, 9), false),
    ] {
        let mut led = Led::new(3, ours);
        led.connect(2, 2, PacketType::FollowerInfo);
        led.persisted(EpochFile::Accepted);
        let outputs = led.ack_epoch(2, current, last);
        assert_eq!(!losses(&outputs).is_empty(), is_ahead, "{current} {last}");
    }
}

#[test]
fn a_voter_that_cannot_follow_into_our_epoch_gets_a_new_one() {
    let mut led = Led::established();
    let outputs = led.connect(3, 4, PacketType::FollowerInfo);
    let [
        LeaderOutput::PersistEpoch {
            file: EpochFile::Accepted,
            epoch: 4,
        },
        LeaderOutput::ShutDown(reason),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(*reason, LeaderShutdown::LaterEpochAccepted { epoch: 4 });
}

#[test]
fn our_own_ack_comes_from_the_disk() {
    let mut led = Led::new(1, EMPTY);
    led.drain();
    led.persisted(EpochFile::Accepted);
    led.persisted(EpochFile::Current);
    assert!(led.leader.is_established());
    let first = led.propose();
    let second = led.propose();
    assert_eq!(first, zxid(1, 1));
    assert_eq!(commits(&led.drain()), []);
    led.leader.handle_appended(second);
    assert_eq!(commits(&led.drain()), [first, second]);
}

#[test]
fn a_quorum_decides_without_us_and_in_order() {
    let mut led = Led::established();
    led.join(3, PacketType::FollowerInfo);
    let (first, second) = (led.propose(), led.propose());
    led.drain();
    assert_eq!(commits(&led.ack(2, second)), []);
    assert_eq!(commits(&led.ack(3, second)), []);
    assert_eq!(commits(&led.ack(2, first)), []);
    assert_eq!(commits(&led.ack(3, first)), [first, second]);
    assert_eq!(commits(&led.ack(3, first)), [], "known");
}

#[test]
fn observers_are_informed_and_never_counted() {
    let mut led = Led::established();
    led.join(4, PacketType::ObserverInfo);
    let first = led.propose();
    let sent = led.sent();
    assert_eq!(sent, [(2, PacketType::Proposal, first)]);
    assert_eq!(commits(&led.ack(4, first)), []);
    led.leader.handle_appended(first);
    led.leader
        .handle_packet(LearnerId(2), bare(PacketType::Ack, first), T);
    let sent = led.sent();
    assert_eq!(
        sent,
        [
            (2, PacketType::Commit, first),
            (4, PacketType::Inform, first)
        ]
    );
}

#[test]
fn who_comes_back_within_the_epoch_acknowledges_anew() {
    let mut led = Led::established();
    let first = led.propose();
    led.drain();
    led.ack_without_us(2, first);
    led.leader.handle_learner_lost(LearnerId(2));
    led.leader.handle_learner_connected(LearnerId(9), T);
    let info = LearnerInfo {
        server_id: Some(ServerId(2)),
        protocol_version: LEARNER_PROTOCOL_VERSION,
        config_version: 0,
    };
    led.hear(
        9,
        QuorumPacket::with_data(PacketType::FollowerInfo, zxid(1, 0), info.encode()),
    );
    led.leader.handle_packet(
        LearnerId(9),
        QuorumPacket::with_data(PacketType::AckEpoch, first, encode_epoch(-1)),
        T,
    );
    let sent = led.sent();
    assert_eq!(
        sent[1..],
        [
            (9, PacketType::Proposal, first),
            (9, PacketType::NewLeader, zxid(1, 0))
        ]
    );
    led.leader.handle_appended(first);
    assert_eq!(
        commits(&led.drain()),
        [],
        "it has just been told to truncate that"
    );
    led.ack(9, zxid(1, 0));
    assert_eq!(commits(&led.ack(9, first)), [first]);
}

impl Led {
    fn ack_without_us(&mut self, n: u64, zxid: Zxid) {
        assert_eq!(commits(&self.ack(n, zxid)), []);
    }
}

#[test]
fn an_ack_that_overtakes_that_of_newleader_ends_the_connection() {
    let mut led = Led::established();
    led.connect(3, 0, PacketType::FollowerInfo);
    led.ack_epoch(3, 0, Zxid(0));
    assert!(matches!(
        led.ack(3, zxid(1, 1))[..],
        [LeaderOutput::Close { .. }]
    ));
}

#[test]
fn a_newer_connection_replaces_the_older() {
    let mut led = Led::established();
    led.leader.handle_learner_connected(LearnerId(9), T);
    let info = LearnerInfo {
        server_id: Some(ServerId(2)),
        protocol_version: LEARNER_PROTOCOL_VERSION,
        config_version: 0,
    };
    let info = QuorumPacket::with_data(PacketType::FollowerInfo, zxid(1, 0), info.encode());
    assert_eq!(losses(&led.hear(9, info)), [LearnerLoss::Replaced]);
}

#[test]
fn a_leader_that_nobody_follows_in_time_gives_up() {
    let mut led = Led::new(3, EMPTY);
    led.connect(2, 0, PacketType::FollowerInfo);
    led.persisted(EpochFile::Accepted);
    led.leader.handle_timeout(after(9.9));
    assert_eq!(led.drain(), []);
    led.leader.handle_timeout(after(10.0));
    assert_eq!(
        led.drain(),
        [LeaderOutput::ShutDown(LeaderShutdown::NotFollowed)]
    );
    assert_eq!(led.leader.poll_timeout(), None);
}

/// E39: a tree whose transfer takes longer than `initLimit`.
#[test]
fn a_snapshot_that_goes_on_is_waited_for() {
    let mut options = LeaderOptions::new(ServerId(1), TIMING);
    options.force_snapshot_sync = true;
    let committed = QuorumVerifier::parse("server.1=h:1:2\nserver.2=h:1:2\nserver.3=h:1:2\n");
    let config = Config {
        committed: committed.unwrap(),
        last_seen: None,
    };
    let mut led = Led::with(options, config, EMPTY);
    led.connect(2, 0, PacketType::FollowerInfo);
    led.persisted(EpochFile::Accepted);
    led.ack_epoch(2, 0, Zxid(0));
    let outputs = led.persisted(EpochFile::Current);
    let is_snapshot = |output: &LeaderOutput| matches!(output, LeaderOutput::SendSnapshot { .. });
    assert!(outputs.iter().any(is_snapshot), "{outputs:?}");
    for ticks in 1..40 {
        let now = after(f64::from(ticks));
        led.leader.handle_timeout(now);
        assert_eq!(losses(&led.drain()), []);
        led.leader.handle_snapshot_progressed(LearnerId(2), now);
    }
    led.leader.handle_timeout(after(48.9));
    assert_eq!(losses(&led.drain()), []);
    led.leader.handle_timeout(after(49.0));
    let gives_up = LeaderOutput::ShutDown(LeaderShutdown::NotFollowed);
    assert!(led.drain().contains(&gives_up));
}

#[test]
fn a_leader_whose_followers_fall_silent_gives_up() {
    let mut led = Led::established();
    for half_ticks in 1..=9 {
        led.leader
            .handle_timeout(after(f64::from(half_ticks) / 2.0));
        assert_eq!(led.sent(), [(2, PacketType::Ping, zxid(1, 0))]);
    }
    for half_ticks in 10..=12 {
        led.leader
            .handle_timeout(after(f64::from(half_ticks) / 2.0));
    }
    let outputs = led.drain();
    assert_eq!(losses(&outputs), [LearnerLoss::Silent]);
    let last = outputs.last();
    assert_eq!(
        last,
        Some(&LeaderOutput::ShutDown(LeaderShutdown::LostQuorum))
    );
}

#[test]
fn a_follower_that_answers_pings_and_not_proposals_is_dropped() {
    let mut led = Led::established();
    led.propose();
    for half_ticks in 1..=11 {
        let now = after(f64::from(half_ticks) / 2.0);
        let pong = QuorumPacket::with_data(PacketType::Ping, zxid(1, 0), Bytes::new());
        led.leader.handle_packet(LearnerId(2), pong, now);
        led.leader.handle_timeout(now);
    }
    assert_eq!(losses(&led.drain()), [LearnerLoss::Behind]);
}

#[test]
fn the_last_zxid_of_an_epoch_ends_it() {
    let mut led = Led::established();
    led.leader.skip_to(0xffff_fffd);
    assert_eq!(led.propose(), Zxid(0x1_ffff_fffe));
    let refused = led.leader.propose(|_| unreachable!("nothing to make"), T);
    assert_eq!(refused, Err(ProposeError::RolledOver));
    let last = led.drain().pop();
    assert_eq!(
        last,
        Some(LeaderOutput::ShutDown(LeaderShutdown::ZxidRolledOver))
    );
    let refused = led.leader.propose(|_| unreachable!("nothing to make"), T);
    assert_eq!(refused, Err(ProposeError::NotEstablished));
}

#[test]
fn there_is_a_last_epoch() {
    let history = History {
        accepted_epoch: i64::from(i32::MAX),
        ..EMPTY
    };
    let mut led = Led::new(1, history);
    assert_eq!(
        led.drain(),
        [LeaderOutput::ShutDown(LeaderShutdown::EpochsUsedUp)]
    );
}

#[test]
fn a_sync_is_answered_behind_the_commits_it_waits_for() {
    let mut led = Led::established();
    led.leader
        .handle_packet(LearnerId(2), request(OpCode::Sync).packet(), T);
    assert_eq!(led.sent(), [(2, PacketType::Sync, Zxid(0))]);
    let first = led.propose();
    led.leader
        .handle_packet(LearnerId(2), request(OpCode::Sync).packet(), T);
    let second = led.propose();
    led.sent();
    led.leader.handle_appended(second);
    led.leader
        .handle_packet(LearnerId(2), bare(PacketType::Ack, first), T);
    let expected = [
        (2, PacketType::Commit, first),
        (2, PacketType::Sync, Zxid(0)),
    ];
    assert_eq!(led.sent(), expected);
}

#[test]
fn what_learners_clients_want_is_handed_on() {
    let mut led = Led::established();
    let from = LearnerId(2);
    let asked = request(OpCode::Create);
    assert_eq!(
        led.hear(2, asked.clone().packet()),
        [LeaderOutput::Request {
            from,
            request: asked
        }]
    );

    let session = Revalidate {
        session: SessionId(7),
        timeout_ms: 4000,
    };
    assert_eq!(
        led.hear(2, session.packet()),
        [LeaderOutput::Revalidate { from, session }]
    );
    led.leader.revalidated(from, SessionId(7), true);
    assert_eq!(led.sent(), [(2, PacketType::Revalidate, Zxid(-1))]);

    let sessions = vec![Touch {
        session: SessionId(7),
        timeout_ms: 4000,
    }];
    let table = encode_touch_table(sessions.iter().copied());
    let pong = QuorumPacket::with_data(PacketType::Ping, zxid(1, 0), table);
    assert_eq!(
        led.hear(2, pong),
        [LeaderOutput::Touched { from, sessions }]
    );
}
