//! The watcher as a receiver.

use futures_util::{FutureExt, StreamExt};
use zk_client::{AddWatchMode, CreateMode, EventType, Watcher};
use zk_tests::wait::{next_event, within};
use zk_tests::{Feature, Target};

#[tokio::test]
async fn one_watcher_receives_for_many_paths_in_the_order_of_the_changes() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    let paths: Vec<String> = (0..50).map(|n| format!("/{n}")).collect();
    for path in &paths {
        client.exists(path, &watcher).await.unwrap();
    }
    for path in paths.iter().rev() {
        client
            .create(path, b"", CreateMode::Persistent)
            .await
            .unwrap();
    }
    for path in paths.iter().rev() {
        assert_eq!(next_event(&watcher).await.path, *path);
    }
}

#[tokio::test]
async fn a_watcher_is_a_stream() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    client.set_data("/", b"x", None).await.unwrap();
    let event = within("an event", StreamExt::next(&mut watcher))
        .await
        .unwrap();
    assert_eq!(event.event_type, EventType::NodeDataChanged);
}

#[tokio::test]
async fn a_watcher_that_nobody_reads_keeps_the_newest_and_says_how_many_it_lost() {
    let target = Target::start().await;
    if !target.has(Feature::PersistentWatches) {
        return;
    }
    let client = target.client().await;
    let watcher = Watcher::with_capacity(3);
    client
        .add_watch("/", AddWatchMode::Persistent, &watcher)
        .await
        .unwrap();
    let mut last = None;
    for _ in 0..10 {
        last = Some(client.set_data("/", b"x", None).await.unwrap().mzxid);
    }
    let events: Vec<_> = std::iter::from_fn(|| watcher.try_next()).collect();
    assert_eq!(
        events.iter().map(|event| event.lagged).collect::<Vec<_>>(),
        [7, 0, 0]
    );
    if target.has(Feature::EventZxid) {
        assert_eq!(events[2].zxid, last);
    }
}

#[tokio::test]
async fn a_dropped_wait_loses_no_event() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    assert!(watcher.next().now_or_never().is_none());
    client.set_data("/", b"x", None).await.unwrap();
    assert_eq!(
        next_event(&watcher).await.event_type,
        EventType::NodeDataChanged
    );
}

#[tokio::test]
async fn a_client_can_be_called_from_where_events_are_handled() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    for n in 0..20 {
        client.set_data("/", n.to_string(), None).await.unwrap();
        next_event(&watcher).await;
        let (data, _) = client.get_data("/", &watcher).await.unwrap();
        assert_eq!(&data[..], n.to_string().as_bytes());
    }
}
