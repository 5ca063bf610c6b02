//! The leader ends, and the ensemble and its clients go on.

use zk_client::{CreateMode, Outcome, Watcher};
use zk_server::Ensemble;
use zk_tests::wait::{next_event, until_connected, within};

use crate::stage::{client, client_of, create, ensemble, follower, until_converged, write};

#[tokio::test]
async fn session_ephemeral_and_watch_outlive_every_leader() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    let mine = client.create("/mine", b"", CreateMode::Ephemeral);
    mine.await.unwrap();
    let (session, epoch) = (client.session_id(), client.epoch());
    for round in 0..4 {
        let changes = Watcher::new();
        client.get_data("/data", &changes).await.unwrap();
        let killed = ensemble.kill_leader().await.unwrap();
        let leader = ensemble.wait_for_leader().await.unwrap();
        assert_ne!(leader, killed);
        write(&client, "/data", format!("round {round}").as_bytes()).await;
        let changed = next_event(&changes).await;
        assert_eq!(changed.path, "/data", "{changed:?}");
        assert_eq!((client.session_id(), client.epoch()), (session, epoch));
        let (_, stat) = client.get_data("/mine", None).await.unwrap();
        assert_eq!(stat.ephemeral_owner, session);
        ensemble.restart(killed).await.unwrap();
        ensemble.wait_until_serving().await.unwrap();
    }
    until_converged(&ensemble).await;
}

/// Two hundred creates are under way when the leader goes. What was acknowledged is there
/// afterwards, what was "not applied" is not.
async fn nothing_acknowledged_is_lost(ensemble: Ensemble) {
    let client = client(&ensemble).await;
    create(&client, "/jobs", b"").await;
    for round in 0..3 {
        let creates: Vec<_> = (0..200)
            .map(|job| {
                let path = format!("/jobs/{round}-{job}");
                let reply = client.create(&path, b"", CreateMode::Persistent);
                (path, reply)
            })
            .collect();
        let mut killed = None;
        let mut outcomes = Vec::new();
        for (at, (path, reply)) in creates.into_iter().enumerate() {
            if at == 50 {
                killed = Some(ensemble.kill_leader().await.unwrap());
            }
            let outcome = match within("an answer", reply).await {
                Ok(_) => Outcome::Applied,
                Err(error) => error.outcome(),
            };
            outcomes.push((path, outcome));
        }
        ensemble.restart(killed.unwrap()).await.unwrap();
        ensemble.wait_until_serving().await.unwrap();
        until_connected(&client).await;
        client.sync("/jobs").await.unwrap();
        let there = client.get_children("/jobs", None).await.unwrap();
        for (path, outcome) in outcomes {
            let name = path.trim_start_matches("/jobs/");
            let is_there = there.iter().any(|child| child == name);
            match outcome {
                Outcome::Applied => assert!(is_there, "{path} was acknowledged"),
                Outcome::NotApplied => assert!(!is_there, "{path} was not applied"),
                Outcome::Unknown => {}
            }
        }
        until_converged(&ensemble).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_the_leader_in_memory() {
    nothing_acknowledged_is_lost(ensemble(3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_the_leader_on_disk() {
    let builder = Ensemble::builder().temporary_dir();
    nothing_acknowledged_is_lost(crate::stage::start(builder).await).await;
}

#[tokio::test]
async fn a_client_of_a_follower_that_ends_goes_on_elsewhere() {
    let ensemble = ensemble(3).await;
    let gone = follower(&ensemble);
    let leader = ensemble.leader().unwrap();
    let client = client_of(&ensemble, gone).await;
    create(&client, "/data", b"").await;
    client.update_hosts(&ensemble.connect_string()).unwrap();
    let session = client.session_id();
    ensemble.stop(gone).await;
    write(&client, "/data", b"elsewhere").await;
    assert_eq!(client.session_id(), session);
    assert_eq!(ensemble.leader(), Some(leader), "it has a quorum still");
}

#[tokio::test]
async fn without_a_quorum_nobody_serves_until_there_is_one_again() {
    let ensemble = ensemble(3).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    let first = ensemble.kill_leader().await.unwrap();
    let second = ensemble.kill_leader().await.unwrap();
    let nobody = ensemble.wait_until("somebody serves", |peers| {
        peers.len() == 1 && !peers[0].is_serving
    });
    nobody.await.unwrap();
    ensemble.restart(first).await.unwrap();
    ensemble.wait_for_leader().await.unwrap();
    write(&client, "/data", b"again").await;
    ensemble.restart(second).await.unwrap();
    ensemble.wait_until_serving().await.unwrap();
    until_converged(&ensemble).await;
}
