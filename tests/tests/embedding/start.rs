//! Ensembles of every size and kind, and what a client sees on each of their peers.

use std::time::Duration;

use zk_server::{ConfigError, Ensemble, EnsembleBuilder, PeerState, ServerError, Transport};

use crate::stage::{client_of, create, ensemble, start, synced, until_converged};

/// Whoever one writes through, all others have it.
async fn every_peer_writes_and_all_others_read(ensemble: &Ensemble) {
    let mut clients = Vec::new();
    for id in ensemble.peer_ids() {
        clients.push(client_of(ensemble, id).await);
    }
    for (at, writer) in clients.iter().enumerate() {
        let (path, data) = (format!("/{at}"), format!("written by {at}"));
        create(writer, &path, data.as_bytes()).await;
        for reader in &clients {
            assert_eq!(synced(reader, &path).await.unwrap(), data.as_bytes());
        }
    }
    until_converged(ensemble).await;
}

fn roles(ensemble: &Ensemble, role: PeerState) -> usize {
    let ids = ensemble.peer_ids();
    let has_role = |id: &&i64| {
        let status = ensemble.peer(**id).status();
        status.is_serving && status.state == role
    };
    ids.iter().filter(has_role).count()
}

async fn starts_and_serves(builder: EnsembleBuilder, voters: usize, observers: usize) {
    let ensemble = start(builder.voters(voters).observers(observers)).await;
    assert_eq!(roles(&ensemble, PeerState::Leading), 1);
    assert_eq!(roles(&ensemble, PeerState::Following), voters - 1);
    assert_eq!(roles(&ensemble, PeerState::Observing), observers);
    let leader = ensemble.leader().unwrap();
    for id in ensemble.peer_ids() {
        assert_eq!(ensemble.peer(id).status().leader, Some(leader));
    }
    every_peer_writes_and_all_others_read(&ensemble).await;
    ensemble.stop_all().await;
    assert_eq!(ensemble.leader(), None);
}

#[tokio::test]
async fn one_voter_is_an_ensemble() {
    starts_and_serves(Ensemble::builder(), 1, 0).await;
}

#[tokio::test]
async fn three_voters_serve_when_start_returns() {
    starts_and_serves(Ensemble::builder(), 3, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_voters_serve_when_start_returns() {
    starts_and_serves(Ensemble::builder(), 5, 0).await;
}

#[tokio::test]
async fn observers_serve_when_start_returns() {
    starts_and_serves(Ensemble::builder(), 3, 2).await;
}

#[tokio::test]
async fn peers_reach_one_another_by_tcp_as_well() {
    starts_and_serves(Ensemble::builder().transport(Transport::Tcp), 3, 1).await;
}

#[tokio::test]
async fn peers_on_disk_serve_when_start_returns() {
    starts_and_serves(Ensemble::builder().temporary_dir(), 3, 0).await;
}

/// Both have the same addresses among their peers, and never meet.
#[tokio::test]
async fn two_ensembles_live_side_by_side() {
    let (one, two) = tokio::join!(ensemble(3), ensemble(3));
    create(&client_of(&one, 1).await, "/one", b"").await;
    create(&client_of(&two, 1).await, "/two", b"").await;
    for (ensemble, there, absent) in [(&one, "/one", "/two"), (&two, "/two", "/one")] {
        let client = client_of(ensemble, 3).await;
        synced(&client, there).await.unwrap();
        synced(&client, absent).await.unwrap_err();
    }
}

#[tokio::test]
async fn what_was_waited_for_in_vain_is_told_with_what_each_peer_says() {
    let started = Ensemble::builder().patience(Duration::ZERO).start().await;
    let error = started.unwrap_err();
    assert!(matches!(error, ServerError::Unsettled { .. }), "{error:?}");
    let message = error.to_string();
    for part in [
        "not every peer serves after 0ns: ",
        "peer 1 is looking, does not serve, epoch 0; ",
        "peer 3 ",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn what_makes_no_ensemble_is_refused() {
    let refused = [
        Ensemble::builder().voters(0),
        Ensemble::builder().voters(usize::MAX).observers(1),
        Ensemble::builder().observers(252),
        Ensemble::builder().groups(&[&[1, 2], &[2, 3]]),
        Ensemble::builder().tick(Duration::ZERO),
        Ensemble::builder().limits(0, 5),
    ];
    for builder in refused {
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, ServerError::Config(_)), "{error}");
    }
    let none = Ensemble::start(0).await.unwrap_err();
    assert!(matches!(
        none,
        ServerError::Config(ConfigError::Value { .. })
    ));
}
