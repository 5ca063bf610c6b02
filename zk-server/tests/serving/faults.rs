//! Faults on purpose: dropped, frozen and delayed connections, a paused server.

use std::time::Duration;

use zk_proto::{CreateMode, OpCode};

use crate::raw::World;

/// Longer than any latency of the simulated network.
const A_WHILE: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn dropped_connections_close_and_their_sessions_can_be_resumed() {
    let world = World::start().await;
    let mut first = world.connect().await;
    let session = first.handshake(5000).await;
    let mut second = world.session().await;
    assert_eq!(world.server.drop_connections(), 2);
    assert!(first.is_closed().await && second.is_closed().await);
    assert_eq!(world.server.counters().sessions, 2);
    let mut again = world.connect().await;
    let resumed = again
        .resume(5000, session.session_id, session.password)
        .await;
    assert_eq!(resumed.unwrap().session_id, session.session_id);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_sessions_connection_is_dropped_alone() {
    let world = World::start().await;
    let mut first = world.connect().await;
    let session = first.handshake(5000).await.session_id;
    let mut second = world.session().await;
    assert!(world.server.drop_connection(session));
    assert!(
        !world.server.drop_connection(session),
        "it has none any more"
    );
    assert!(first.is_closed().await);
    assert!(second.ping().await.is_some());
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn frozen_connections_swallow_bytes_until_thawed() {
    let world = World::start().await;
    let mut raw = world.session().await;
    world.server.freeze_connections();
    let xid = raw.request(OpCode::Sync, &"/").await;
    let before = world.server.counters().packets_received;
    world.pass(A_WHILE).await;
    assert_eq!(world.server.counters().packets_received, before);
    world.server.thaw_connections();
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_sessions_client_is_not_told_of_its_expiry_before_the_thaw() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    assert_eq!(raw.handshake(1000).await.timeout_ms, 1000);
    world.server.freeze_connections();
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.server.counters().sessions, 0);
    let start = raw.now();
    let thaw = async {
        world.pass(Duration::from_secs(5)).await;
        world.server.thaw_connections();
    };
    let (closed, ()) = tokio::join!(raw.is_closed(), thaw);
    let took = raw.now().since(start);
    assert!(closed && took >= Duration::from_secs(5), "{took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn delayed_connections_answer_later_and_in_order() {
    let world = World::start().await;
    let mut raw = world.session().await;
    world.server.delay_connections(Duration::from_secs(3));
    let start = raw.now();
    let first = raw.request(OpCode::Sync, &"/").await;
    world.pass(Duration::from_secs(1)).await;
    let second = raw.request(OpCode::Sync, &"/").await;
    assert_eq!(raw.answer().await.unwrap().header.xid, first);
    let took = raw.now().since(start);
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(4),
        "{took:?}"
    );
    world.server.delay_connections(Duration::ZERO);
    let third = raw.request(OpCode::Sync, &"/").await;
    assert_eq!(raw.answer().await.unwrap().header.xid, second);
    assert_eq!(raw.answer().await.unwrap().header.xid, third);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_server_does_nothing_and_then_everything() {
    let world = World::start().await;
    let mut raw = world.session().await;
    world.server.pause();
    let xid = raw.request(OpCode::Sync, &"/").await;
    let mut fresh = world.connect().await;
    world.pass(A_WHILE).await;
    let counters = world.server.counters();
    assert_eq!((counters.packets_received, counters.connections), (1, 1));
    world.server.resume();
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    assert!(fresh.handshake(1000).await.timeout_ms > 0);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_timed_out_in_a_pause_comes_first_when_it_ends() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    assert_eq!(raw.handshake(1000).await.timeout_ms, 1000);
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    world.server.pause();
    raw.request(OpCode::Sync, &"/").await;
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(world.server.counters().sessions, 1, "no timer fires");
    world.server.resume();
    assert_eq!(world.server.counters().sessions, 0);
    assert!(raw.is_closed().await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_connections_that_end_behind_a_freeze() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    let session = raw.handshake(5000).await.session_id;
    world.server.freeze_connections();
    assert!(world.server.expire_session(session));
    world.server.stop().await;
    assert_eq!(world.server.tasks().await, 0);
    assert!(raw.is_closed().await);
    world.server.pause();
    world.server.freeze_connections();
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_delayed_replies() {
    let world = World::start().await;
    let mut raw = world.session().await;
    world.server.delay_connections(Duration::from_secs(3600));
    raw.request(OpCode::CloseSession, &()).await;
    world.pass(A_WHILE).await;
    let start = raw.now();
    world.server.stop().await;
    assert!(raw.now().since(start) < Duration::from_secs(1));
    assert!(raw.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_pause_and_a_freeze() {
    let world = World::start().await;
    let mut raw = world.session().await;
    world.server.freeze_connections();
    world.server.pause();
    world.server.restart().await.unwrap();
    assert!(raw.is_closed().await);
    assert!(world.session().await.ping().await.is_some());
    world.server.stop().await;
    assert_eq!(world.server.tasks().await, 0);
}
