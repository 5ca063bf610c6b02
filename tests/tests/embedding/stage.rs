//! What the tests here share: clients of an ensemble, and that its peers agree.

use std::time::Duration;

use zk_client::{Client, CreateMode, Error, RetryPolicy};
use zk_server::{Ensemble, EnsembleBuilder, PeerState};
use zk_tests::target::SESSION_TIMEOUT;
use zk_tests::wait::{PATIENCE, eventually, ready_within, within};

/// An ensemble of so many voters.
pub(crate) async fn ensemble(voters: usize) -> Ensemble {
    start(Ensemble::builder().voters(voters)).await
}

pub(crate) async fn start(builder: EnsembleBuilder) -> Ensemble {
    within("an ensemble", builder.start()).await.unwrap()
}

/// A client of the whole ensemble.
pub(crate) async fn client(ensemble: &Ensemble) -> Client {
    connect(&ensemble.connect_string()).await
}

/// A client of one peer alone.
pub(crate) async fn client_of(ensemble: &Ensemble, id: i64) -> Client {
    connect(&ensemble.peer(id).connect_string()).await
}

pub(crate) async fn connect(hosts: &str) -> Client {
    let builder = Client::builder(hosts)
        .session_timeout(SESSION_TIMEOUT)
        .reconnect_backoff(Duration::from_millis(5), Duration::from_millis(100));
    within("a session", builder.connect()).await.unwrap()
}

/// Writes until it is acknowledged.
pub(crate) async fn write(client: &Client, path: &str, data: &[u8]) {
    let patient = client.retrying(RetryPolicy::new(u32::MAX).for_idempotent());
    let written = patient.run(|client| client.set_data(path, data, None));
    within("a write", written).await.unwrap();
}

pub(crate) async fn create(client: &Client, path: &str, data: &[u8]) {
    let created = client.create(path, data, CreateMode::Persistent);
    within("a create", created).await.unwrap();
}

/// What the client's server has after all that was committed before.
pub(crate) async fn synced(client: &Client, path: &str) -> Result<Vec<u8>, Error> {
    let read = client.read_linearizable(path);
    Ok(within("a read", read).await?.0.to_vec())
}

/// Waits until all peers have the same tree, at the same transaction.
pub(crate) async fn until_converged(ensemble: &Ensemble) {
    // A leader counts its epoch's beginning, followers its first transaction: here is one.
    client(ensemble).await.close().await.unwrap();
    let ids = ensemble.peer_ids();
    let trees = || ids.iter().map(|id| ensemble.peer(*id).tree_digest());
    let is_same = async || trees().all(|tree| Some(tree) == trees().next());
    let converged = eventually("all peers have the same tree", is_same);
    if ready_within(PATIENCE / 2, converged).await.is_none() {
        let trees: Vec<_> = ids.iter().zip(trees()).collect();
        panic!("the peers' trees stay different: {trees:?}; {ensemble:?}");
    }
}

/// A peer that follows.
pub(crate) fn follower(ensemble: &Ensemble) -> i64 {
    let ids = ensemble.peer_ids();
    let follows = |id: &i64| ensemble.peer(*id).status().state == PeerState::Following;
    ids.into_iter().find(follows).expect("somebody follows")
}

/// All peers but this one.
pub(crate) fn others(ensemble: &Ensemble, id: i64) -> Vec<i64> {
    let mut ids = ensemble.peer_ids();
    ids.retain(|other| *other != id);
    ids
}

/// Waits until the peer has given its role up.
pub(crate) async fn until_looking(ensemble: &Ensemble, id: i64) {
    let looks = ensemble.wait_until("it does not look for a leader", |peers| {
        let mut peers = peers.iter();
        peers.any(|peer| peer.id == id && peer.state == PeerState::Looking && !peer.is_serving)
    });
    looks.await.unwrap();
}
