//! One-shot watches across a lost connection: what happened meanwhile is heard,
//! and what happens later too.

use zk_client::{Client, CreateMode, EventType, Watcher};
use zk_tests::wait::{next_event, until_connected, until_not_connected};
use zk_tests::{Cut, Proxy, Target};

struct Scene {
    client: Client,
    other: Client,
    proxy: Proxy,
    // Last, so that on an ensemble it cleans up when the clients are gone.
    _target: Target,
}

impl Scene {
    async fn new() -> Self {
        let target = Target::start().await;
        let proxy = Proxy::start(target.host()).await;
        let client = target.client_through(&proxy.host()).await;
        let other = target.client().await;
        other
            .create("/a", b"", CreateMode::Persistent)
            .await
            .unwrap();
        Self {
            client,
            other,
            proxy,
            _target: target,
        }
    }

    async fn lose_connection(&self) {
        self.proxy.refuse(true);
        self.proxy.cut(Cut::Reset);
        until_not_connected(&self.client).await;
    }

    async fn regain_connection(&self) {
        self.proxy.refuse(false);
        until_connected(&self.client).await;
    }
}

#[tokio::test]
async fn changes_made_meanwhile_are_heard_on_return() {
    let scene = Scene::new().await;
    let (data, exist, child, gone) = (
        Watcher::new(),
        Watcher::new(),
        Watcher::new(),
        Watcher::new(),
    );
    scene
        .other
        .create("/gone", b"", CreateMode::Persistent)
        .await
        .unwrap();
    scene.client.get_data("/a", &data).await.unwrap();
    scene.client.exists("/absent", &exist).await.unwrap();
    scene.client.get_children("/a", &child).await.unwrap();
    scene.client.get_data("/gone", &gone).await.unwrap();
    scene.lose_connection().await;
    scene.other.set_data("/a", b"new", None).await.unwrap();
    scene
        .other
        .create("/absent", b"", CreateMode::Persistent)
        .await
        .unwrap();
    scene
        .other
        .create("/a/child", b"", CreateMode::Persistent)
        .await
        .unwrap();
    scene.other.delete("/gone", None).await.unwrap();
    scene.regain_connection().await;
    let expected = [
        (&data, EventType::NodeDataChanged, "/a"),
        (&exist, EventType::NodeCreated, "/absent"),
        (&child, EventType::NodeChildrenChanged, "/a"),
        (&gone, EventType::NodeDeleted, "/gone"),
    ];
    for (watcher, event_type, path) in expected {
        let event = next_event(watcher).await;
        assert_eq!((event.event_type, event.path.as_str()), (event_type, path));
        // The server does not say which transaction it was.
        assert_eq!(event.zxid, None);
        assert_eq!(watcher.try_next(), None);
    }
}

#[tokio::test]
async fn a_znode_deleted_and_created_anew_shows_as_changed() {
    let scene = Scene::new().await;
    let watcher = Watcher::new();
    scene.client.get_data("/a", &watcher).await.unwrap();
    scene.lose_connection().await;
    scene.other.delete("/a", None).await.unwrap();
    scene
        .other
        .create("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    scene.regain_connection().await;
    assert_eq!(
        next_event(&watcher).await.event_type,
        EventType::NodeDataChanged
    );
}

#[tokio::test]
async fn unchanged_znodes_stay_watched() {
    let scene = Scene::new().await;
    let (data, exist, child) = (Watcher::new(), Watcher::new(), Watcher::new());
    scene.client.get_data("/a", &data).await.unwrap();
    scene.client.exists("/absent", &exist).await.unwrap();
    scene.client.get_children("/a", &child).await.unwrap();
    for _ in 0..3 {
        scene.lose_connection().await;
        scene.regain_connection().await;
    }
    scene.client.sync("/").await.unwrap();
    assert_eq!(
        [data.try_next(), exist.try_next(), child.try_next()],
        [None, None, None]
    );
    scene.other.set_data("/a", b"new", None).await.unwrap();
    scene
        .other
        .create("/absent", b"", CreateMode::Persistent)
        .await
        .unwrap();
    scene
        .other
        .create("/a/child", b"", CreateMode::Persistent)
        .await
        .unwrap();
    assert_eq!(
        next_event(&data).await.event_type,
        EventType::NodeDataChanged
    );
    assert_eq!(next_event(&exist).await.event_type, EventType::NodeCreated);
    assert_eq!(
        next_event(&child).await.event_type,
        EventType::NodeChildrenChanged
    );
}

#[tokio::test]
async fn a_missed_change_is_heard_before_a_read_on_the_new_connection_shows_it() {
    let scene = Scene::new().await;
    let watcher = Watcher::new();
    scene.client.get_data("/a", &watcher).await.unwrap();
    scene.lose_connection().await;
    scene.other.set_data("/a", b"new", None).await.unwrap();
    let queued = scene.client.get_data("/a", None);
    scene.proxy.refuse(false);
    assert_eq!(&queued.await.unwrap().0[..], b"new");
    assert_eq!(
        watcher.try_next().unwrap().event_type,
        EventType::NodeDataChanged
    );
}

#[tokio::test]
async fn a_watch_whose_read_got_no_answer_is_not_set_again() {
    let scene = Scene::new().await;
    let watcher = Watcher::new();
    scene.proxy.silence(zk_tests::Direction::ToClient, true);
    let read = scene.client.get_data("/a", &watcher);
    // The read is out, its answer held back.
    let sent = scene.proxy.forwarded(zk_tests::Direction::ToServer);
    zk_tests::wait::eventually("the read", async || {
        scene.proxy.forwarded(zk_tests::Direction::ToServer) > sent
    })
    .await;
    scene.lose_connection().await;
    scene.proxy.silence(zk_tests::Direction::ToClient, false);
    read.await.unwrap_err();
    scene.regain_connection().await;
    scene.other.set_data("/a", b"new", None).await.unwrap();
    scene.client.sync("/").await.unwrap();
    assert_eq!(watcher.try_next(), None);
}

#[tokio::test]
async fn a_watcher_dropped_while_disconnected_is_not_set_again() {
    let scene = Scene::new().await;
    let (dropped, kept) = (Watcher::new(), Watcher::new());
    scene.client.get_data("/a", &dropped).await.unwrap();
    scene.client.get_children("/a", &kept).await.unwrap();
    scene.lose_connection().await;
    drop(dropped);
    scene.regain_connection().await;
    scene
        .other
        .create("/a/child", b"", CreateMode::Persistent)
        .await
        .unwrap();
    assert_eq!(
        next_event(&kept).await.event_type,
        EventType::NodeChildrenChanged
    );
}
