//! What members of an ensemble answer.
#![cfg(feature = "admin")]

use std::sync::Arc;

use serde_json::{Value, json};
use zk_env::Mono;

use super::command::run;
use crate::config::{EnsembleConfig, ServerConfig};
use crate::four_letter::NOT_SERVING;
use crate::net::Shell;
use crate::observe::TransactionObserver;
use crate::quorum::{LearnerType, LearnerView, PeerState, QuorumView, ServerId, ZabState};

const CONFIG: &str = "initLimit=50\nsyncLimit=25\n\
     server.1=127.0.0.1:34311:50891:participant;127.0.0.1:54671\n\
     server.2=127.0.0.1:45981:54301:participant;127.0.0.1:36385\n\
     server.4=127.0.0.1:37899:48395:observer;127.0.0.1:47581";

/// Member `id`, which looks for a leader.
fn member(id: i64) -> Shell {
    let env = zk_sim::Sim::new(1).host("member").env();
    let config = ServerConfig::embedded().build().unwrap();
    let shell = Shell::new(config, env, TransactionObserver::default(), 1, None);
    let ensemble = EnsembleConfig::parse(CONFIG, id).unwrap();
    shell.lock().quorum = Some(QuorumView::new(Arc::new(ensemble)));
    shell
}

/// One that serves, under server 2.
fn serving(id: i64, state: PeerState) -> Shell {
    let shell = member(id);
    {
        let mut serving = shell.lock();
        let view = serving.quorum.as_mut().unwrap();
        view.enter(state, Some(ServerId(2)), Mono::ZERO);
        view.zab_state = ZabState::Broadcast;
        view.is_serving = true;
    }
    shell
}

async fn command(shell: &Shell, name: &str) -> Value {
    serde_json::from_slice(&run(name, "", shell).await).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_serves_nobody_says_so() {
    let shell = member(1);
    for name in ["stat", "leader", "mntr", "ruok", "conf", "watches"] {
        let answer = command(&shell, name).await;
        assert_eq!(answer["error"], NOT_SERVING, "{name}");
        assert_eq!(answer.as_object().unwrap().len(), 2, "{name}");
    }
    assert_eq!(command(&shell, "gtmk").await["tracemask"], 306);
    assert_eq!(command(&shell, "env").await["error"], Value::Null);
    assert_eq!(
        command(&shell, "zabstate").await,
        json!({"voting": false, "zabstate": "", "command": "zabstate", "error": null})
    );
}

#[tokio::test(start_paused = true)]
async fn everybody_knows_the_leader_and_the_voters() {
    for (id, state, is_leader) in [
        (1, PeerState::Following, false),
        (2, PeerState::Leading, true),
        (4, PeerState::Observing, false),
    ] {
        let shell = serving(id, state);
        assert_eq!(
            command(&shell, "leader").await,
            json!({
                "is_leader": is_leader, "leader_id": 2, "leader_ip": "127.0.0.1",
                "command": "leader", "error": null,
            })
        );
        let voting = command(&shell, "voting_view").await;
        assert_eq!(
            voting["current_config"],
            json!({
                "1": {
                    "server_addresses": ["127.0.0.1:34311"],
                    "election_addresses": ["127.0.0.1:50891"],
                    "client_address": "127.0.0.1:54671",
                    "learner_type": "participant",
                },
                "2": {
                    "server_addresses": ["127.0.0.1:45981"],
                    "election_addresses": ["127.0.0.1:54301"],
                    "client_address": "127.0.0.1:36385",
                    "learner_type": "participant",
                },
            })
        );
        let stats = command(&shell, "srvr").await;
        let mode = shell.lock().quorum.as_ref().unwrap().mode();
        assert_eq!(stats["server_stats"]["server_state"], mode);
        assert_eq!(stats.get("proposal_stats").is_some(), is_leader);
        assert_eq!(command(&shell, "conf").await["server_id"], id);
        assert_eq!(command(&shell, "monitor").await["quorum_size"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn zabstate_is_a_members_own() {
    let address = |port: u16| {
        json!({
            "empty": false, "all_addresses": [format!("127.0.0.1:{port}")],
            "all_ports": [port], "all_host_strings": ["127.0.0.1"],
        })
    };
    assert_eq!(
        command(&serving(4, PeerState::Observing), "zabstate").await,
        json!({
            "myid": 4, "is_leader": false,
            "quorum_address": address(37899), "election_address": address(48395),
            "client_address": "127.0.0.1:47581", "voting": false,
            "last_zxid": "0x0", "zab_epoch": 0, "zab_counter": 0, "zabstate": "broadcast",
            "command": "zabstate", "error": null,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_shows_its_observers() {
    let shell = serving(2, PeerState::Leading);
    let learner = |id, learner_type| LearnerView {
        id: ServerId(id),
        learner_type,
        is_synced: true,
        addr: ([127, 0, 0, 1], 51460).into(),
        established_ms: 5,
    };
    {
        let mut serving = shell.lock();
        let view = serving.quorum.as_mut().unwrap();
        view.proposed(88);
        view.leading.as_mut().unwrap().learners = vec![
            learner(1, LearnerType::Participant),
            learner(4, LearnerType::Observer),
        ];
    }
    let observers = command(&shell, "observers").await;
    assert_eq!(observers["synced_observers"], 1);
    assert_eq!(
        observers["observers"],
        json!([{
            "remote_socket_address": "/127.0.0.1:51460", "sid": 4, "established": 5,
        }])
    );
    let sizes = json!({"last_buffer_size": 88, "min_buffer_size": 88, "max_buffer_size": 88});
    assert_eq!(command(&shell, "srvr").await["proposal_stats"], sizes);

    let follower = command(&serving(1, PeerState::Following), "observers").await;
    assert_eq!(follower["observers"], json!([]));
}
