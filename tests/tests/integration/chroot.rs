//! Clients confined to a subtree.

use zk_client::{
    AddWatchMode, Client, CreateMode, Error, ErrorCode, EventType, OpResult, ReadResult, Watcher,
};
use zk_tests::target::connect;
use zk_tests::wait::next_event;
use zk_tests::{Feature, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

/// A client that sees the server's own paths.
async fn outside(target: &Target) -> Client {
    connect(Client::builder(target.host())).await
}

#[tokio::test]
async fn paths_given_and_shown_are_relative_to_the_chroot() {
    let target = Target::start().await;
    let (client, outside) = (target.client().await, outside(&target).await);
    let root = target.root();
    assert_eq!(client.create("/a", b"in", PERSISTENT).await.unwrap(), "/a");
    let (data, _) = outside.get_data(&format!("{root}/a"), None).await.unwrap();
    assert_eq!(&data[..], b"in");
    assert_eq!(client.create2("/b", b"", PERSISTENT).await.unwrap().0, "/b");
    assert_eq!(
        client.create_all("/c/d", b"", PERSISTENT).await.unwrap(),
        "/c/d"
    );
    let error = client.get_data("/x", None).await.unwrap_err();
    assert_eq!(
        error,
        Error::Server {
            code: ErrorCode::NoNode,
            path: "/x".into()
        }
    );
    // The chroot itself is "/".
    client.set_data("/", b"root", None).await.unwrap();
    assert_eq!(&outside.get_data(root, None).await.unwrap().0[..], b"root");
    let mut children = client.get_children("/", None).await.unwrap();
    children.sort();
    assert_eq!(children, ["a", "b", "c"]);
}

#[tokio::test]
async fn sequential_names_in_the_chroot_itself_are_relative_too() {
    let target = Target::start().await;
    let client = target.client().await;
    let path = client
        .create("/", b"", CreateMode::PersistentSequential)
        .await
        .unwrap();
    assert_eq!(path, "/0000000000");
    client.delete(&path, None).await.unwrap();
}

#[tokio::test]
async fn events_are_relative_and_those_from_elsewhere_are_not_heard() {
    let target = Target::start().await;
    let (client, outside) = (target.client().await, outside(&target).await);
    let (inside, chroot) = (Watcher::new(), Watcher::new());
    client.exists("/a", &inside).await.unwrap();
    client.get_data("/", &chroot).await.unwrap();
    outside
        .create(&format!("{}/a", target.root()), b"", PERSISTENT)
        .await
        .unwrap();
    outside.set_data(target.root(), b"x", None).await.unwrap();
    let event = next_event(&inside).await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeCreated, "/a")
    );
    let event = next_event(&chroot).await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeDataChanged, "/")
    );
}

#[tokio::test]
async fn a_chroot_ends_at_a_whole_component() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let client = target.client().await;
    client.create("/app", b"", PERSISTENT).await.unwrap();
    client.create("/apple", b"", PERSISTENT).await.unwrap();
    let app = client.chroot("/app").unwrap();
    let watcher = Watcher::new();
    app.add_watch("/", AddWatchMode::PersistentRecursive, &watcher)
        .await
        .unwrap();
    client.set_data("/apple", b"x", None).await.unwrap();
    client.create("/apple/a", b"", PERSISTENT).await.unwrap();
    client.create("/app/a", b"", PERSISTENT).await.unwrap();
    let event = next_event(&watcher).await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeCreated, "/a")
    );
    assert_eq!(watcher.try_next(), None);
}

#[tokio::test]
async fn transactions_are_relative_in_both_directions() {
    let target = Target::start().await;
    let client = target.client().await;
    let transaction = client
        .transaction()
        .create("/a", b"1", PERSISTENT)
        .check("/a", 0)
        .create("/n-", b"", CreateMode::PersistentSequential);
    let results = transaction.commit().await.unwrap();
    let [OpResult::Create(a), OpResult::Check, OpResult::Create(n)] = &results[..] else {
        panic!("{results:?}");
    };
    assert_eq!(a, "/a");
    assert!(n.starts_with("/n-"), "{n}");
    let error = client
        .transaction()
        .delete("/x", None)
        .commit()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("(/x)"), "{error}");
    let reads = client.multi_read().get_data("/a").send().await.unwrap();
    assert!(matches!(&reads[..], [ReadResult::Data(..)]), "{reads:?}");
}

#[tokio::test]
async fn ephemerals_are_listed_relative_and_only_those_within() {
    let target = Target::start().await;
    if !target.has(Feature::ReadExtensions) {
        return;
    }
    let client = target.client().await;
    client.create("/sub", b"", PERSISTENT).await.unwrap();
    let sub = client.chroot("/sub").unwrap();
    client
        .create("/outer", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    sub.create("/inner", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    assert_eq!(sub.get_ephemerals("/").await.unwrap(), ["/inner"]);
    let mut all = client.get_ephemerals("/").await.unwrap();
    all.sort();
    assert_eq!(all, ["/outer", "/sub/inner"]);
}

#[tokio::test]
async fn a_sub_chroot_shares_the_session() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/sub", b"", PERSISTENT).await.unwrap();
    let sub = client.chroot("/sub").unwrap();
    assert_eq!(sub.session_id(), client.session_id());
    sub.create("/a", b"", CreateMode::Ephemeral).await.unwrap();
    let stat = client.exists("/sub/a", None).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id());
    let deeper = sub.chroot("/a").unwrap();
    assert_eq!(deeper.exists("/", None).await.unwrap(), Some(stat));
    // One watch on the server, two views of it.
    let (near, far) = (Watcher::new(), Watcher::new());
    client.get_data("/sub/a", &far).await.unwrap();
    deeper.get_data("/", &near).await.unwrap();
    client.set_data("/sub/a", b"x", None).await.unwrap();
    assert_eq!(next_event(&far).await.path, "/sub/a");
    assert_eq!(next_event(&near).await.path, "/");
    // "/" confines no further.
    assert!(
        client
            .chroot("/")
            .unwrap()
            .exists("/sub", None)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_chroot_that_is_missing_shows_as_missing() {
    let target = Target::start().await;
    let client = connect(Client::builder(&(target.connect_string() + "/not/there"))).await;
    assert_eq!(client.exists("/", None).await.unwrap(), None);
    let error = client.create("/a", b"", PERSISTENT).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoNode));
}

#[tokio::test]
async fn a_bad_chroot_is_refused() {
    let target = Target::start().await;
    let client = target.client().await;
    for bad in ["", "sub", "/sub/", "//", "/./a"] {
        let error = client.chroot(bad).unwrap_err();
        assert!(matches!(error, Error::InvalidPath(_)), "{bad:?}: {error:?}");
    }
}

#[tokio::test]
async fn the_configuration_is_where_it_always_is() {
    let target = Target::start().await;
    let (client, outside) = (target.client().await, outside(&target).await);
    let (within, _) = client.get_config(None).await.unwrap();
    let (without, _) = outside.get_data("/zookeeper/config", None).await.unwrap();
    assert_eq!(within, without);
}
