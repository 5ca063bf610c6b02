//! A leader that leaves clients to the others.

use std::time::Duration;

use zk_client::{Client, ConnectError, CreateMode};
use zk_env::TokioEnv;
use zk_server::four_letter_word;

use crate::trio::Trio;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_served_by_followers_alone() {
    let trio = Trio::start(&[("leaderServes", "no")]).await;
    trio.wait_until_all_serve().await;
    let leader = trio.peer(trio.leader());
    let refused = Client::builder(&leader.connect_string())
        .connect_deadline(Duration::from_millis(500))
        .connect();
    let error = refused.await.expect_err("not here");
    assert!(matches!(error, ConnectError::NoServer { .. }), "{error:?}");

    let env = TokioEnv::new();
    let limit = Duration::from_secs(1);
    let answer = four_letter_word(&*env, leader.client_addr(), "srvr", limit).await;
    let answer = answer.expect("an answer");
    assert!(answer.contains("not currently serving"), "{answer}");

    let client = Client::connect(&trio.connect_string()).await;
    let client = client.expect("a session");
    let create = client.create("/a", b"", CreateMode::Ephemeral);
    create.await.expect("created");
    trio.wait_until_equal().await;
    client.close().await.expect("closed");
}
