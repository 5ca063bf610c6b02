//! What goes on without anybody polling: the reaper, the driver's end, compound
//! operations that outlast their circumstances.

use std::time::Duration;

use futures_util::future::join_all;
use zk_client::{Client, CreateMode, Error, GuaranteedDelete};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, within};
use zk_tests::{Proxy, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[test]
fn a_client_that_outlives_its_runtime_answers_every_call() {
    let serving = tokio::runtime::Runtime::new().unwrap();
    let target = serving.block_on(Target::start());
    let short_lived = tokio::runtime::Runtime::new().unwrap();
    let client: Client = short_lived.block_on(target.client());
    let waiting = client.exists("/", None);
    drop(short_lived);
    serving.block_on(async {
        let _ = within("the waiting call", waiting).await;
        let late = within("a later call", client.exists("/", None)).await;
        assert_eq!(late, Err(Error::Closed));
        let _ = within("the close", client.close()).await;
    });
}

#[tokio::test]
async fn a_protected_create_keeps_its_deadline() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.freeze(true);
    let hurried = client.with_deadline(Duration::from_millis(300));
    let created = within("an answer", hurried.create_protected("/n", b"", PERSISTENT)).await;
    assert!(
        matches!(created, Err(Error::DeadlineExceeded { .. })),
        "{created:?}"
    );
    proxy.freeze(false);
    until_connected(&client).await;
    eventually("no orphan", async || {
        client.guaranteed_deletes() == 0
            && client
                .get_children("/", None)
                .await
                .is_ok_and(|names| names.is_empty())
    })
    .await;
}

#[tokio::test]
async fn branches_are_made_and_deleted_through_a_queue_smaller_than_they_are() {
    let target = Target::start().await;
    let client = connect(target.builder().max_in_flight(2).queue_limits(3, 100_000)).await;
    let path = "/a/b/c/d/e/f/g/h";
    client.create_all(path, b"", PERSISTENT).await.unwrap();
    let other = target.client().await;
    let leaves = (0..50).map(|n| other.create(&format!("{path}/{n}"), b"", PERSISTENT));
    for leaf in join_all(leaves.collect::<Vec<_>>()).await {
        leaf.unwrap();
    }
    client.delete_all("/a").await.unwrap();
    assert_eq!(client.exists("/a", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_guaranteed_delete_that_cannot_succeed_is_given_up() {
    let target = Target::start().await;
    let client = target.client().await;
    client.guaranteed_delete(GuaranteedDelete::path("no-slash"));
    eventually("no delete left", async || client.guaranteed_deletes() == 0).await;
    client.exists("/", None).await.unwrap();
}

#[tokio::test]
async fn a_call_made_after_an_expiry_belongs_to_the_session_to_come() {
    let target = Target::start().await;
    let client = target.client().await;
    let epoch = client.epoch();
    target.expire(&client).await;
    eventually("another epoch", async || client.epoch() != epoch).await;
    let next = client.epoch();
    until_connected(&client).await;
    assert_eq!(client.epoch(), next);
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    // Bound to the live session, so it is carried out.
    client.guaranteed_delete(GuaranteedDelete::path("/mine").within(next));
    eventually("the delete", async || {
        client.exists("/mine", None).await.unwrap().is_none()
    })
    .await;
}
