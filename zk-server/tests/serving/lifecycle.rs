//! Starting, stopping, restarting, and what outlives it.

use std::time::Duration;

use zk_env::Env as _;
use zk_proto::{CreateMode, OpCode, SessionId};
use zk_server::{Server, ServerError};

use crate::raw::World;

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_no_task_and_a_second_stop_is_harmless() {
    let world = World::start().await;
    let mut raw = world.session().await;
    let _fresh = world.connect().await;
    assert!(raw.ping().await.is_some());
    assert_eq!(world.server.tasks().await, 4);
    tokio::join!(world.server.stop(), world.server.stop());
    world.server.stop().await;
    assert_eq!(world.server.tasks().await, 0);
    assert!(raw.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_the_replies_that_are_due() {
    let world = World::start().await;
    let mut raw = world.session().await;
    let mut pipeline = Vec::new();
    for _ in 0..100 {
        pipeline.extend_from_slice(&raw.encode(OpCode::Sync, &"/").1);
    }
    raw.send(&pipeline).await;
    world.pass(Duration::from_millis(100)).await;
    let handled = world.server.counters().packets_received;
    assert_eq!(handled, 101);
    world.server.stop().await;
    for _ in 0..100 {
        assert!(raw.answer().await.is_some());
    }
    assert!(raw.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_tree_sessions_and_zxid_on_the_same_port() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    let session = raw.handshake(5000).await;
    raw.create("/kept", b"data", CreateMode::Persistent).await;
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    let (before, addr) = (world.server.counters(), world.server.client_addr());
    world.server.restart().await.unwrap();
    assert!(raw.is_closed().await);
    assert_eq!(world.server.client_addr(), addr);
    assert_eq!(world.server.counters().last_zxid, before.last_zxid);

    let mut again = world.connect().await;
    let resumed = again
        .resume(5000, session.session_id, session.password)
        .await
        .unwrap();
    assert_eq!(resumed.session_id, session.session_id);
    assert!(again.exists("/kept").await && again.exists("/mine").await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_do_not_expire_while_stopped_and_have_their_full_timeout_after() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    assert_eq!(raw.handshake(5000).await.timeout_ms, 5000);
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    world.server.stop().await;
    world.pass(Duration::from_secs(60)).await;
    world.server.restart().await.unwrap();
    world.pass(Duration::from_millis(4900)).await;
    assert_eq!(world.server.counters().sessions, 1);
    world.pass(Duration::from_millis(1000)).await;
    let counters = world.server.counters();
    assert_eq!((counters.sessions, counters.ephemerals), (0, 0));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_server_ends_everything() {
    let World { net, server } = World::start().await;
    let env = net.env("client");
    let addr = env.resolve("server", 2181).await.unwrap()[0];
    let mut stream = env.connect(addr).await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(rest.is_empty(), "{end:?}");
    let again = env.connect(addr).await.map(drop);
    assert!(again.is_err(), "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn a_port_in_use_is_an_error_and_does_not_disturb_its_owner() {
    let world = World::start().await;
    let config = zk_server::ServerConfig::embedded();
    let config = config
        .client_addr(world.server.client_addr())
        .build()
        .unwrap();
    let second = Server::builder()
        .config(config)
        .env(world.net.env("server"));
    assert!(matches!(
        second.start().await,
        Err(ServerError::Bind { .. })
    ));
    assert!(world.session().await.ping().await.is_some());
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_loses_its_connection_and_its_ephemerals() {
    let world = World::start().await;
    let mut bystander = world.session().await;
    let mut raw = world.connect().await;
    let session = raw.handshake(5000).await;
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    assert!(world.server.expire_session(session.session_id));
    assert!(
        !world.server.expire_session(session.session_id),
        "once is enough"
    );
    assert!(raw.is_closed().await);
    assert!(!bystander.exists("/mine").await);
    let mut again = world.connect().await;
    let refused = again
        .resume(5000, session.session_id, session.password)
        .await
        .unwrap();
    assert_eq!(
        (refused.timeout_ms, refused.session_id),
        (0, SessionId::NONE)
    );
    assert!(again.is_closed().await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_is_answered_before_the_connection_ends() {
    let world = World::start().await;
    let mut raw = world.session().await;
    raw.create("/mine", b"", CreateMode::Ephemeral).await;
    let (xid, close) = raw.encode(OpCode::CloseSession, &());
    let (_, behind) = raw.encode(OpCode::Sync, &"/");
    raw.send(&[&close[..], &behind[..]].concat()).await;
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    raw.rest().await;
    assert_eq!(world.server.counters().ephemerals, 0);
    world.server.stop().await;
}

/// A socket that is closed over unread input is reset, and a reset makes some
/// systems forget what the client has not read yet.
#[tokio::test(start_paused = true)]
async fn a_client_may_go_on_sending_for_a_moment_after_its_last_reply() {
    let world = World::start().await;
    let mut raw = world.session().await;
    let (xid, close) = raw.encode(OpCode::CloseSession, &());
    let (_, behind) = raw.encode(OpCode::Sync, &"/");
    raw.send(&[close.to_vec(), behind.repeat(2000)].concat())
        .await;
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    raw.orderly_end().await.unwrap();
    for _ in 0..2 {
        raw.send(&behind).await;
        world.pass(Duration::from_millis(100)).await;
    }
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.server.tasks().await, 2, "but not for long");
    world.server.stop().await;
}

/// Over real sockets, to see that the port is free and usable again.
#[tokio::test]
async fn a_real_port_survives_a_restart() {
    let server = Server::start().await.unwrap();
    let addr = server.client_addr();
    assert!(addr.ip().is_loopback() && addr.port() != 0);
    assert_eq!(server.connect_string(), addr.to_string());
    let env = zk_env::TokioEnv::new();
    let ask = |word| zk_server::four_letter_word(&*env, addr, word, Duration::from_secs(30));
    assert_eq!(ask("ruok").await.unwrap(), "imok");
    server.restart().await.unwrap();
    assert_eq!(server.client_addr(), addr);
    assert!(ask("srvr").await.unwrap().contains("Mode: standalone\n"));
    server.stop().await;
    assert!(env.connect(addr).await.is_err());
}
