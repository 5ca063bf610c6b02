//! The observer master, and observers and a leader that say what the script says.

use zk_proto::{OpCode, SessionId, Zxid};

use super::reconfiguring::txn_of;
use super::{T, after, bare, request, zxid};
use crate::quorum::packet::{
    LEARNER_PROTOCOL_VERSION, LearnerInfo, PacketType, QuorumPacket, Revalidate, Revalidated,
    Touch, decode_informed, encode_epoch, encode_touch_table,
};
use crate::quorum::zab::tests::TIMING;
use crate::quorum::zab::{
    Asker, CommittedLog, LearnerId, LearnerLoss, ObserverMaster, ObserverMasterOptions,
    ObserverMasterOutput as Output, Proposal,
};
use crate::quorum::{QuorumVerifier, ServerId};

const EPOCH: i64 = 2;
const FIRST: Zxid = zxid(EPOCH, 0);
const CONFIG: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer";
const OBSERVER: LearnerId = LearnerId(1);
const OTHER: LearnerId = LearnerId(2);

struct Mastered {
    master: ObserverMaster,
}

fn config(version: i64) -> QuorumVerifier {
    QuorumVerifier::parse(&format!("{CONFIG}\nversion={version:x}")).unwrap()
}

/// A master in epoch 2 whose tree has these, of which it remembers the newest four.
fn master(committed: &[Zxid]) -> Mastered {
    let mut options = ObserverMasterOptions::new(TIMING, EPOCH);
    options.reconfig_enabled = true;
    options.max_concurrent_snap_syncs = 1;
    let mut log = CommittedLog::new(4);
    for zxid in committed {
        log.push(txn(*zxid));
    }
    let last = log.max().unwrap_or(FIRST).max(FIRST);
    Mastered {
        master: ObserverMaster::new(options, config(0), last, log, T),
    }
}

fn txn(zxid: Zxid) -> Proposal {
    Proposal::new(zxid, "txn")
}

fn send(to: LearnerId, packet: QuorumPacket) -> Output {
    Output::Send { to, packet }
}

fn info(packet_type: PacketType, id: i64, config_version: i64) -> QuorumPacket {
    let info = LearnerInfo {
        server_id: Some(ServerId(id)),
        protocol_version: LEARNER_PROTOCOL_VERSION,
        config_version,
    };
    QuorumPacket::with_data(packet_type, zxid(1, 0), info.encode())
}

fn closed(outputs: &[Output], learner: LearnerId) -> &LearnerLoss {
    match outputs {
        [Output::Close { learner: of, loss }] if *of == learner => loss,
        other => panic!("{other:?}"),
    }
}

/// The types and zxids of what is sent to one observer.
fn sent(outputs: &[Output], to: LearnerId) -> Vec<(PacketType, Zxid)> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Send { to: other, packet } if *other == to => {
            Some((packet.packet_type, packet.zxid))
        }
        _ => None,
    });
    sent.collect()
}

impl Mastered {
    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.master.poll_output()).collect()
    }

    fn hear(&mut self, from: LearnerId, packet: QuorumPacket) -> Vec<Output> {
        self.master.handle_packet(from, packet, T);
        self.drain()
    }

    fn commit(&mut self, zxid: Zxid) -> Vec<Output> {
        self.master.handle_committed(txn(zxid), T);
        self.drain()
    }

    /// Connects and introduces itself as server 3 + `learner`.
    fn introduced(&mut self, learner: LearnerId) {
        let id = 3 + i64::try_from(learner.0).unwrap();
        self.master.handle_learner_connected(learner, T);
        let told = self.hear(learner, info(PacketType::ObserverInfo, id, 0));
        let version = encode_epoch(LEARNER_PROTOCOL_VERSION);
        let leader_info = QuorumPacket::with_data(PacketType::LeaderInfo, FIRST, version);
        assert_eq!(told, [send(learner, leader_info)]);
    }

    fn ack_epoch(&mut self, learner: LearnerId, last: Zxid) -> Vec<Output> {
        let ack = QuorumPacket::with_data(PacketType::AckEpoch, last, encode_epoch(1));
        self.hear(learner, ack)
    }

    /// An observer that has what the master has, and serves.
    fn serving(&mut self, learner: LearnerId, last: Zxid) {
        self.introduced(learner);
        let sent = self.ack_epoch(learner, last);
        assert!(matches!(&sent[..], [Output::Send { packet, .. }, _]
            if packet.packet_type == PacketType::Diff));
        let up_to_date = self.hear(learner, bare(PacketType::Ack, FIRST));
        assert_eq!(
            up_to_date,
            [send(learner, bare(PacketType::UpToDate, Zxid(-1)))]
        );
        assert_eq!(self.hear(learner, bare(PacketType::Ack, FIRST)), []);
    }
}

#[test]
fn an_observer_gets_what_is_committed_and_then_every_commit() {
    let [a, b, c] = [1, 2, 3].map(|n| zxid(EPOCH, n));
    let mut master = master(&[a, b]);
    master.introduced(OBSERVER);
    let outputs = master.ack_epoch(OBSERVER, a);
    let expected = [
        (PacketType::Diff, b),
        (PacketType::Proposal, b),
        (PacketType::Commit, b),
        (PacketType::NewLeader, FIRST),
    ];
    assert_eq!(sent(&outputs, OBSERVER), expected);
    // The history is complete only with what follows.
    assert_eq!(sent(&master.commit(c), OBSERVER), [(PacketType::Inform, c)]);
    let outputs = master.hear(OBSERVER, bare(PacketType::Ack, FIRST));
    assert_eq!(sent(&outputs, OBSERVER), [(PacketType::UpToDate, Zxid(-1))]);
    let observers: Vec<_> = master.master.observers().collect();
    assert_eq!(observers, [(OBSERVER, ServerId(4), true)]);
}

#[test]
fn who_is_further_behind_than_the_memory_gets_it_from_the_log_or_a_snapshot() {
    let all: Vec<_> = (1..=9).map(|n| zxid(EPOCH, n)).collect();
    for log in [Some(all[1..8].iter().map(|z| txn(*z)).collect()), None] {
        let mut master = master(&all);
        let has_log = log.is_some();
        master.introduced(OBSERVER);
        let asked = Output::ReadLog {
            learner: OBSERVER,
            from: all[1],
            through: all[8],
        };
        assert_eq!(master.ack_epoch(OBSERVER, all[1]), [asked]);
        master.master.handle_log_read(OBSERVER, log, T);
        let outputs = master.drain();
        if has_log {
            let sent = sent(&outputs, OBSERVER);
            let proposals = sent.iter().filter(|(t, _)| *t == PacketType::Proposal);
            assert_eq!(proposals.map(|(_, z)| *z).collect::<Vec<_>>(), all[2..]);
        } else {
            let snapshot = Output::SendSnapshot {
                to: OBSERVER,
                zxid: all[8],
            };
            assert_eq!(outputs[0], snapshot);
            assert_eq!(sent(&outputs, OBSERVER), [(PacketType::NewLeader, FIRST)]);
            // One snapshot at a time.
            master.introduced(OTHER);
            master.ack_epoch(OTHER, all[1]);
            master.master.handle_log_read(OTHER, None, T);
            assert_eq!(*closed(&master.drain(), OTHER), LearnerLoss::Throttled);
        }
    }
}

#[test]
fn who_is_ahead_waits_and_loses_nothing() {
    let [a, b, c] = [1, 2, 3].map(|n| zxid(EPOCH, n));
    let mut master = master(&[a]);
    master.introduced(OBSERVER);
    assert_eq!(master.ack_epoch(OBSERVER, c), []);
    assert_eq!(master.commit(b), []);
    let expected = [(PacketType::Diff, c), (PacketType::NewLeader, FIRST)];
    assert_eq!(sent(&master.commit(c), OBSERVER), expected);

    master.introduced(OTHER);
    assert_eq!(master.ack_epoch(OTHER, zxid(EPOCH, 7)), []);
    master
        .master
        .handle_timeout(after(f64::from(TIMING.init_limit)));
    let outputs = master.drain();
    assert!(
        outputs.contains(&Output::Close {
            learner: OTHER,
            loss: LearnerLoss::Silent
        }),
        "{outputs:?}"
    );

    master.introduced(LearnerId(3));
    let outputs = master.ack_epoch(LearnerId(3), zxid(EPOCH + 1, 0));
    assert!(matches!(
        closed(&outputs, LearnerId(3)),
        LearnerLoss::Ahead { .. }
    ));
}

#[test]
fn a_history_that_was_never_committed_is_cut_off() {
    let mut master = master(&[zxid(1, 5), zxid(EPOCH, 1)]);
    master.introduced(OBSERVER);
    let outputs = master.ack_epoch(OBSERVER, zxid(1, 6));
    // Its end is of another epoch than what is next here, and a snapshot is what is left.
    assert!(matches!(outputs[0], Output::SendSnapshot { .. }));
}

#[test]
fn only_observers_of_no_newer_configuration_are_welcome() {
    let mut master = master(&[]);
    master.master.handle_learner_connected(OBSERVER, T);
    let outputs = master.hear(OBSERVER, info(PacketType::FollowerInfo, 3, 0));
    assert!(matches!(
        closed(&outputs, OBSERVER),
        LearnerLoss::Handler(_)
    ));
    master.master.handle_learner_connected(OTHER, T);
    let outputs = master.hear(OTHER, info(PacketType::ObserverInfo, 4, 9));
    assert_eq!(*closed(&outputs, OTHER), LearnerLoss::NewerConfig(9));
    let third = LearnerId(3);
    master.serving(third, FIRST);
    let outputs = master.hear(third, bare(PacketType::Ack, zxid(EPOCH, 1)));
    assert!(matches!(closed(&outputs, third), LearnerLoss::Handler(_)));
}

#[test]
fn who_comes_anew_replaces_its_older_connection() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    master.master.handle_learner_connected(OTHER, T);
    let outputs = master.hear(OTHER, info(PacketType::ObserverInfo, 4, 0));
    let replaced = Output::Close {
        learner: OBSERVER,
        loss: LearnerLoss::Replaced,
    };
    assert!(outputs.contains(&replaced), "{outputs:?}");
}

#[test]
fn requests_and_signs_of_life_are_handed_on() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    let outputs = master.hear(OBSERVER, request(OpCode::Create).packet());
    assert_eq!(outputs, [Output::Forward(request(OpCode::Create))]);
    let touch = Touch {
        session: SessionId(7),
        timeout_ms: 4000,
    };
    let table = encode_touch_table([touch].into_iter());
    let ping = QuorumPacket::with_data(PacketType::Ping, FIRST, table);
    assert_eq!(master.hear(OBSERVER, ping), [Output::Touched(vec![touch])]);
}

#[test]
fn answers_find_who_has_asked() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    master.serving(OTHER, FIRST);
    let sync = || request(OpCode::Sync).packet();
    master.hear(OBSERVER, sync());
    master.master.note_sync();
    master.hear(OTHER, sync());
    master.hear(OBSERVER, sync());
    assert_eq!(master.master.handle_synced(T), Asker::Observer(OBSERVER));
    let answer = send(OBSERVER, bare(PacketType::Sync, Zxid(0)));
    assert_eq!(master.drain(), [answer]);
    assert_eq!(master.master.handle_synced(T), Asker::Own);
    assert_eq!(master.drain(), []);
    // Whoever is gone is skipped, and the order stays.
    master.master.handle_learner_lost(OTHER);
    assert_eq!(master.master.handle_synced(T), Asker::Observer(OTHER));
    assert_eq!(master.drain(), []);
    assert_eq!(master.master.handle_synced(T), Asker::Observer(OBSERVER));
    assert_eq!(master.drain().len(), 1);

    let question = |session| Revalidate {
        session: SessionId(session),
        timeout_ms: 4000,
    };
    master.master.note_revalidation(SessionId(1));
    let outputs = master.hear(OBSERVER, question(2).packet());
    assert_eq!(outputs, [Output::Revalidate(question(2))]);
    let answer = |session| Revalidated {
        session: SessionId(session),
        is_valid: true,
    };
    let asker = master.master.handle_revalidated(answer(2));
    assert_eq!(asker, Asker::Observer(OBSERVER));
    assert_eq!(master.drain(), [send(OBSERVER, answer(2).packet())]);
    assert_eq!(master.master.handle_revalidated(answer(1)), Asker::Own);
    assert_eq!(master.drain(), []);
}

#[test]
fn a_sync_is_answered_behind_the_commits_before_it() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    master.hear(OBSERVER, request(OpCode::Sync).packet());
    let a = zxid(EPOCH, 1);
    // A reconfiguration is held until it takes effect; a sync is not answered before it.
    master.master.handle_committed(txn_of(&config(a.0)), T);
    assert_eq!(master.drain(), []);
    master.master.handle_synced(T);
    let expected = [(PacketType::Inform, a), (PacketType::Sync, Zxid(0))];
    assert_eq!(sent(&master.drain(), OBSERVER), expected);
}

#[test]
fn a_reconfiguration_is_told_with_the_leader_it_names() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    let a = zxid(EPOCH, 1);
    let payload = txn_of(&config(a.0)).payload;
    master.master.handle_committed(txn_of(&config(a.0)), T);
    master.master.handle_activated(config(a.0), ServerId(3), T);
    let outputs = master.drain();
    let [Output::Send { packet, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(packet.packet_type, PacketType::InformAndActivate);
    let (leader, informed) = decode_informed(packet.bytes()).unwrap();
    assert_eq!((leader, informed), (ServerId(3), payload));
    // The next observer begins with the new configuration.
    master.introduced(OTHER);
    let outputs = master.ack_epoch(OTHER, a);
    let Some(Output::Send { packet, .. }) = outputs.last() else {
        panic!("{outputs:?}");
    };
    assert_eq!(packet.bytes(), config(a.0).to_text().as_bytes());
}

#[test]
fn observers_are_pinged_and_the_silent_dropped() {
    let mut master = master(&[]);
    master.serving(OBSERVER, FIRST);
    assert_eq!(master.master.poll_timeout(), after(0.5));
    master.master.handle_timeout(after(0.5));
    assert_eq!(
        master.drain(),
        [send(OBSERVER, bare(PacketType::Ping, FIRST))]
    );
    master
        .master
        .handle_timeout(after(f64::from(TIMING.sync_limit)));
    assert_eq!(*closed(&master.drain(), OBSERVER), LearnerLoss::Silent);
}
