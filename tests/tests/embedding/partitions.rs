//! Peers that do not hear one another.

use std::time::Duration;

use zk_client::{Client, CreateMode, Outcome};
use zk_server::{Cut, Ensemble, PeerState, Transport};
use zk_tests::wait::within;

use crate::stage::{
    client_of, create, ensemble, follower, others, start, synced, until_converged, until_looking,
    write,
};

/// The leader is on the lesser side. What it is asked for there is not done, the other side
/// goes on, and afterwards all have the history of the latter.
async fn the_majority_goes_on_without_the_leader(ensemble: Ensemble, cut: Cut) {
    let old = ensemble.leader().unwrap();
    let majority = others(&ensemble, old);
    let (lost, kept) = (
        client_of(&ensemble, old).await,
        client_of(&ensemble, majority[0]).await,
    );
    create(&kept, "/data", b"before").await;
    synced(&lost, "/data").await.unwrap();
    ensemble.partition_with(cut, &[old], &majority);
    let in_vain = lost.create("/in-vain", b"", CreateMode::Persistent);
    let new = ensemble.wait_for_leader_among(&majority).await.unwrap();
    assert_ne!(new, old);
    write(&kept, "/data", b"meanwhile").await;
    // It gives up by itself, and its clients are told that they are not served.
    until_looking(&ensemble, old).await;
    let refused = within("an answer", in_vain).await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Unknown, "{refused}");
    let hopeless = Client::builder(&ensemble.peer(old).connect_string())
        .connect_deadline(Duration::from_millis(300))
        .connect();
    hopeless.await.unwrap_err();

    ensemble.heal();
    ensemble.wait_until_serving().await.unwrap();
    assert_eq!(synced(&kept, "/data").await.unwrap(), b"meanwhile");
    assert_eq!(synced(&lost, "/data").await.unwrap(), b"meanwhile");
    until_converged(&ensemble).await;
    synced(&lost, "/in-vain").await.unwrap_err();
}

#[tokio::test]
async fn the_majority_goes_on_without_a_leader_that_is_silent() {
    the_majority_goes_on_without_the_leader(ensemble(3).await, Cut::Silence).await;
}

#[tokio::test]
async fn the_majority_goes_on_without_a_leader_whose_connections_are_reset() {
    the_majority_goes_on_without_the_leader(ensemble(5).await, Cut::Reset).await;
}

#[tokio::test]
async fn partitions_are_of_tcp_connections_as_well() {
    let ensemble = start(Ensemble::builder().transport(Transport::Tcp)).await;
    the_majority_goes_on_without_the_leader(ensemble, Cut::Silence).await;
}

#[tokio::test]
async fn a_follower_that_was_cut_off_catches_up() {
    let ensemble = ensemble(3).await;
    let leader = ensemble.leader().unwrap();
    let apart = follower(&ensemble);
    let client = client_of(&ensemble, leader).await;
    ensemble.isolate(apart);
    for job in 0..100 {
        create(&client, &format!("/{job}"), b"").await;
    }
    until_looking(&ensemble, apart).await;
    assert_eq!(ensemble.leader(), Some(leader));
    ensemble.heal();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
    let client = client_of(&ensemble, apart).await;
    synced(&client, "/99").await.unwrap();
}

/// The leader hears its followers and they do not hear it: they elect another, and it hears
/// of that.
#[tokio::test]
async fn a_leader_that_is_not_heard_is_replaced() {
    let ensemble = ensemble(3).await;
    let mute = ensemble.leader().unwrap();
    let rest = others(&ensemble, mute);
    ensemble.partition_one_way(&[mute], &rest);
    ensemble.wait_for_leader_among(&rest).await.unwrap();
    until_looking(&ensemble, mute).await;
    ensemble.heal();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}

/// Two of five see the leader no more, two others do: it stays.
#[tokio::test]
async fn a_leader_with_a_quorum_stays() {
    let ensemble = ensemble(5).await;
    let leader = ensemble.leader().unwrap();
    let rest = others(&ensemble, leader);
    let (lost, with_leader) = rest.split_at(2);
    let mut side = with_leader.to_vec();
    side.push(leader);
    ensemble.partition(lost, &side);
    for id in lost {
        until_looking(&ensemble, *id).await;
    }
    let client = client_of(&ensemble, with_leader[0]).await;
    create(&client, "/data", b"").await;
    assert_eq!(ensemble.leader(), Some(leader));
    assert_eq!(ensemble.peer(leader).status().state, PeerState::Leading);
    ensemble.heal();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}
