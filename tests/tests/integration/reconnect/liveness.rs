//! Telling a dead connection from a slow one.

use std::time::Duration;

use zk_client::CreateMode;
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, until_not_connected};
use zk_tests::{Direction, Proxy, Target};

#[tokio::test]
async fn a_half_open_connection_is_found_before_the_session_can_expire() {
    let target = Target::start().await;
    let (first, second) = (
        Proxy::start(target.host()).await,
        Proxy::start(target.host()).await,
    );
    let hosts = format!("{},{}", first.host(), second.host());
    let builder = target.builder_through(&hosts).shuffle(false);
    let client = connect(builder.session_timeout(Duration::from_secs(6))).await;
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let id = client.session_id();
    first.freeze(true);
    // Two thirds of the timeout find it, which leaves a third for another server.
    eventually("the second server", async || second.open() == 1).await;
    until_connected(&client).await;
    assert_eq!(client.session_id(), id);
    assert!(client.exists("/mine", None).await.unwrap().is_some());
}

#[tokio::test]
async fn silence_in_one_direction_is_found_too() {
    let target = Target::start().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let proxy = Proxy::start(target.host()).await;
        let builder = target.builder_through(&proxy.host());
        let client = connect(builder.session_timeout(Duration::from_secs(2))).await;
        proxy.silence(direction, true);
        until_not_connected(&client).await;
    }
}

#[tokio::test]
async fn a_connection_that_still_delivers_bytes_is_alive() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let timeout = Duration::from_secs(3);
    let client = connect(
        target
            .builder_through(&proxy.host())
            .session_timeout(timeout),
    )
    .await;
    client
        .create("/big", vec![7; 150_000], CreateMode::Persistent)
        .await
        .unwrap();
    // One reply takes four seconds, in which no ping is answered.
    proxy.throttle(Direction::ToClient, Some(37_500));
    let (data, _) = client.get_data("/big", None).await.unwrap();
    assert_eq!(data.len(), 150_000);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn latency_below_the_read_timeout_costs_no_connection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.delay(direction, Duration::from_millis(150));
    }
    let calls: Vec<_> = (0..50).map(|_| client.get_data("/", None)).collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(proxy.accepted(), 1);
}
