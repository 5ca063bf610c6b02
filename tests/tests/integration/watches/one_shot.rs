//! Watches that fire once.

use zk_client::{
    CreateMode, ErrorCode, EventType, KeeperState, WatchedEvent, Watcher, WatcherType,
};
use zk_proto::OpCode;
use zk_tests::wait::{eventually, next_event};
use zk_tests::{Feature, Tap, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

fn what(event: WatchedEvent) -> (EventType, String) {
    assert_eq!(event.state, KeeperState::SyncConnected);
    assert_eq!(event.lagged, 0);
    (event.event_type, event.path)
}

#[tokio::test]
async fn a_data_watch_fires_once_when_the_data_is_set() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"1", PERSISTENT).await.unwrap();
    let watcher = Watcher::new();
    client.get_data("/a", &watcher).await.unwrap();
    let stat = client.set_data("/a", b"2", None).await.unwrap();
    let event = next_event(&watcher).await;
    let expected = target.has(Feature::EventZxid).then_some(stat.mzxid);
    assert_eq!(event.zxid, expected);
    assert_eq!(what(event), (EventType::NodeDataChanged, "/a".into()));
    client.set_data("/a", b"3", None).await.unwrap();
    assert_eq!(watcher.try_next(), None);
}

#[tokio::test]
async fn exists_watches_what_is_there_and_what_is_not() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    assert_eq!(client.exists("/a", &watcher).await.unwrap(), None);
    client.create("/a", b"", PERSISTENT).await.unwrap();
    assert_eq!(
        what(next_event(&watcher).await),
        (EventType::NodeCreated, "/a".into())
    );
    assert!(client.exists("/a", &watcher).await.unwrap().is_some());
    client.delete("/a", None).await.unwrap();
    assert_eq!(
        what(next_event(&watcher).await),
        (EventType::NodeDeleted, "/a".into())
    );
}

#[tokio::test]
async fn a_child_watch_fires_for_children_not_for_data() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    for with_stat in [false, true] {
        let watcher = Watcher::new();
        if with_stat {
            client.get_children2("/a", &watcher).await.unwrap();
        } else {
            client.get_children("/a", &watcher).await.unwrap();
        }
        client.set_data("/a", b"x", None).await.unwrap();
        let child = format!("/a/{with_stat}");
        client.create(&child, b"", PERSISTENT).await.unwrap();
        let event = next_event(&watcher).await;
        assert_eq!(what(event), (EventType::NodeChildrenChanged, "/a".into()));
        client.get_children("/a", &watcher).await.unwrap();
        client.delete(&child, None).await.unwrap();
        let event = next_event(&watcher).await;
        assert_eq!(what(event), (EventType::NodeChildrenChanged, "/a".into()));
    }
}

#[tokio::test]
async fn a_deletion_ends_every_kind_of_watch_with_one_event_per_watcher() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    let (all, child) = (Watcher::new(), Watcher::new());
    client.get_data("/a", &all).await.unwrap();
    client.exists("/a", &all).await.unwrap();
    client.get_children("/a", &all).await.unwrap();
    client.get_children("/a", &child).await.unwrap();
    client.delete("/a", None).await.unwrap();
    for watcher in [&all, &child] {
        assert_eq!(
            what(next_event(watcher).await),
            (EventType::NodeDeleted, "/a".into())
        );
        assert_eq!(watcher.try_next(), None);
    }
}

#[tokio::test]
async fn reading_what_is_missing_leaves_no_watch() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    let error = client.get_data("/a", &watcher).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoNode));
    client.get_children("/a", &watcher).await.unwrap_err();
    client.create("/a", b"", PERSISTENT).await.unwrap();
    client.delete("/a", None).await.unwrap();
    assert_eq!(watcher.try_next(), None);
}

#[tokio::test]
async fn watchers_of_one_path_share_a_watch_and_all_hear() {
    let target = Target::start().await;
    let client = target.client().await;
    let watchers: Vec<_> = (0..5).map(|_| Watcher::new()).collect();
    for watcher in &watchers {
        client.get_data("/", watcher).await.unwrap();
        client.get_data("/", watcher).await.unwrap();
    }
    client.set_data("/", b"x", None).await.unwrap();
    for watcher in &watchers {
        assert_eq!(
            what(next_event(watcher).await),
            (EventType::NodeDataChanged, "/".into())
        );
        assert_eq!(watcher.try_next(), None);
    }
}

#[tokio::test]
async fn other_peoples_changes_are_heard() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let watcher = Watcher::new();
    client.get_children("/", &watcher).await.unwrap();
    other
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    assert_eq!(
        what(next_event(&watcher).await),
        (EventType::NodeChildrenChanged, "/".into())
    );
    client.exists("/mine", &watcher).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(
        what(next_event(&watcher).await),
        (EventType::NodeDeleted, "/mine".into())
    );
}

#[tokio::test]
async fn a_transaction_fires_for_each_of_its_changes_before_its_reply() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    client.create("/b", b"", PERSISTENT).await.unwrap();
    let watcher = Watcher::new();
    client.get_data("/a", &watcher).await.unwrap();
    client.get_data("/b", &watcher).await.unwrap();
    let transaction = client
        .transaction()
        .set_data("/a", b"x", None)
        .delete("/b", None);
    transaction.commit().await.unwrap();
    let events = [watcher.try_next().unwrap(), watcher.try_next().unwrap()].map(what);
    let expected = [
        (EventType::NodeDataChanged, "/a"),
        (EventType::NodeDeleted, "/b"),
    ];
    assert_eq!(events, expected.map(|(kind, path)| (kind, path.to_owned())));
}

#[tokio::test]
async fn removed_watches_say_so_and_fire_no_more() {
    let target = Target::start().await;
    let client = target.client().await;
    let (data, child) = (Watcher::new(), Watcher::new());
    client.get_data("/", &data).await.unwrap();
    client.get_children("/", &child).await.unwrap();
    client.remove_watches("/", WatcherType::Data).await.unwrap();
    assert_eq!(
        what(next_event(&data).await),
        (EventType::DataWatchRemoved, "/".into())
    );
    client.remove_watches("/", WatcherType::Any).await.unwrap();
    assert_eq!(
        what(next_event(&child).await),
        (EventType::ChildWatchRemoved, "/".into())
    );
    client.set_data("/", b"x", None).await.unwrap();
    client.create("/a", b"", PERSISTENT).await.unwrap();
    assert_eq!((data.try_next(), child.try_next()), (None, None));
    let error = client
        .remove_watches("/", WatcherType::Any)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoWatcher));
}

#[tokio::test]
async fn the_server_can_be_asked_for_its_watches() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    let error = client
        .check_watches("/", WatcherType::Data)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoWatcher));
    client.get_data("/", &watcher).await.unwrap();
    client.check_watches("/", WatcherType::Data).await.unwrap();
    client.check_watches("/", WatcherType::Any).await.unwrap();
    client
        .check_watches("/", WatcherType::Children)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_last_watcher_to_go_takes_the_watch_off_the_server() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let (first, last) = (Watcher::new(), Watcher::new());
    client.get_data("/", &first).await.unwrap();
    client.get_data("/", &last).await.unwrap();
    drop(first);
    client.sync("/").await.unwrap();
    assert_eq!(tap.count(OpCode::RemoveWatches), 0);
    drop(last);
    eventually("the removal", async || {
        tap.count(OpCode::RemoveWatches) == 1
    })
    .await;
    // It answers no call of ours, and disturbs none.
    client.set_data("/", b"x", None).await.unwrap();
}

#[tokio::test]
async fn data_and_exists_watches_share_the_servers_watch() {
    let target = Target::start().await;
    let client = target.client().await;
    let (data, exists) = (Watcher::new(), Watcher::new());
    client.get_data("/", &data).await.unwrap();
    client.exists("/", &exists).await.unwrap();
    // Taking the one off must not take the other along.
    drop(data);
    client.sync("/").await.unwrap();
    client.set_data("/", b"x", None).await.unwrap();
    assert_eq!(
        what(next_event(&exists).await),
        (EventType::NodeDataChanged, "/".into())
    );
}

#[tokio::test]
async fn a_watcher_dropped_before_the_reply_leaves_no_watch() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let watcher = Watcher::new();
    let read = client.get_data("/", &watcher);
    drop(watcher);
    read.await.unwrap();
    eventually("the removal", async || {
        tap.count(OpCode::RemoveWatches) == 1
    })
    .await;
}
