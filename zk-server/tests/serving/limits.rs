//! How many connections, how long in silence, how large a frame.

use std::time::Duration;

use zk_proto::{CreateMode, ErrorCode, OpCode, SessionId};
use zk_server::ServerConfig;

use crate::raw::{World, create_request, frame};

#[tokio::test(start_paused = true)]
async fn one_more_from_an_address_is_closed_at_once_and_others_are_served() {
    let world = World::with(ServerConfig::embedded().max_client_cnxns(2)).await;
    let mut first = world.session().await;
    let second = world.session().await;
    assert!(world.connect().await.is_closed().await);
    assert_eq!(world.server.counters().connections_rejected, 1);
    assert!(first.ping().await.is_some());
    assert!(
        world
            .connect_from("elsewhere")
            .await
            .handshake(1000)
            .await
            .timeout_ms
            > 0
    );

    drop(second);
    // Our end is gone at once, the server sees that after a latency.
    world.pass(Duration::from_millis(100)).await;
    assert!(world.connect().await.handshake(1000).await.timeout_ms > 0);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_total_is_limited_over_all_addresses() {
    let world = World::with(ServerConfig::embedded().max_cnxns(2)).await;
    let _first = world.connect_from("a").await;
    let _second = world.connect_from("b").await;
    assert!(world.connect_from("c").await.is_closed().await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_handshake_is_dropped_after_ten_to_twenty_seconds() {
    let world = World::start().await;
    let mut silent = world.connect().await;
    let mut half = world.connect().await;
    half.send(&[0, 0, 0, 45, 0, 0]).await;
    let start = silent.now();
    assert!(silent.is_closed().await && half.is_closed().await);
    let silence = silent.now().since(start);
    assert!(silence >= Duration::from_secs(10), "{silence:?}");
    assert!(silence <= Duration::from_secs(21), "{silence:?}");
    assert!(
        world
            .word("mntr")
            .await
            .contains("zk_sessionless_connections_expired\t2\n")
    );
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_session_may_be_silent_for_the_session_timeout() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    assert_eq!(raw.handshake(40_000).await.timeout_ms, 40_000);
    world.pass(Duration::from_secs(39)).await;
    assert!(raw.ping().await.is_some(), "idle, but within the timeout");
    let start = raw.now();
    assert!(raw.is_closed().await);
    let silence = raw.now().since(start);
    assert!(silence >= Duration::from_secs(40), "{silence:?}");
    assert_eq!(world.server.counters().sessions, 0);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_at_the_limit_is_served_and_one_byte_more_closes_without_a_reply() {
    let world = World::with(ServerConfig::embedded().frame_limit(1000)).await;
    let mut raw = world.session().await;
    // An exists request (8 + 4 + path + 1 bytes) with a path that fills the frame.
    let path = format!("/{}", "x".repeat(1000 - 14));
    assert!(!raw.exists(&path).await);
    let (_, request) = raw.encode(OpCode::Sync, &format!("{path}xx").as_str());
    assert_eq!(request.len(), 4 + 1001);
    raw.send(&request).await;
    assert!(raw.is_closed().await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_session_outlives_a_connection_closed_for_its_frame() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    let session = raw.handshake(5000).await;
    raw.send(&i32::MAX.to_be_bytes()).await;
    assert!(raw.is_closed().await);
    let mut again = world.connect().await;
    let resumed = again
        .resume(5000, session.session_id, session.password)
        .await
        .unwrap();
    assert_eq!(resumed.session_id, session.session_id);
    assert_ne!(resumed.session_id, SessionId::NONE);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_pipelined_requests_are_answered_in_order() {
    let world = World::with(ServerConfig::embedded().global_outstanding_limit(3)).await;
    let mut raw = world.session().await;
    let mut pipeline = Vec::new();
    let mut xids = Vec::new();
    for _ in 0..1000 {
        let (xid, request) = raw.encode(OpCode::Sync, &"/");
        xids.push(xid);
        pipeline.extend_from_slice(&request);
    }
    raw.send(&pipeline).await;
    for xid in xids {
        assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    }
    raw.send(&frame(&())).await;
    assert!(raw.is_closed().await, "an empty frame is no request");
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_expire_on_time_though_nothing_else_is_due_for_an_hour() {
    let hour = Duration::from_secs(3600);
    let world = World::with(ServerConfig::embedded().container_check_interval(hour)).await;
    let mut long = world.connect().await;
    assert_eq!(long.handshake(60_000).await.timeout_ms, 60_000);
    let mut short = world.connect().await;
    assert_eq!(short.handshake(1000).await.timeout_ms, 1000);
    let start = short.now();
    assert!(short.is_closed().await);
    let silence = short.now().since(start);
    assert!(
        silence >= Duration::from_secs(1) && silence < Duration::from_secs(2),
        "{silence:?}"
    );
    assert_eq!(world.server.counters().sessions, 1);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn incomplete_requests_of_all_connections_together_are_limited() {
    const FRAME_LIMIT: usize = 100_000;
    let config = ServerConfig::embedded()
        .frame_limit(FRAME_LIMIT)
        .inbound_limit(FRAME_LIMIT);
    let world = World::with(config).await;
    let (mut patient, mut greedy) = (world.session().await, world.session().await);
    let mut small = world.session().await;
    let data = vec![0; FRAME_LIMIT * 3 / 5];
    let create = create_request("/a", &data, CreateMode::Persistent);
    let (_, large) = patient.encode(OpCode::Create, &create);
    let (most, rest) = large.split_at(large.len() - 1);
    patient.send(most).await;
    assert!(small.ping().await.is_some());
    // Not all of it need arrive before the end.
    let _ = greedy.try_send(most).await;
    assert!(greedy.is_closed().await);
    small.create("/small", b"", CreateMode::Persistent).await;
    patient.send(rest).await;
    let answer = patient.answer().await.unwrap();
    assert_eq!(answer.header.err, ErrorCode::Ok);
    let mut again = world.session().await;
    let (_, large) = again.encode(OpCode::Create, &create);
    again.send(&large).await;
    let answer = again.answer().await.unwrap();
    assert_eq!(
        answer.header.err,
        ErrorCode::NodeExists,
        "there is room again"
    );
    world.server.stop().await;
}
