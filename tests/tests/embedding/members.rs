//! Who counts: observers, groups, weights, and peers that come later.

use zk_client::Reconfig;
use zk_server::{Ensemble, PeerState, ServerConfig};
use zk_tests::wait::within;

use crate::stage::{client, client_of, create, ensemble, start, synced, until_converged, write};

#[tokio::test]
async fn observers_make_no_quorum() {
    let ensemble = start(Ensemble::builder().voters(3).observers(2)).await;
    let client = client_of(&ensemble, 4).await;
    create(&client, "/data", b"").await;
    client.update_hosts(&ensemble.connect_string()).unwrap();
    ensemble.kill_leader().await.unwrap();
    write(&client, "/data", b"two voters").await;
    let second = ensemble.kill_leader().await.unwrap();
    let nobody = ensemble.wait_until("three of five serve", |peers| {
        peers.len() == 3 && peers.iter().all(|peer| !peer.is_serving)
    });
    nobody.await.unwrap();
    ensemble.restart(second).await.unwrap();
    let leader = ensemble.wait_for_leader().await.unwrap();
    assert!(leader <= 3, "an observer leads");
    write(&client, "/data", b"two again").await;
}

/// In one group with weights 5, 1, 1: the first alone is most of it, the others are not.
#[tokio::test]
async fn weights_decide_what_a_quorum_is() {
    let builder = Ensemble::builder().groups(&[&[1, 2, 3]]).weight(1, 5);
    let ensemble = start(builder).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    ensemble.kill(2);
    ensemble.kill(3);
    assert_eq!(ensemble.wait_for_leader().await.unwrap(), 1);
    write(&client, "/data", b"alone").await;
    ensemble.restart(2).await.unwrap();
    ensemble.restart(3).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    ensemble.kill(1);
    let nobody = ensemble.wait_until("two light ones serve", |peers| {
        peers.len() == 2 && peers.iter().all(|peer| !peer.is_serving)
    });
    nobody.await.unwrap();
}

/// Most of most groups: two of the three groups are enough, although of each of them one
/// peer is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_decide_what_a_quorum_is() {
    let groups: &[&[i64]] = &[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]];
    let ensemble = start(Ensemble::builder().voters(9).groups(groups)).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    for id in [1, 4, 7, 8, 9] {
        ensemble.kill(id);
    }
    let leader = ensemble.wait_for_leader().await.unwrap();
    assert!([2, 3, 5, 6].contains(&leader), "{leader}");
    write(&client, "/data", b"four of nine").await;
}

#[tokio::test]
async fn a_peer_that_comes_later_follows_without_a_vote() {
    let mut ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"before").await;
    let id = ensemble.add_peer().await.unwrap();
    assert_eq!(id, 4);
    assert_eq!(ensemble.peer_ids(), [1, 2, 3, 4]);
    assert_eq!(ensemble.peer(id).status().state, PeerState::Following);
    let line = ensemble.server_line(id);
    let port = ensemble.peer(id).client_addr().port();
    assert_eq!(
        line,
        format!("server.4=127.0.0.4:2888:3888:participant;127.0.0.1:{port}")
    );
    let newcomer = client_of(&ensemble, id).await;
    assert_eq!(synced(&newcomer, "/data").await.unwrap(), b"before");
    write(&newcomer, "/data", b"through it").await;
    until_converged(&ensemble).await;
}

#[tokio::test]
#[should_panic(expected = "there is no peer 7, there are [1, 2, 3]")]
async fn a_peer_that_is_not_there_cannot_be_cut_off() {
    let ensemble = ensemble(3).await;
    ensemble.partition(&[1], &[7]);
}

/// Three become five: then three of five are enough, most of them new ones, and two are not.
#[tokio::test]
async fn peers_that_join_by_reconfig_have_a_vote() {
    let config = ServerConfig::embedded().reconfig(true).skip_acl(true);
    let builder = Ensemble::builder().config(config.build().unwrap());
    let mut ensemble = start(builder).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    let mut joining = Vec::new();
    for _ in 0..2 {
        let id = ensemble.add_peer().await.unwrap();
        joining.push(ensemble.server_line(id));
    }
    let grow = Reconfig::Incremental {
        joining,
        leaving: Vec::new(),
    };
    within("a reconfig", client.reconfig(&grow, None))
        .await
        .unwrap();
    client.update_hosts(&ensemble.connect_string()).unwrap();
    ensemble.kill(1);
    ensemble.kill(2);
    ensemble.wait_for_leader_among(&[3, 4, 5]).await.unwrap();
    write(&client, "/data", b"three of five").await;
    ensemble.kill(3);
    let nobody = ensemble.wait_until("two of five serve", |peers| {
        peers.len() == 2 && peers.iter().all(|peer| !peer.is_serving)
    });
    nobody.await.unwrap();
}
