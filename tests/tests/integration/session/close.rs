//! How a session ends when its owner wants it to.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::runtime::Handle;
use zk_client::{CreateMode, Error, Outcome, SessionState, Watcher};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, next_event, until_not_connected, within};
use zk_tests::{Cut, Proxy, Target};

#[tokio::test]
async fn close_removes_ephemerals_at_once() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    within("the close", client.close()).await.unwrap();
    // On another server of an ensemble, perhaps.
    observer.sync("/").await.unwrap();
    assert_eq!(observer.exists("/mine", None).await.unwrap(), None);
}

#[tokio::test]
async fn close_answers_what_was_called_before() {
    let target = Target::start().await;
    let client = target.client().await;
    let create = client.create("/a", b"", CreateMode::Persistent);
    let read = client.get_data("/a", None);
    within("the close", client.close()).await.unwrap();
    create.await.unwrap();
    read.await.unwrap();
}

#[tokio::test]
async fn after_close_every_call_fails_and_every_watcher_ends() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    let clone = client.clone();
    within("the close", client.close()).await.unwrap();

    assert_eq!(*clone.state().borrow(), SessionState::Closed);
    let error = clone.get_data("/", None).await.unwrap_err();
    assert_eq!(error, Error::Closed);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.is_session_over());
    within("the end of the events", async {
        while watcher.next().await.is_some() {}
        assert_eq!(StreamExt::next(&mut watcher).await, None);
    })
    .await;
    // The end can be had twice.
    let _ = within("a second close", clone.close()).await;
}

#[tokio::test]
async fn closing_a_client_without_a_connection_does_not_hang() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.session_timeout(Duration::from_secs(2))).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let waiting = client.get_data("/", None);
    // The server has not heard of it: its session ends by itself.
    within("the close", client.close()).await.unwrap_err();
    assert!(within("the waiting call", waiting).await.is_err());
}

#[tokio::test]
async fn closing_a_client_whose_server_is_silent_does_not_hang() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.session_timeout(Duration::from_secs(2))).await;
    proxy.freeze(true);
    within("the close", client.close()).await.unwrap_err();
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_tasks() {
    let target = Target::start().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    // The server's own tasks come and go with connections: compare like with like.
    target.client().await.close().await.unwrap();
    eventually("the close to settle", async || tasks() <= 2).await;
    let before = tasks();
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    drop(client);
    within("the end of the events", async {
        while watcher.next().await.is_some() {}
    })
    .await;
    eventually("no task more than before", async || tasks() <= before).await;
}

#[tokio::test]
async fn events_queued_before_the_close_can_still_be_read() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    client.set_data("/", b"new", None).await.unwrap();
    within("the close", client.close()).await.unwrap();
    assert_eq!(next_event(&watcher).await.path, "/");
}
