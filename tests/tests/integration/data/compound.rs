//! Operations made of several requests.

use futures_util::future::join_all;
use zk_client::{CreateMode, ErrorCode, GuaranteedDelete};
use zk_tests::target::repetitions;
use zk_tests::wait::within;
use zk_tests::{Cut, Proxy, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn create_all_makes_the_parents_that_are_missing() {
    let target = Target::start().await;
    let client = target.client().await;
    assert_eq!(
        client
            .create_all("/a/b/c", b"leaf", PERSISTENT)
            .await
            .unwrap(),
        "/a/b/c"
    );
    assert_eq!(
        &client.get_data("/a/b/c", None).await.unwrap().0[..],
        b"leaf"
    );
    assert!(client.get_data("/a/b", None).await.unwrap().0.is_empty());
    let path = client
        .create_all("/a/x/n-", b"", CreateMode::EphemeralSequential)
        .await
        .unwrap();
    assert!(path.starts_with("/a/x/n-0"), "{path}");
    assert!(
        !client
            .exists("/a/x", None)
            .await
            .unwrap()
            .unwrap()
            .is_ephemeral()
    );
    let error = client
        .create_all("/a/b/c", b"", PERSISTENT)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NodeExists));
}

#[tokio::test]
async fn create_all_does_not_mind_others_making_the_same_parents() {
    let target = Target::start().await;
    let client = target.client().await;
    let paths: Vec<String> = (0..20).map(|n| format!("/a/b/c/{n}")).collect();
    let created = paths
        .iter()
        .map(|path| client.create_all(path, b"", PERSISTENT));
    for result in within("every create", join_all(created)).await {
        result.unwrap();
    }
    assert_eq!(client.get_children("/a/b/c", None).await.unwrap().len(), 20);
}

#[tokio::test]
async fn delete_all_takes_a_large_subtree() {
    let target = Target::start().await;
    let client = target.client().await;
    let (parents, children) = (repetitions(40, 5), 50);
    client.create("/top", b"", PERSISTENT).await.unwrap();
    let paths = (0..parents).flat_map(|parent| {
        let parent = format!("/top/{parent}");
        let below = (0..children)
            .map(|child| format!("{parent}/{child}"))
            .collect::<Vec<_>>();
        std::iter::once(parent).chain(below)
    });
    for path in paths {
        // Not awaited: order is enough.
        drop(client.create(&path, b"", PERSISTENT));
        client.ready().await.unwrap();
    }
    client.create("/topmost", b"", PERSISTENT).await.unwrap();
    within("the deletion", client.delete_all("/top"))
        .await
        .unwrap();
    assert_eq!(client.get_children("/", None).await.unwrap(), ["topmost"]);
    // What is missing is as deleted as can be.
    client.delete_all("/top").await.unwrap();
}

#[tokio::test]
async fn delete_all_tolerates_others_at_work_on_the_same_subtree() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    for n in 0..100 {
        client
            .create_all(&format!("/top/{}/{n}", n % 7), b"", PERSISTENT)
            .await
            .unwrap();
    }
    let deletions = [client.delete_all("/top"), other.delete_all("/top")];
    let creations = (0..30).map(|n| {
        let other = other.clone();
        async move {
            other
                .create(&format!("/top/{}/late{n}", n % 7), b"", PERSISTENT)
                .await
        }
    });
    let (deleted, _) = within("the deletions", async {
        tokio::join!(join_all(deletions), join_all(creations))
    })
    .await;
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    assert_eq!(client.exists("/top", None).await.unwrap(), None);
}

#[tokio::test]
async fn a_guaranteed_delete_is_done_in_the_end_whatever_happens_to_the_connection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    client.create("/a", b"", PERSISTENT).await.unwrap();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    zk_tests::wait::until_not_connected(&client).await;
    client.guaranteed_delete(GuaranteedDelete::path("/a"));
    proxy.refuse(false);
    zk_tests::wait::eventually("the deletion", async || {
        observer.exists("/a", None).await.unwrap().is_none()
    })
    .await;
    // What is gone already needs no deletion.
    client.guaranteed_delete(GuaranteedDelete::path("/a"));
    client.get_data("/", None).await.unwrap();
}
