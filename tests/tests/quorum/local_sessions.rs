//! Sessions that only one member knows.

use zk_client::{Client, CreateMode, Error};
use zk_proto::ErrorCode;

use crate::trio::{Trio, eventually};

async fn connect(trio: &Trio, id: i64) -> Client {
    let hosts = trio.peer(id).connect_string();
    Client::connect(&hosts).await.expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_costs_a_transaction_with_its_first_ephemeral() {
    let more = [
        ("localSessionsEnabled", "true"),
        ("localSessionsUpgradingEnabled", "true"),
    ];
    let trio = Trio::start(&more).await;
    trio.wait_until_all_serve().await;
    for id in 1..=3 {
        let client = connect(&trio, id).await;
        let before = trio.peer(trio.leader()).tree_digest();
        let other = connect(&trio, id).await;
        other.sync("/").await.expect("synced");
        let path = format!("/plain{id}");
        let create = other.create(&path, b"", CreateMode::Persistent);
        create.await.expect("created");
        trio.wait_until_equal().await;
        let (zxid, _) = trio.peer(id).tree_digest();
        assert_eq!(zxid.0, before.0.0 + 1, "of the create");

        let path = format!("/e{id}");
        let create = client.create(&path, b"", CreateMode::Ephemeral);
        create.await.expect("created");
        trio.wait_until_equal().await;
        let (zxid, _) = trio.peer(id).tree_digest();
        assert_eq!(zxid.0, before.0.0 + 3, "and of the session");
        let elsewhere = connect(&trio, id % 3 + 1).await;
        assert!(elsewhere.exists(&path, None).await.expect("read").is_some());
        client.close().await.expect("closed");
        eventually(async || {
            elsewhere
                .exists(&path, None)
                .await
                .is_ok_and(|e| e.is_none())
        })
        .await;
        let _ = elsewhere.close().await;
        let _ = other.close().await;
    }
    trio.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_session_outlives_its_server() {
    let more = [
        ("localSessionsEnabled", "true"),
        ("localSessionsUpgradingEnabled", "true"),
    ];
    let trio = Trio::start(&more).await;
    trio.wait_until_all_serve().await;
    let leader = trio.leader();
    let first = leader % 3 + 1;
    let hosts = [first, leader].map(|id| trio.peer(id).connect_string());
    let client = Client::builder(&hosts.join(",")).shuffle(false).connect();
    let client = client.await.expect("a session");
    let create = client.create("/e", b"", CreateMode::Ephemeral);
    create.await.expect("created");
    let session = client.session_id();
    trio.peer(first).kill();
    eventually(async || client.exists("/e", None).await.is_ok_and(|e| e.is_some())).await;
    assert_eq!(client.session_id(), session);
    let _ = client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_upgrading_there_are_no_ephemerals() {
    let trio = Trio::start(&[("localSessionsEnabled", "true")]).await;
    trio.wait_until_all_serve().await;
    for id in 1..=3 {
        let client = connect(&trio, id).await;
        let create = client.create("/e", b"", CreateMode::Ephemeral).await;
        let Err(Error::Server { code, .. }) = create else {
            panic!("{create:?}");
        };
        assert_eq!(code, ErrorCode::EphemeralOnLocalSession);
        let _ = client.close().await;
    }
}
