//! A panic wherever the server could go on half alive: it stops for good instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zk_env::{Probe, ScriptedProbe};
use zk_proto::{CreateMode, Password, SessionId};
use zk_server::{Server, ServerConfig, ServerError};
use zk_sim::Sim;

use crate::raw::{World, connect_request};

/// A server that panics in `stage`.
async fn doomed(stage: &'static str) -> World {
    let probe = Probe::new(Arc::new(ScriptedProbe::planting(stage)));
    World::probed(ServerConfig::embedded(), probe).await
}

/// The server has failed in this stage, and nobody is served any more.
async fn assert_failed(world: &World, stage: &str) {
    let failure = world.server.failed().await;
    let ServerError::Failed { stage: failed_in } = failure else {
        panic!("{failure}");
    };
    assert_eq!(failed_in, stage);
    assert!(is_refused(world).await, "the port is closed");
    let again = world.server.restart().await;
    assert!(
        matches!(again, Err(ServerError::Failed { .. })),
        "{again:?}"
    );
    assert_eq!(world.server.tasks().await, 0);
    world.server.stop().await;
}

async fn is_refused(world: &World) -> bool {
    let env = world.net.env("client");
    let addr = env.resolve("server", 2181).await.unwrap()[0];
    env.connect(addr).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_a_request_ends_every_connection_and_the_port() {
    let world = doomed("handling requests").await;
    let mut bystander = world.connect().await;
    let mut poisonous = world.connect().await;
    poisonous.send(&[0, 0, 0, 1, 0]).await;
    assert!(poisonous.is_closed().await);
    assert!(bystander.is_closed().await, "not served by half a server");
    assert_failed(&world, "handling requests").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_ticker_ends_every_connection() {
    for stage in ["letting time pass", "looking for the next timeout"] {
        let world = doomed(stage).await;
        let env = world.net.env("client");
        let addr = env.resolve("server", 2181).await.unwrap()[0];
        if let Ok(stream) = env.connect(addr).await {
            let mut raw = crate::raw::Raw::of(env, stream);
            assert!(raw.is_closed().await);
        }
        assert_failed(&world, stage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_an_accept_ends_the_server() {
    let world = doomed("accepting a connection").await;
    let mut raw = world.connect().await;
    assert!(raw.is_closed().await);
    assert_failed(&world, "accepting a connection").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_the_end_of_a_connection_ends_the_others() {
    let world = doomed("closing a connection").await;
    let mut bystander = world.session().await;
    drop(world.session().await);
    assert!(bystander.is_closed().await);
    assert_failed(&world, "closing a connection").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_a_four_letter_word_ends_the_server() {
    let world = doomed("answering a four-letter word").await;
    let mut bystander = world.session().await;
    assert_eq!(world.word("ruok").await, "");
    assert!(bystander.is_closed().await);
    assert_failed(&world, "answering a four-letter word").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_whoever_expires_a_session_ends_the_server() {
    let world = doomed("expiring a session by request").await;
    let mut raw = world.connect().await;
    let session = raw.handshake(5000).await.session_id;
    let server = &world.server;
    let expire = std::panic::AssertUnwindSafe(|| server.expire_session(session));
    assert!(std::panic::catch_unwind(expire).is_err());
    assert!(raw.is_closed().await);
    assert_failed(&world, "expiring a session by request").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_middle_of_a_change_ends_the_server() {
    let net = Sim::new(1);
    let any_address = SocketAddr::from(([0, 0, 0, 0], 2181));
    let config = ServerConfig::embedded().client_addr(any_address);
    let server = Server::builder()
        .config(config.build().unwrap())
        .env(net.env("server"))
        .on_transaction(|transaction| assert!(transaction.path.is_some(), "not the reaper's"))
        .start()
        .await
        .unwrap();
    let world = World { net, server };
    let mut raw = world.connect().await;
    let request = connect_request(5000, SessionId::NONE, Password::none());
    raw.send(&request).await;
    assert!(raw.is_closed().await, "the session was not granted");
    assert_failed(&world, "handling requests").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_did_not_panic_has_not_failed() {
    let world = World::start().await;
    let mut raw = world.session().await;
    raw.create("/a", b"", CreateMode::Persistent).await;
    assert!(world.server.failure().is_none());
    tokio::select! {
        failure = world.server.failed() => panic!("{failure}"),
        () = world.pass(Duration::from_secs(60)) => {}
    }
    world.server.restart().await.unwrap();
    world.server.stop().await;
}
