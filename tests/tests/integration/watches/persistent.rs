//! Watches that stay.

use zk_client::{AddWatchMode, Client, CreateMode, EventType, KeeperState, Watcher, WatcherType};
use zk_tests::wait::{eventually, next_event, until_connected};
use zk_tests::{Cut, Feature, Proxy, Target};

/// Every event of the watcher, after a fence that the events precede.
async fn heard(client: &Client, watcher: &Watcher) -> Vec<(EventType, String)> {
    client.sync("/").await.unwrap();
    let events = std::iter::from_fn(|| watcher.try_next());
    events.map(|event| (event.event_type, event.path)).collect()
}

fn list(expected: &[(EventType, &str)]) -> Vec<(EventType, String)> {
    expected
        .iter()
        .map(|(kind, path)| (*kind, (*path).to_owned()))
        .collect()
}

/// Creates, changes and deletes around `/p`.
async fn stir(client: &Client) {
    for path in ["/p", "/p/c", "/p/c/g", "/q"] {
        client
            .create(path, b"", CreateMode::Persistent)
            .await
            .unwrap();
        client.set_data(path, b"x", None).await.unwrap();
    }
    for path in ["/q", "/p/c/g", "/p/c", "/p"] {
        client.delete(path, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_persistent_watch_hears_of_the_znode_and_its_children_again_and_again() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let client = target.client().await;
    let watcher = Watcher::new();
    client
        .add_watch("/p", AddWatchMode::Persistent, &watcher)
        .await
        .unwrap();
    let expected = list(&[
        (EventType::NodeCreated, "/p"),
        (EventType::NodeDataChanged, "/p"),
        (EventType::NodeChildrenChanged, "/p"),
        (EventType::NodeChildrenChanged, "/p"),
        (EventType::NodeDeleted, "/p"),
    ]);
    for _ in 0..2 {
        stir(&client).await;
        assert_eq!(heard(&client, &watcher).await, expected);
    }
}

#[tokio::test]
async fn a_recursive_watch_hears_of_the_subtree_but_not_of_lists_of_children() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let client = target.client().await;
    let watcher = Watcher::new();
    client
        .add_watch("/p", AddWatchMode::PersistentRecursive, &watcher)
        .await
        .unwrap();
    stir(&client).await;
    let expected = list(&[
        (EventType::NodeCreated, "/p"),
        (EventType::NodeDataChanged, "/p"),
        (EventType::NodeCreated, "/p/c"),
        (EventType::NodeDataChanged, "/p/c"),
        (EventType::NodeCreated, "/p/c/g"),
        (EventType::NodeDataChanged, "/p/c/g"),
        (EventType::NodeDeleted, "/p/c/g"),
        (EventType::NodeDeleted, "/p/c"),
        (EventType::NodeDeleted, "/p"),
    ]);
    assert_eq!(heard(&client, &watcher).await, expected);
}

#[tokio::test]
async fn a_recursive_watcher_does_not_hear_what_another_watch_made_the_server_send() {
    let target = Target::start().await;
    if !target.has(Feature::SeparateWatchModes) {
        return;
    }
    let client = target.client().await;
    client
        .create("/p", b"", CreateMode::Persistent)
        .await
        .unwrap();
    let (recursive, child) = (Watcher::new(), Watcher::new());
    client
        .add_watch("/p", AddWatchMode::PersistentRecursive, &recursive)
        .await
        .unwrap();
    client.get_children("/p", &child).await.unwrap();
    client
        .create("/p/c", b"", CreateMode::Persistent)
        .await
        .unwrap();
    let created = list(&[(EventType::NodeCreated, "/p/c")]);
    assert_eq!(heard(&client, &recursive).await, created);
    let changed = list(&[(EventType::NodeChildrenChanged, "/p")]);
    assert_eq!(heard(&client, &child).await, changed);
}

#[tokio::test]
async fn watches_of_several_kinds_on_one_path_keep_apart() {
    let target = Target::start().await;
    if !target.has(Feature::SeparateWatchModes) {
        return;
    }
    let client = target.client().await;
    let (once, always, below) = (Watcher::new(), Watcher::new(), Watcher::new());
    client
        .add_watch("/", AddWatchMode::Persistent, &always)
        .await
        .unwrap();
    client
        .add_watch("/", AddWatchMode::PersistentRecursive, &below)
        .await
        .unwrap();
    client.get_data("/", &once).await.unwrap();
    let changed = list(&[(EventType::NodeDataChanged, "/")]);
    client.set_data("/", b"1", None).await.unwrap();
    for watcher in [&once, &always, &below] {
        assert_eq!(heard(&client, watcher).await, changed);
    }
    client
        .remove_watches("/", WatcherType::Persistent)
        .await
        .unwrap();
    let removed = list(&[(EventType::PersistentWatchRemoved, "/")]);
    assert_eq!(heard(&client, &always).await, removed);
    client.set_data("/", b"2", None).await.unwrap();
    assert_eq!(heard(&client, &below).await, changed);
    assert_eq!(heard(&client, &once).await, []);
    assert_eq!(heard(&client, &always).await, []);
}

#[tokio::test]
async fn removing_every_kind_of_watch_ends_a_persistent_one() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let client = target.client().await;
    let watcher = Watcher::new();
    client
        .add_watch("/", AddWatchMode::Persistent, &watcher)
        .await
        .unwrap();
    client.remove_watches("/", WatcherType::Any).await.unwrap();
    let removed = list(&[(EventType::PersistentWatchRemoved, "/")]);
    assert_eq!(heard(&client, &watcher).await, removed);
    client.set_data("/", b"x", None).await.unwrap();
    assert_eq!(heard(&client, &watcher).await, []);
}

#[tokio::test]
async fn persistent_watches_survive_a_reconnect_and_the_gap_is_announced() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let (persistent, recursive) = (Watcher::new(), Watcher::new());
    client
        .add_watch("/", AddWatchMode::Persistent, &persistent)
        .await
        .unwrap();
    client
        .add_watch("/", AddWatchMode::PersistentRecursive, &recursive)
        .await
        .unwrap();
    let before = proxy.accepted();
    proxy.cut(Cut::Reset);
    eventually("the next connection", async || proxy.accepted() > before).await;
    until_connected(&client).await;
    for watcher in [&persistent, &recursive] {
        let gap = next_event(watcher).await;
        assert_eq!(gap.event_type, EventType::None);
        assert_eq!(
            (gap.state, gap.path.as_str()),
            (KeeperState::SyncConnected, "/")
        );
    }
    client.sync("/").await.unwrap();
    other.set_data("/", b"x", None).await.unwrap();
    for watcher in [&persistent, &recursive] {
        assert_eq!(
            next_event(watcher).await.event_type,
            EventType::NodeDataChanged
        );
    }
}
