//! Peers that stand still, links that are slow, sessions that are ended.

use std::time::Duration;

use zk_client::{CreateMode, SessionState};
use zk_tests::wait::{until_state, within};

use crate::stage::{
    client, client_of, create, ensemble, follower, others, synced, until_converged, write,
};

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_follows_once_it_is_thawed() {
    let ensemble = ensemble(3).await;
    let frozen = ensemble.leader().unwrap();
    let rest = others(&ensemble, frozen);
    let client = client_of(&ensemble, rest[0]).await;
    create(&client, "/data", b"").await;
    ensemble.freeze(frozen);
    let leader = ensemble.wait_for_leader_among(&rest).await.unwrap();
    write(&client, "/data", b"meanwhile").await;
    let before = ensemble.peer(frozen).tree_digest();
    assert_ne!(before, ensemble.peer(leader).tree_digest());
    ensemble.thaw(frozen);
    ensemble
        .wait_until("the thawed leader does not follow", |peers| {
            let mut peers = peers.iter();
            peers.any(|peer| peer.id == frozen && peer.leader == Some(leader) && peer.is_serving)
        })
        .await
        .unwrap();
    until_converged(&ensemble).await;
}

#[tokio::test]
async fn a_frozen_follower_does_nothing_and_catches_up_once_it_is_thawed() {
    let ensemble = ensemble(3).await;
    let frozen = follower(&ensemble);
    let client = client_of(&ensemble, ensemble.leader().unwrap()).await;
    ensemble.freeze(frozen);
    let before = ensemble.peer(frozen).tree_digest();
    for job in 0..20 {
        create(&client, &format!("/{job}"), b"").await;
    }
    assert_eq!(ensemble.peer(frozen).tree_digest(), before);
    ensemble.thaw(frozen);
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}

#[tokio::test]
async fn a_frozen_peer_can_be_killed_and_stopped_and_comes_back() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    for is_killed in [true, false] {
        let frozen = ensemble.wait_for_leader().await.unwrap();
        ensemble.freeze(frozen);
        if is_killed {
            ensemble.kill(frozen);
        }
        within("a restart", ensemble.restart(frozen)).await.unwrap();
        ensemble.wait_until_serving().await.unwrap();
        write(&client, "/data", b"again").await;
    }
    until_converged(&ensemble).await;
}

/// A write takes a round trip between the leader and a follower.
#[tokio::test]
async fn slow_links_slow_writes_down_and_not_reads() {
    let delay = Duration::from_millis(60);
    let ensemble = ensemble(3).await;
    let leader = ensemble.leader().unwrap();
    let client = client_of(&ensemble, leader).await;
    create(&client, "/data", b"").await;
    let rest = others(&ensemble, leader);
    ensemble.delay(&[leader], &rest, delay);
    let env = client.env();
    let began = env.now();
    write(&client, "/data", b"late").await;
    let took = env.now().since(began);
    assert!(took >= 2 * delay, "{took:?}");
    ensemble.delay(&[leader], &rest, Duration::ZERO);
    until_converged(&ensemble).await;
    assert_eq!(ensemble.leader(), Some(leader));
    let elsewhere = client_of(&ensemble, rest[0]).await;
    assert_eq!(synced(&elsewhere, "/data").await.unwrap(), b"late");
}

#[tokio::test]
async fn a_session_is_ended_wherever_it_is_connected() {
    let ensemble = ensemble(3).await;
    for id in ensemble.peer_ids() {
        let client = client_of(&ensemble, id).await;
        let (session, epoch) = (client.session_id(), client.epoch());
        let path = format!("/of-{id}");
        let created = client.create(&path, b"", CreateMode::Ephemeral);
        created.await.unwrap();
        assert!(ensemble.expire_session(session));
        let is_new = |state: &SessionState| state.is_connected() && client.epoch() != epoch;
        until_state(&client, is_new).await;
        assert_ne!(client.session_id(), session);
        synced(&client, &path).await.unwrap_err();
        assert!(!ensemble.expire_session(session), "it is over");
    }
}
