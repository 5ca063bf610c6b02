//! The configuration changes: what the leader does, and what its learners do.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use zk_proto::{SessionId, Xid, Zxid};

use super::leading::{Led, commits};
use super::learning::{Learned, ack, learning_with};
use super::{EMPTY, T, after, bare, zxid};
use crate::quorum::packet::{PacketType, QuorumPacket, encode_informed, encode_server_id};
use crate::quorum::zab::tests::TIMING;
use crate::quorum::zab::{
    EpochFile, LeaderConfig as Config, LeaderOptions, LeaderOutput, LeaderShutdown, LearnerId,
    LearnerLoss, LearnerOptions, LearnerOutput, LearnerReconfig, LearnerShutdown, Proposal,
    ProposeError,
};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};
use crate::txn::{SetDataTxn, Txn, TxnBody, TxnHeader, encode_txn};

/// Servers by id at addresses of their own; those behind the bar observe.
fn list(text: &str, version: Zxid) -> QuorumVerifier {
    let (voters, observers) = text.split_once('|').unwrap_or((text, ""));
    let line = |id: &str, role| format!("server.{id}=h{id}:1:2:{role}\n");
    let voters = voters.split_whitespace().map(|id| line(id, "participant"));
    let observers = observers.split_whitespace().map(|id| line(id, "observer"));
    let text: String = voters.chain(observers).collect();
    QuorumVerifier::parse(&text)
        .unwrap()
        .with_version(version.0)
}

fn moved(id: i64, verifier: &QuorumVerifier) -> QuorumVerifier {
    let text = verifier.to_text();
    QuorumVerifier::parse(&text.replace(&format!("h{id}:"), "elsewhere:")).unwrap()
}

/// The transaction that proposes a configuration.
pub(super) fn txn_of(config: &QuorumVerifier) -> Proposal {
    let txn = Txn {
        header: TxnHeader {
            client: SessionId(7),
            cxid: Xid(1),
            zxid: Zxid(config.version()),
            time_ms: 5,
        },
        body: TxnBody::Reconfig(SetDataTxn {
            path: "/zookeeper/config".into(),
            data: Some(config.to_text().into_bytes().into()),
            version: -1,
        }),
        digest: None,
    };
    let mut payload = BytesMut::new();
    encode_txn(&txn, &mut payload);
    Proposal::new(Zxid(config.version()), payload)
}

// ---- the leader ----

const FIRST: Zxid = zxid(1, 0);

fn leading(committed: QuorumVerifier, last_seen: Option<QuorumVerifier>) -> Led {
    let mut options = LeaderOptions::new(ServerId(1), TIMING);
    options.reconfig_enabled = true;
    let config = Config {
        committed,
        last_seen,
    };
    Led::with(options, config, EMPTY)
}

/// Servers 1, 2 and 3 of three serve; so do 4 and 5, of which nobody knows.
fn five_of_three() -> Led {
    let mut led = leading(list("1 2 3", FIRST), None);
    led.establish();
    for n in 3..=5 {
        led.join(n, PacketType::FollowerInfo);
    }
    led
}

impl Led {
    fn reconfigure(&mut self, next: &QuorumVerifier) -> Result<Zxid, ProposeError> {
        let payload = |zxid: Zxid| txn_of(&next.clone().with_version(zxid.0)).payload;
        self.leader.propose_reconfig(next.clone(), payload, T)
    }

    /// Acks of followers, and at the end what they have led to.
    fn acks(&mut self, from: &[u64], zxid: Zxid) -> Vec<LeaderOutput> {
        let outputs = from.iter().map(|n| self.ack(*n, zxid));
        outputs.flatten().collect()
    }
}

fn packets(outputs: &[LeaderOutput]) -> Vec<(u64, PacketType)> {
    let sent = outputs.iter().filter_map(|output| match output {
        LeaderOutput::Send { to, packet } => Some((to.0, packet.packet_type)),
        _ => None,
    });
    sent.collect()
}

fn activated(outputs: &[LeaderOutput]) -> Option<(QuorumVerifier, ServerId)> {
    outputs.iter().find_map(|output| match output {
        LeaderOutput::Activate { config, leader } => {
            Some((QuorumVerifier::parse(config).unwrap(), *leader))
        }
        _ => None,
    })
}

fn ended(outputs: &[LeaderOutput]) -> Option<LeaderShutdown> {
    match outputs.last() {
        Some(LeaderOutput::ShutDown(reason)) => Some(*reason),
        _ => None,
    }
}

#[test]
fn a_list_without_a_version_gets_that_of_the_epoch() {
    let mut led = leading(list("1 2 3", Zxid(0)), None);
    led.connect(2, 0, PacketType::FollowerInfo);
    led.persisted(EpochFile::Accepted);
    led.ack_epoch(2, 0, Zxid(0));
    let first = list("1 2 3", FIRST).to_text();
    let outputs = led.persisted(EpochFile::Current);
    assert_eq!(outputs[0], LeaderOutput::ConfigProposed(first.clone()));
    let Some(LeaderOutput::Send { packet, .. }) = outputs.last() else {
        panic!("{outputs:?}");
    };
    assert_eq!(packet.packet_type, PacketType::NewLeader);
    assert_eq!(packet.bytes(), first.as_bytes());
    let activate = LeaderOutput::Activate {
        config: first,
        leader: ServerId(1),
    };
    let established = LeaderOutput::Established { epoch: 1 };
    assert_eq!(led.ack(2, FIRST)[..2], [activate, established]);
}

#[test]
fn nothing_changes_where_reconfigurations_are_disabled() {
    let config = Config {
        committed: list("1 2 3", Zxid(0)),
        last_seen: None,
    };
    let mut led = Led::with(LeaderOptions::new(ServerId(1), TIMING), config, EMPTY);
    led.establish();
    assert_eq!(led.leader.membership(true).last_seen.version(), 0);
    let refused = led.reconfigure(&list("1 2", Zxid(0)));
    assert_eq!(refused, Err(ProposeError::ReconfigDisabled));
}

#[test]
fn both_ensembles_decide_on_a_reconfiguration_and_on_what_follows() {
    let mut led = five_of_three();
    let before = led.propose();
    let reconfig = led.reconfigure(&list("1 4 5", FIRST)).unwrap();
    let behind = led.propose();
    led.drain();
    assert_eq!(commits(&led.acks(&[4, 5], before)), [], "not asked");
    led.leader.handle_appended(behind);
    assert_eq!(commits(&led.acks(&[4, 5], reconfig)), [], "without the old");
    assert_eq!(commits(&led.acks(&[2], before)), [before], "the old alone");
    assert_eq!(commits(&led.acks(&[4, 5, 3], behind)), [], "in order");
    let outputs = led.acks(&[3], reconfig);
    assert_eq!(commits(&outputs), [reconfig, behind]);
    let (next, leader) = activated(&outputs).unwrap();
    assert_eq!((next.version(), leader), (reconfig.0, ServerId(1)));
    let position = |wanted: &dyn Fn(&LeaderOutput) -> bool| outputs.iter().position(wanted);
    let commit = position(&|o| matches!(o, LeaderOutput::Commit(p) if p.zxid == reconfig));
    let activate = position(&|o| matches!(o, LeaderOutput::Activate { .. }));
    assert_eq!(activate, commit.map(|place| place + 1));
    let later = led.propose();
    led.drain();
    led.leader.handle_appended(later);
    assert_eq!(commits(&led.acks(&[2, 3], later)), [], "removed");
    assert_eq!(commits(&led.acks(&[4], later)), [later]);
}

#[test]
fn learners_are_told_by_kind() {
    let mut led = leading(list("1 2 3|4", FIRST), None);
    led.establish();
    led.join(3, PacketType::FollowerInfo);
    led.join(4, PacketType::ObserverInfo);
    let zxid = led.reconfigure(&list("1 2|4", FIRST)).unwrap();
    let outputs = led.drain();
    assert!(matches!(outputs[0], LeaderOutput::ConfigProposed(_)));
    let proposal = [(2, PacketType::Proposal), (3, PacketType::Proposal)];
    assert_eq!(packets(&outputs), proposal);
    led.leader.handle_appended(zxid);
    let outputs = led.acks(&[2], zxid);
    let told = [
        (2, PacketType::CommitAndActivate),
        (3, PacketType::CommitAndActivate),
        (4, PacketType::InformAndActivate),
    ];
    assert_eq!(packets(&outputs), told);
    let LeaderOutput::Send { packet, .. } = &outputs[2] else {
        panic!("{outputs:?}");
    };
    let payload = txn_of(&list("1 2|4", zxid)).payload;
    assert_eq!(packet.bytes(), encode_informed(ServerId(1), &payload));
}

#[test]
fn one_at_a_time_and_only_with_a_quorum_in_step() {
    let mut led = five_of_three();
    let no_quorum = Err(ProposeError::NewConfigNoQuorum);
    assert_eq!(led.reconfigure(&list("1 6 7", FIRST)), no_quorum);
    assert_eq!(led.reconfigure(&list("6", FIRST)), no_quorum);
    assert_eq!(led.drain(), []);
    let zxid = led.reconfigure(&list("1 4 5", FIRST)).unwrap();
    let version = zxid.0;
    let refused = led.reconfigure(&list("1 2", FIRST));
    assert_eq!(refused, Err(ProposeError::ReconfigInProgress { version }));
    assert_eq!(led.leader.membership(true).last_seen.version(), version);
    led.leader.handle_appended(zxid);
    led.acks(&[2, 4], zxid);
    assert!(led.reconfigure(&list("1 2", FIRST)).is_ok());
}

#[test]
fn observers_and_whoever_has_gone_are_not_in_step() {
    let mut led = leading(list("1 2 3|4", FIRST), None);
    led.establish();
    led.join(3, PacketType::FollowerInfo);
    led.join(4, PacketType::ObserverInfo);
    let in_step = [1, 2, 3].map(ServerId);
    assert_eq!(led.leader.membership(true).synced, BTreeSet::from(in_step));
    led.leader.handle_learner_lost(LearnerId(3));
    let no_quorum = Err(ProposeError::NewConfigNoQuorum);
    assert_eq!(led.reconfigure(&list("1 3 4", FIRST)), no_quorum);
}

/// A voter of the next configuration has come back as what it still is.
#[test]
fn a_reconfiguration_that_nobody_can_acknowledge_ends_the_role() {
    let mut led = leading(list("1 2|4", FIRST), None);
    led.establish();
    led.join(4, PacketType::FollowerInfo);
    led.reconfigure(&list("1 2 4 5", FIRST)).unwrap();
    led.leader.handle_learner_lost(LearnerId(4));
    led.join(4, PacketType::ObserverInfo);
    for half_ticks in 1..=2 {
        led.leader
            .handle_timeout(after(f64::from(half_ticks) / 2.0));
    }
    assert_eq!(ended(&led.drain()), Some(LeaderShutdown::LostQuorum));
}

/// Proposes `next`, which has another leader, and what comes behind; it is acknowledged
/// by everybody, `behind` by some.
fn hand_over(led: &mut Led, next: &QuorumVerifier, behind: &[u64]) -> (Zxid, Vec<LeaderOutput>) {
    let zxid = led.reconfigure(next).unwrap();
    let last = led.propose();
    led.leader.handle_appended(last);
    led.drain();
    led.acks(behind, last);
    let outputs = led.acks(&[5, 4, 3, 2], zxid);
    (zxid, outputs)
}

#[test]
fn a_leader_without_a_vote_hands_over_to_whoever_has_the_most() {
    for (behind, leader) in [(&[][..], 4), (&[2], 2), (&[2, 3, 4], 4), (&[3], 3)] {
        let mut led = five_of_three();
        let (zxid, outputs) = hand_over(&mut led, &list("2 3 4|1", FIRST), behind);
        assert_eq!(commits(&outputs), [zxid], "and nothing behind it");
        let (_, designated) = activated(&outputs).unwrap();
        // Two acknowledgements of the three decide, and 5 has no vote.
        let expected = if leader == 2 { 4 } else { leader };
        assert_eq!(designated, ServerId(expected), "{behind:?}");
        assert!(!led.leader.is_established());
        let refused = led.leader.propose(|_| unreachable!("nothing to make"), T);
        assert_eq!(refused, Err(ProposeError::NotEstablished));
    }
}

#[test]
fn a_leader_that_moves_hands_over() {
    let mut led = five_of_three();
    let (_, outputs) = hand_over(&mut led, &moved(1, &list("1 2 3", FIRST)), &[]);
    assert_eq!(activated(&outputs).unwrap().1, ServerId(3));
    // What moves only for clients stays.
    let mut led = five_of_three();
    let text = list("1 2 3", FIRST).to_text();
    let next = text.replace("h1:1:2:participant", "h1:1:2:participant;9");
    let (_, outputs) = hand_over(&mut led, &QuorumVerifier::parse(&next).unwrap(), &[]);
    assert_eq!(activated(&outputs).unwrap().1, ServerId(1));
    assert!(led.leader.is_established());
}

#[test]
fn the_role_ends_when_a_quorum_with_the_next_leader_has_gone() {
    let mut led = five_of_three();
    let (_, outputs) = hand_over(&mut led, &list("2 3 4|1", FIRST), &[]);
    let leader = activated(&outputs).unwrap().1;
    let over = LeaderShutdown::Reconfigured { leader };
    assert_eq!((ended(&outputs), leader), (None, ServerId(4)));
    for (gone, expected) in [(2, None), (3, None), (4, Some(over))] {
        led.leader.handle_learner_lost(LearnerId(gone));
        assert_eq!(ended(&led.drain()), expected, "{gone}");
    }
}

#[test]
fn the_role_ends_though_nobody_goes() {
    let mut led = five_of_three();
    let (_, outputs) = hand_over(&mut led, &list("2 3 4|1", FIRST), &[]);
    let leader = activated(&outputs).unwrap().1;
    let outputs = led.connect(9, 1, PacketType::FollowerInfo);
    let turned_away = LearnerLoss::Reconfigured(leader);
    assert!(matches!(&outputs[..], [LeaderOutput::Close { loss, .. }] if *loss == turned_away));
    let mut last = None;
    for half_ticks in 1..=11 {
        assert_eq!(last, None);
        let now = after(f64::from(half_ticks) / 2.0);
        for n in 2..=5 {
            let pong = QuorumPacket::with_data(PacketType::Ping, zxid(1, 0), Bytes::new());
            led.leader.handle_packet(LearnerId(n), pong, now);
        }
        led.leader.handle_timeout(now);
        last = ended(&led.drain());
    }
    assert_eq!(last, Some(LeaderShutdown::Reconfigured { leader }));
}

#[test]
fn what_was_proposed_in_an_earlier_epoch_is_in_force_with_the_new_one() {
    let next = list("1 4 5", zxid(1, 7));
    let mut led = leading(list("1 2 3", FIRST), Some(next.clone()));
    led.begin(2, &[2, 4]);
    let outputs = led.acks(&[2], zxid(2, 0));
    assert_eq!(outputs, [], "the new ensemble has not followed");
    let outputs = led.acks(&[4], zxid(2, 0));
    let activate = LeaderOutput::Activate {
        config: next.to_text(),
        leader: ServerId(1),
    };
    let established = LeaderOutput::Established { epoch: 2 };
    assert_eq!(outputs[..2], [activate, established]);
}

#[test]
fn a_leader_that_finds_itself_removed_tells_and_goes() {
    let next = list("2 4 5", zxid(1, 7));
    let mut led = leading(list("1 2 3", FIRST), Some(next.clone()));
    led.begin(2, &[2, 4]);
    led.acks(&[2], zxid(2, 0));
    let outputs = led.acks(&[4], zxid(2, 0));
    let activate = LeaderOutput::Activate {
        config: next.to_text(),
        leader: ServerId(4),
    };
    assert_eq!(outputs[0], activate);
    let told = [(2, PacketType::UpToDate), (4, PacketType::UpToDate)];
    assert_eq!(packets(&outputs), told);
    led.leader.handle_learner_lost(LearnerId(2));
    assert_eq!(ended(&led.drain()), None);
    led.leader.handle_learner_lost(LearnerId(4));
    let leader = ServerId(4);
    assert_eq!(
        ended(&led.drain()),
        Some(LeaderShutdown::Reconfigured { leader })
    );
}

impl Led {
    /// Enters `epoch` with these followers, whose acks of NEWLEADER are still to come.
    fn begin(&mut self, epoch: i64, followers: &[u64]) {
        for n in followers {
            self.connect(*n, epoch - 1, PacketType::FollowerInfo);
        }
        self.persisted(EpochFile::Accepted);
        for n in followers {
            self.ack_epoch(*n, 0, Zxid(0));
        }
        self.persisted(EpochFile::Current);
    }
}

// ---- the learner ----

/// Server 2 follows server 1.
fn following(committed: QuorumVerifier, last_seen: Option<QuorumVerifier>) -> Learned {
    let mut options = LearnerOptions::new(ServerId(2), LearnerType::Participant, TIMING);
    options.config_version = committed.version();
    options.reconfig = Some(LearnerReconfig {
        config: Config {
            committed,
            last_seen,
        },
        leader: ServerId(1),
    });
    learning_with(options, EMPTY)
}

fn three() -> QuorumVerifier {
    list("1 2 3", FIRST)
}

impl Learned {
    /// A reconfiguration is proposed, logged and committed.
    fn reconfigure(&mut self, next: &QuorumVerifier, leader: i64) -> Vec<LearnerOutput> {
        let txn = txn_of(next);
        let zxid = txn.zxid;
        let outputs = self.hear(QuorumPacket::with_data(
            PacketType::Proposal,
            zxid,
            txn.payload.clone(),
        ));
        let seen = LearnerOutput::ConfigProposed(next.to_text());
        assert_eq!(outputs, [seen, LearnerOutput::Append(txn.clone())]);
        let activate = encode_server_id(ServerId(leader));
        let activate = QuorumPacket::with_data(PacketType::CommitAndActivate, zxid, activate);
        assert_eq!(self.hear(activate), [], "the log first");
        let outputs = self.appended(zxid);
        let activate = LearnerOutput::Activate {
            config: next.to_text(),
            leader: Some(ServerId(leader)),
        };
        let effect = [ack(zxid), LearnerOutput::Commit(txn), activate];
        assert_eq!(outputs[..3], effect);
        outputs[3..].to_vec()
    }
}

fn reconfigured(leader: Option<i64>) -> LearnerOutput {
    LearnerOutput::ShutDown(LearnerShutdown::Reconfigured {
        leader: leader.map(ServerId),
    })
}

#[test]
fn a_reconfiguration_takes_effect_behind_its_transaction() {
    let first = zxid(2, 1);
    for (next, leader, end) in [
        (list("1 2 3 4", first), 1, None),
        (list("1 2", first), 1, None),
        (list("1 3 4", first), 1, None),
        (list("1 3|2", first), 1, Some(1)),
        (list("2 3|1", first), 3, Some(3)),
        (list("2 3", first), 2, Some(2)),
        (moved(1, &list("1 2 3", first)), 2, Some(2)),
        (moved(2, &list("1 2 3", first)), 1, None),
    ] {
        let mut learned = following(three(), None).serving();
        let outputs = learned.reconfigure(&next, leader);
        let expected = end.map(|leader| reconfigured(Some(leader)));
        assert_eq!(outputs, Vec::from_iter(expected), "{next:?}");
        assert_eq!(learned.learner.is_established(), end.is_none());
    }
}

#[test]
fn an_observer_is_told_with_the_transaction() {
    for (next, end) in [
        (list("1 3|2", zxid(2, 1)), None),
        (list("1 2 3", zxid(2, 1)), Some(1)),
    ] {
        let mut options = LearnerOptions::new(ServerId(2), LearnerType::Observer, TIMING);
        options.reconfig = Some(LearnerReconfig {
            config: Config {
                committed: list("1 3 4|2", FIRST),
                last_seen: None,
            },
            leader: ServerId(1),
        });
        let mut learned = learning_with(options, EMPTY).serving();
        let txn = txn_of(&next);
        let data = encode_informed(ServerId(1), &txn.payload);
        let inform = QuorumPacket::with_data(PacketType::InformAndActivate, txn.zxid, data);
        let seen = LearnerOutput::ConfigProposed(next.to_text());
        assert_eq!(
            learned.hear(inform),
            [seen, LearnerOutput::Append(txn.clone())]
        );
        let outputs = learned.appended(txn.zxid);
        assert!(matches!(outputs[1], LearnerOutput::Activate { .. }));
        let expected = end.map(|leader| reconfigured(Some(leader)));
        assert_eq!(outputs[2..], Vec::from_iter(expected));
    }
}

#[test]
fn the_leaders_configuration_is_in_force_with_uptodate() {
    let old = zxid(1, 9);
    for (last_seen, told, end) in [
        (None, list("1 2 3", zxid(2, 0)), false),
        (None, list("1 2 4", old), false),
        (Some(list("1 2 4", old)), list("1 2 4", old), false),
        // One that came to nothing.
        (Some(list("7 8 9", old)), list("1 2 3 4", zxid(1, 8)), false),
        // The leader is gone from it, or is elsewhere, or we observe.
        (None, list("2 3 4", old), true),
        (None, moved(1, &list("1 2 3", old)), true),
        (None, list("1 3|2", old), true),
    ] {
        let is_new = last_seen.as_ref().is_none_or(|seen| *seen != told);
        let mut learned = following(three(), last_seen).accepting();
        learned.hear(bare(PacketType::Diff, Zxid(0)));
        let text = told.to_text();
        let new_leader = QuorumPacket::with_data(PacketType::NewLeader, zxid(2, 0), text.clone());
        let outputs = learned.hear(new_leader);
        let news = is_new.then(|| LearnerOutput::NewConfig(text.clone()));
        assert_eq!(outputs[..outputs.len() - 1], Vec::from_iter(news));
        learned.persisted(EpochFile::Current);
        let outputs = learned.hear(bare(PacketType::UpToDate, Zxid(-1)));
        let activate = LearnerOutput::Activate {
            config: text,
            leader: None,
        };
        assert_eq!(outputs[0], activate);
        if end {
            assert_eq!(outputs[1..], [reconfigured(None)]);
        } else {
            let established = LearnerOutput::Established { epoch: 2 };
            assert_eq!(outputs[1..], [established, ack(zxid(2, 0))]);
        }
    }
}

/// Between NEWLEADER and UPTODATE the configuration changes once more.
#[test]
fn uptodate_does_not_undo_what_came_after_newleader() {
    let mut learned = following(three(), None).accepting();
    learned.hear(bare(PacketType::Diff, Zxid(0)));
    let text = list("1 2 3", zxid(2, 0)).to_text();
    learned.hear(QuorumPacket::with_data(
        PacketType::NewLeader,
        zxid(2, 0),
        text,
    ));
    learned.persisted(EpochFile::Current);
    let next = list("1 2 3 4", zxid(2, 1));
    assert_eq!(learned.reconfigure(&next, 1), []);
    let established = LearnerOutput::Established { epoch: 2 };
    let outputs = learned.hear(bare(PacketType::UpToDate, Zxid(-1)));
    assert_eq!(outputs, [established, ack(zxid(2, 0))]);
}

/// NEWLEADER has brought what the leader has proposed and not committed yet.
#[test]
fn uptodate_puts_nothing_in_force_that_is_undecided() {
    let next = list("1 2 3 4", zxid(2, 1));
    let txn = txn_of(&next);
    let joining = || {
        let mut learned = following(three(), None).accepting();
        learned.hear(bare(PacketType::Diff, Zxid(0)));
        let payload = txn.payload.clone();
        learned.hear(QuorumPacket::with_data(
            PacketType::Proposal,
            txn.zxid,
            payload,
        ));
        learned
    };
    let text = next.to_text();
    let new_leader = QuorumPacket::with_data(PacketType::NewLeader, zxid(2, 0), text.clone());
    let mut learned = joining();
    learned.hear(new_leader.clone());
    learned.persisted(EpochFile::Current);
    let established = LearnerOutput::Established { epoch: 2 };
    let outputs = learned.hear(bare(PacketType::UpToDate, Zxid(-1)));
    assert_eq!(outputs, [established, ack(zxid(2, 0))]);
    let activate = encode_server_id(ServerId(1));
    learned.hear(QuorumPacket::with_data(
        PacketType::CommitAndActivate,
        txn.zxid,
        activate,
    ));
    let activate = LearnerOutput::Activate {
        config: text.clone(),
        leader: Some(ServerId(1)),
    };
    assert_eq!(learned.appended(txn.zxid).last(), Some(&activate));

    // What was committed before NEWLEADER is decided.
    let mut learned = joining();
    learned.hear(bare(PacketType::Commit, txn.zxid));
    learned.hear(new_leader);
    learned.appended(txn.zxid);
    learned.persisted(EpochFile::Current);
    let outputs = learned.hear(bare(PacketType::UpToDate, Zxid(-1)));
    let activate = LearnerOutput::Activate {
        config: text,
        leader: None,
    };
    assert_eq!(outputs[0], activate);
}

#[test]
fn a_learner_without_reconfigurations_only_commits() {
    let options = LearnerOptions::new(ServerId(2), LearnerType::Participant, TIMING);
    let mut learned = learning_with(options, EMPTY).serving();
    let txn = txn_of(&list("3", zxid(2, 1)));
    let append = learned.hear(QuorumPacket::with_data(
        PacketType::Proposal,
        txn.zxid,
        txn.payload.clone(),
    ));
    assert_eq!(append, [LearnerOutput::Append(txn.clone())]);
    let activate = encode_server_id(ServerId(3));
    learned.hear(QuorumPacket::with_data(
        PacketType::CommitAndActivate,
        txn.zxid,
        activate,
    ));
    let outputs = learned.appended(txn.zxid);
    assert_eq!(outputs, [ack(txn.zxid), LearnerOutput::Commit(txn)]);
}

#[test]
fn a_configuration_that_is_none_ends_the_role() {
    let refused = |outputs: Vec<LearnerOutput>| {
        let end = outputs.last();
        assert!(
            matches!(
                end,
                Some(LearnerOutput::ShutDown(LearnerShutdown::Config { .. }))
            ),
            "{outputs:?}"
        );
    };
    let wrong_version = txn_of(&list("1 2", zxid(2, 9))).payload;
    let cut = wrong_version.slice(..50);
    for payload in [wrong_version, cut] {
        let mut learned = following(three(), None).serving();
        let proposal = QuorumPacket::with_data(PacketType::Proposal, zxid(2, 1), payload);
        refused(learned.hear(proposal));
    }
    let mut learned = following(three(), None).accepting();
    learned.hear(bare(PacketType::Diff, Zxid(0)));
    let text = "server.1=nowhere";
    refused(learned.hear(QuorumPacket::with_data(
        PacketType::NewLeader,
        zxid(2, 0),
        text,
    )));
}

#[test]
fn what_was_not_proposed_cannot_take_effect() {
    let mut learned = following(three(), None).serving();
    let first = zxid(2, 1);
    learned.hear(QuorumPacket::with_data(PacketType::Proposal, first, "txn"));
    let activate = encode_server_id(ServerId(1));
    let activate = QuorumPacket::with_data(PacketType::CommitAndActivate, first, activate);
    let reason = LearnerShutdown::NoSuchConfig(first);
    assert_eq!(learned.hear(activate), [LearnerOutput::ShutDown(reason)]);
}
