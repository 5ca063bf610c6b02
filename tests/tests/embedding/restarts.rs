//! Peers, and whole ensembles, that come back with what they had.

use zk_client::{Client, CreateMode};
use zk_server::{Ensemble, EnsembleBuilder};
use zk_tests::wait::until_connected;

use crate::stage::{client, create, start, synced, until_converged, write};

async fn an_outage_of_all_loses_nothing(builder: EnsembleBuilder) {
    let ensemble = start(builder).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"before").await;
    let mine = client.create("/mine", b"", CreateMode::Ephemeral);
    mine.await.unwrap();
    let (session, hosts) = (client.session_id(), ensemble.connect_string());
    let epoch = ensemble.peer(1).status().epoch;
    ensemble.restart_all().await.unwrap();
    comes_back(&ensemble, &client).await;
    for id in ensemble.peer_ids() {
        ensemble.kill(id);
    }
    ensemble.restart_all().await.unwrap();
    comes_back(&ensemble, &client).await;
    assert_eq!(client.session_id(), session);
    assert_eq!(ensemble.connect_string(), hosts);
    assert!(ensemble.peer(1).status().epoch >= epoch + 2);
}

async fn comes_back(ensemble: &Ensemble, client: &Client) {
    until_connected(client).await;
    assert_eq!(synced(client, "/data").await.unwrap(), b"before");
    synced(client, "/mine").await.unwrap();
    until_converged(ensemble).await;
}

#[tokio::test]
async fn an_outage_of_all_loses_nothing_in_memory() {
    an_outage_of_all_loses_nothing(Ensemble::builder()).await;
}

#[tokio::test]
async fn an_outage_of_all_loses_nothing_on_disk() {
    an_outage_of_all_loses_nothing(Ensemble::builder().temporary_dir()).await;
}

/// A second ensemble goes on with the directories of the first, after a graceful end.
#[tokio::test]
async fn a_later_ensemble_goes_on_with_the_directories() {
    let dir = tempfile::tempdir().unwrap();
    let builder = Ensemble::builder().data_dir(dir.path());
    let first = start(builder.clone()).await;
    create(&client(&first).await, "/data", b"kept").await;
    let epoch = first.peer(1).status().epoch;
    first.stop_all().await;
    drop(first);
    let second = start(builder).await;
    let again = client(&second).await;
    assert_eq!(synced(&again, "/data").await.unwrap(), b"kept");
    assert!(second.peer(1).status().epoch > epoch);
    write(&again, "/data", b"changed").await;
    until_converged(&second).await;
    second.stop_all().await;
}

/// Each peer in turn, while somebody writes.
#[tokio::test]
async fn a_rolling_restart_goes_unnoticed_by_a_session() {
    let ensemble = start(Ensemble::builder()).await;
    let client = client(&ensemble).await;
    create(&client, "/data", b"").await;
    let session = client.session_id();
    for id in ensemble.peer_ids() {
        ensemble.restart(id).await.unwrap();
        write(&client, "/data", format!("{id}").as_bytes()).await;
        ensemble.wait_until_serving().await.unwrap();
    }
    assert_eq!(client.session_id(), session);
    until_converged(&ensemble).await;
}
