//! Observers that learn from followers in place of the leader.

use zk_client::{Client, CreateMode, Reconfig};
use zk_env::{Env as _, TokioEnv};
use zk_server::{Ensemble, EnsembleBuilder, PeerState, ServerConfig};
use zk_tests::wait::{eventually, until_connected, within};

use crate::stage::{
    client, client_of, create, follower, others, start, synced, until_converged, write,
};

fn builder() -> EnsembleBuilder {
    Ensemble::builder()
        .voters(3)
        .observers(2)
        .observer_masters()
}

const OBSERVERS: [i64; 2] = [4, 5];

fn master_of(ensemble: &Ensemble, observer: i64) -> Option<i64> {
    let status = ensemble.peer(observer).status();
    status.learner_master.filter(|_| status.is_serving)
}

/// From a follower, whichever it is.
fn observes_a_follower(ensemble: &Ensemble, observer: i64) -> bool {
    let master = master_of(ensemble, observer).map(|id| ensemble.peer(id).status());
    master.is_some_and(|master| master.state == PeerState::Following)
}

#[tokio::test]
async fn observers_learn_from_followers_and_their_clients_notice_nothing() {
    let ensemble = start(builder()).await;
    for observer in OBSERVERS {
        assert!(observes_a_follower(&ensemble, observer), "{ensemble:?}");
    }
    let leader = ensemble.wait_for_leader().await.unwrap();
    let near = client_of(&ensemble, leader).await;
    let far = client_of(&ensemble, 4).await;
    create(&far, "/data", b"0").await;
    for n in 1..20_u8 {
        let (writer, reader) = if n % 2 == 0 {
            (&near, &far)
        } else {
            (&far, &near)
        };
        write(writer, "/data", &[n]).await;
        assert_eq!(synced(reader, "/data").await.unwrap(), [n]);
    }
    // The ephemeral goes when the session does, which the leader decides by what comes
    // through the master.
    let mine = far.create("/mine", b"", CreateMode::Ephemeral);
    within("an ephemeral", mine).await.unwrap();
    far.close().await.unwrap();
    assert!(synced(&near, "/mine").await.is_err());
    until_converged(&ensemble).await;
}

/// The session of a client that says nothing for longer than its timeout, but for pings that
/// end at the observer.
#[tokio::test]
async fn sessions_are_kept_alive_through_a_master() {
    let ensemble = start(builder()).await;
    let hosts = ensemble.peer(5).connect_string();
    let timeout = std::time::Duration::from_millis(500);
    let builder = Client::builder(&hosts).session_timeout(timeout);
    let idle = within("a session", builder.connect()).await.unwrap();
    let session = idle.session_id();
    let mine = idle.create("/mine", b"", CreateMode::Ephemeral);
    within("an ephemeral", mine).await.unwrap();
    let watcher = client(&ensemble).await;
    let clock = TokioEnv::new();
    let (at, mut n) = (clock.now(), 0_u8);
    create(&watcher, "/clock", b"").await;
    eventually("three timeouts pass", async || {
        n = n.wrapping_add(1);
        write(&watcher, "/clock", &[n]).await;
        clock.now().since(at) > 3 * timeout
    })
    .await;
    assert_eq!(synced(&watcher, "/mine").await.unwrap(), b"");
    assert_eq!(idle.session_id(), session);
    // Without its client it ends.
    ensemble.peer(5).pause();
    eventually("its session ends", async || {
        synced(&watcher, "/mine").await.is_err()
    })
    .await;
    ensemble.peer(5).resume();
}

#[tokio::test]
async fn an_observer_turns_to_another_master_when_its_own_dies() {
    let ensemble = start(builder()).await;
    let far = client_of(&ensemble, 4).await;
    create(&far, "/data", b"before").await;
    let mine = far.create("/mine", b"", CreateMode::Ephemeral);
    within("an ephemeral", mine).await.unwrap();
    let session = far.session_id();
    let first = master_of(&ensemble, 4).expect("a master");
    ensemble.kill(first);
    eventually("another master", async || {
        observes_a_follower(&ensemble, 4) && master_of(&ensemble, 4) != Some(first)
    })
    .await;
    until_connected(&far).await;
    write(&far, "/data", b"after").await;
    assert_eq!(far.session_id(), session);
    synced(&far, "/mine").await.unwrap();
    ensemble.restart(first).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}

#[tokio::test]
async fn observers_follow_into_the_epoch_of_the_next_leader() {
    let ensemble = start(builder()).await;
    let far = client_of(&ensemble, 5).await;
    create(&far, "/data", b"before").await;
    let dead = ensemble.kill_leader().await.unwrap();
    write(&far, "/data", b"after").await;
    eventually("both observe the last follower", async || {
        OBSERVERS
            .iter()
            .all(|id| observes_a_follower(&ensemble, *id))
    })
    .await;
    ensemble.restart(dead).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}

/// More than a follower keeps in memory: from its log, and a snapshot where it has none.
#[tokio::test]
async fn who_was_away_for_long_catches_up_from_a_master() {
    let ensemble = start(builder()).await;
    let near = client_of(&ensemble, 1).await;
    create(&near, "/data", b"").await;
    ensemble.kill(4);
    for n in 0..700_u32 {
        write(&near, "/data", &n.to_be_bytes()).await;
    }
    ensemble.restart(4).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    assert!(observes_a_follower(&ensemble, 4));
    until_converged(&ensemble).await;
}

/// A session that moves from one observer to another, from there to their master and back.
#[tokio::test]
async fn sessions_move_below_a_master() {
    let ensemble = start(builder()).await;
    let client = client_of(&ensemble, 4).await;
    let session = client.session_id();
    create(&client, "/data", b"").await;
    let master = master_of(&ensemble, 4).expect("a master");
    for (n, id) in (0_u8..).zip([5, master, 4, master, 5]) {
        client
            .update_hosts(&ensemble.peer(id).connect_string())
            .unwrap();
        for other in others(&ensemble, id) {
            ensemble.peer(other).drop_connection(session);
        }
        until_connected(&client).await;
        write(&client, "/data", &[n]).await;
        assert_eq!(synced(&client, "/data").await.unwrap(), [n]);
    }
    assert_eq!(client.session_id(), session);
}

#[tokio::test]
async fn a_leader_without_followers_serves_observers_itself() {
    let builder = Ensemble::builder()
        .voters(1)
        .observers(1)
        .observer_masters();
    let ensemble = start(builder).await;
    let far = client_of(&ensemble, 2).await;
    create(&far, "/data", b"").await;
    assert_eq!(master_of(&ensemble, 2), Some(1));
}

/// An observer hears of the new configuration through its master, and gets its vote.
#[tokio::test]
async fn an_observer_becomes_a_voter_through_its_master() {
    let config = ServerConfig::embedded().reconfig(true).skip_acl(true);
    let ensemble = start(builder().config(config.build().unwrap())).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    assert!(observes_a_follower(&ensemble, 4) && observes_a_follower(&ensemble, 5));
    let promoted = |id| {
        ensemble
            .server_line(id)
            .replace(":observer;", ":participant;")
    };
    let grow = Reconfig::Incremental {
        joining: vec![promoted(4), promoted(5)],
        leaving: Vec::new(),
    };
    within("a reconfig", client.reconfig(&grow, None))
        .await
        .unwrap();
    eventually("all of them follow", async || {
        OBSERVERS.iter().all(|id| {
            let status = ensemble.peer(*id).status();
            status.state == PeerState::Following && status.is_serving
        })
    })
    .await;
    // Three of five, two of which have observed.
    let gone = follower(&ensemble);
    ensemble.kill(gone);
    ensemble.kill_leader().await.unwrap();
    ensemble.wait_for_leader().await.unwrap();
    write(&client, "/data", b"three of five").await;
}
