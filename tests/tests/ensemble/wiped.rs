//! An ensemble that has forgotten everything.

use std::time::Duration;

use zk_client::{CreateMode, Error, SessionState};
use zk_recipes::{Mutex, Why};
use zk_tests::Target;
use zk_tests::target::connect;
use zk_tests::wait::within;

use crate::peers::Peers;
use crate::say;

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_that_was_wiped_ends_client_and_guard_by_name() {
    let test = "an_ensemble_that_was_wiped_ends_client_and_guard_by_name";
    let Some(peers) = Peers::named(test).await else {
        return;
    };
    let target = Target::start().await;
    let builder = target.builder_through(&peers.hosts());
    let client = connect(builder.session_timeout(SESSION_TIMEOUT)).await;
    let guard = Mutex::new(&client, "/lock").acquire().await.unwrap();
    for _ in 0..50 {
        let created = client.create("/n-", b"", CreateMode::PersistentSequential);
        created.await.unwrap();
    }
    for peer in 0..peers.len() {
        peers.kill(peer).await;
    }
    for peer in 0..peers.len() {
        peers.restart_empty(peer).await;
    }
    let began = client.env().now();
    let mut states = client.state();
    let over = states.wait_for(|state| matches!(state, SessionState::Expired { .. }));
    within("the end", over).await.unwrap();
    let took = client.env().now().since(began);
    let error = client.exists("/lock", None).await.unwrap_err();
    let Error::EnsembleRegressed { seen, newest } = &error else {
        panic!("{error}");
    };
    assert!(newest < seen, "{error}");
    let why = within("the loss", guard.lost()).await;
    assert_eq!(why, Why::EpochEnded);
    say(&format!("wiped: told {took:?} after the restart: {error}"));
    peers.until_all_serve().await;
}
