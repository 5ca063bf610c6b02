//! What members of an ensemble answer, each in its role, beside what Apache 3.9.5's do.

use std::sync::Arc;

use zk_env::Mono;
use zk_proto::{SessionId, Zxid};

use super::{NOT_SERVING, Word, answer};
use crate::config::{EnsembleConfig, ServerConfig};
use crate::net::Shell;
use crate::observe::TransactionObserver;
use crate::quorum::{LearnerType, LearnerView, PeerState, QuorumView, ServerId, ZabState};
use crate::storage::{DirSizes, Recovered};
use crate::tree::{DataTree, SeededState};
use crate::zookeeper_server::{ConnId, ZooKeeperServer};

const CONFIG: &str = "initLimit=50\nsyncLimit=25\n\
     server.1=127.0.0.1:34311:50891:participant;127.0.0.1:54671\n\
     server.2=127.0.0.1:45981:54301:participant;127.0.0.1:36385\n\
     server.3=127.0.0.1:40247:36675:participant;127.0.0.1:48835\n\
     server.4=127.0.0.1:37899:48395:observer;127.0.0.1:47581";

/// A member that looks for a leader.
struct Member {
    shell: Shell,
}

impl Member {
    fn new(id: i64) -> Self {
        let env = zk_sim::Sim::new(1).host("member").env();
        let config = ServerConfig::embedded().build().unwrap();
        let shell = Shell::new(config, env, TransactionObserver::default(), 1, None);
        let ensemble = EnsembleConfig::parse(CONFIG, id).unwrap();
        shell.lock().quorum = Some(QuorumView::new(Arc::new(ensemble)));
        Self { shell }
    }

    /// One that serves in this role, with server 3 as the leader.
    fn serving(id: i64, state: PeerState) -> Self {
        let member = Self::new(id);
        member.with(|view| {
            view.enter(state, Some(ServerId(3)), Mono::ZERO);
            view.zab_state = ZabState::Broadcast;
            view.is_serving = true;
        });
        member
    }

    fn with(&self, change: impl FnOnce(&mut QuorumView)) {
        change(self.shell.lock().quorum.as_mut().unwrap());
    }

    fn word(&self, word: Word) -> String {
        answer(word, ConnId(0), DirSizes::default(), &self.shell)
    }
}

fn learner(id: i64, learner_type: LearnerType) -> LearnerView {
    LearnerView {
        id: ServerId(id),
        learner_type,
        is_synced: true,
        addr: ([127, 0, 0, 1], 1).into(),
        established_ms: 0,
    }
}

fn leader() -> Member {
    let member = Member::serving(3, PeerState::Leading);
    member.with(|view| {
        view.leading.as_mut().unwrap().learners = vec![
            learner(1, LearnerType::Participant),
            learner(2, LearnerType::Participant),
            learner(4, LearnerType::Observer),
        ];
    });
    member
}

#[tokio::test(start_paused = true)]
async fn who_looks_for_a_leader_says_that_it_does_not_serve() {
    let member = Member::new(1);
    for word in [
        Word::Conf,
        Word::Cons,
        Word::Crst,
        Word::Dirs,
        Word::Dump,
        Word::Hash,
        Word::Mntr,
        Word::Srst,
        Word::Srvr,
        Word::Stat,
        Word::Wchc,
        Word::Wchp,
        Word::Wchs,
    ] {
        assert_eq!(member.word(word), format!("{NOT_SERVING}\n"), "{word:?}");
    }
    assert_eq!(member.word(Word::Ruok), "imok");
    assert_eq!(member.word(Word::Isro), "null");
    assert_eq!(member.word(Word::Gtmk), "306");
    assert!(member.word(Word::Envi).starts_with("Environment:\n"));
}

#[tokio::test(start_paused = true)]
async fn the_mode_is_the_role() {
    for (id, state, mode) in [
        (1, PeerState::Following, "follower"),
        (4, PeerState::Observing, "observer"),
    ] {
        let member = Member::serving(id, state);
        assert_eq!(member.word(Word::Isro), "rw");
        for word in [Word::Srvr, Word::Stat] {
            let text = member.word(word);
            let end = format!("Zxid: 0x0\nMode: {mode}\nNode count: 5\n");
            assert!(text.ends_with(&end), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_tells_the_sizes_of_its_proposals() {
    let member = leader();
    let sizes = |member: &Member| {
        let text = member.word(Word::Srvr);
        assert!(text.contains("\nMode: leader\nNode count: 5\n"), "{text}");
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(sizes(&member), "Proposal sizes last/min/max: -1/-1/-1");
    member.with(|view| {
        [48, 100, 88]
            .into_iter()
            .for_each(|bytes| view.proposed(bytes))
    });
    assert_eq!(sizes(&member), "Proposal sizes last/min/max: 88/48/100");
    member.word(Word::Srst);
    assert_eq!(sizes(&member), "Proposal sizes last/min/max: -1/-1/-1");
}

/// Whether `mntr` has this line.
fn has(text: &str, key: &str, value: &str) -> bool {
    text.contains(&format!("\nzk_{key}\t{value}\n"))
}

#[tokio::test(start_paused = true)]
async fn mntr_has_what_belongs_to_the_role() {
    let of_a_leader = [
        ("peer_state", "leading - broadcast"),
        ("server_state", "leader"),
        ("learners", "3"),
        ("synced_followers", "2"),
        ("synced_non_voting_followers", "0"),
        ("synced_observers", "1"),
        ("pending_syncs", "0"),
        ("leader_uptime", "0"),
        ("last_proposal_size", "88"),
        ("max_proposal_size", "88"),
        ("min_proposal_size", "88"),
        ("proposal_count", "1"),
    ];
    let leader = leader();
    leader.with(|view| view.proposed(88));
    let text = leader.word(Word::Mntr);
    for (key, value) in of_a_leader {
        assert!(has(&text, key, value), "{key}: {text}");
    }
    assert!(has(&text, "quorum_size", "3") && has(&text, "looking_count", "1"));

    let follower = Member::serving(1, PeerState::Following).word(Word::Mntr);
    assert!(has(&follower, "server_state", "follower"), "{follower}");
    assert!(has(&follower, "peer_state", "following - broadcast"));
    assert!(has(&follower, "quorum_size", "3"));
    // A master's observers, none as a rule, are the one of these that a follower tells.
    assert!(has(&follower, "synced_observers", "0"), "{follower}");
    let of_a_leader_alone = of_a_leader[2..].iter();
    for (key, _) in of_a_leader_alone.filter(|(key, _)| *key != "synced_observers") {
        assert!(!follower.contains(&format!("zk_{key}\t")), "{key}");
    }
    assert!(!follower.contains("observer_master_id"));

    let master = Member::serving(1, PeerState::Following);
    master.with(|view| {
        let unsynced = LearnerView {
            is_synced: false,
            ..learner(5, LearnerType::Observer)
        };
        view.observers = vec![learner(4, LearnerType::Observer), unsynced];
    });
    assert!(has(&master.word(Word::Mntr), "synced_observers", "1"));

    let observer = Member::serving(4, PeerState::Observing);
    observer.with(|view| view.learner_master = Some(ServerId(2)));
    let observer = observer.word(Word::Mntr);
    assert!(has(&observer, "peer_state", "observing - broadcast"));
    assert!(has(&observer, "observer_master_id", "2"), "{observer}");
}

#[tokio::test(start_paused = true)]
async fn conf_ends_with_the_ensemble() {
    for (id, ports, peer_type) in [(1, (50891, 34311), 0), (4, (48395, 37899), 1)] {
        let text = Member::serving(id, PeerState::Following).word(Word::Conf);
        let (election, quorum) = ports;
        let members = CONFIG.split_once("25\n").unwrap().1;
        let end = format!(
            "\nserverId={id}\ninitLimit=50\nsyncLimit=25\nelectionAlg=3\nelectionPort={election}\n\
             quorumPort={quorum}\npeerType={peer_type}\nmembership: \n{members}\nversion=0\n"
        );
        assert!(text.ends_with(&end), "{text}");
    }
}

/// Two sessions, of which the second times out first.
fn with_sessions(member: &Member) {
    let sessions = [(SessionId(0x20), 30_000), (SessionId(0x10), 40_000)];
    let recovered = Recovered {
        tree: DataTree::new(SeededState(1)),
        sessions: sessions.into(),
        last_zxid: Zxid(7),
        committed: [].into(),
        replayed: 0,
        digest_mismatch: None,
    };
    let zks = ZooKeeperServer::new(&member.shell.config, Mono::ZERO, 0, 1);
    member.shell.lock().zks = zks.recovered(recovered, Mono::ZERO);
}

#[tokio::test(start_paused = true)]
async fn dump_shows_when_sessions_expire_on_a_leader_alone() {
    let leader = leader();
    with_sessions(&leader);
    let text = leader.word(Word::Dump);
    let begin = "SessionTracker dump:\nSession Sets (2)/(2):\n1 expire at ";
    assert!(text.starts_with(begin), "{text}");

    let follower = Member::serving(2, PeerState::Following);
    with_sessions(&follower);
    assert_eq!(
        follower.word(Word::Dump),
        "SessionTracker dump:\nGlobal Sessions(2):\n0x10\t40000ms\n0x20\t30000ms\n\
         ephemeral nodes dump:\nSessions with Ephemerals (0):\n\
         Connections dump:\nConnections Sets (0)/(0):\n"
    );
}
