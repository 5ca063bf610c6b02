//! Clients that send and do not read.

use std::time::Duration;

use zk_proto::record::GetDataRequest;
use zk_proto::{CreateMode, OpCode};
use zk_server::ServerConfig;

use crate::raw::World;

const KIB: usize = 1024;
const A_WHILE: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn requests_of_a_client_that_does_not_read_are_left_unread() {
    let config = ServerConfig::embedded().outbox_limits(64 * KIB, 1024 * KIB);
    let world = World::with(config).await;
    let mut bystander = world.session().await;
    let mut slow = world.session().await;
    slow.create("/big", &[7; 32 * KIB], CreateMode::Persistent)
        .await;
    let mut pipeline = Vec::new();
    for _ in 0..1000 {
        let get = GetDataRequest {
            path: "/big".into(),
            watch: false,
        };
        pipeline.extend_from_slice(&slow.encode(OpCode::GetData, &get).1);
    }
    slow.send(&pipeline).await;
    world.pass(A_WHILE).await;
    // 1000 answers are 32 MiB. What has been answered fits the simulated window
    // and twice the limit at which reading stops.
    let answered = world.server.counters().packets_sent;
    assert!(
        answered < 100,
        "{answered} answers made for a client that reads none"
    );
    assert!(bystander.ping().await.is_some());
    for _ in 0..1000 {
        assert!(slow.answer().await.is_some(), "and all come once it reads");
    }
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lets_events_pile_up_is_closed_and_the_writer_goes_on() {
    let config = ServerConfig::embedded().outbox_limits(KIB, 16 * KIB);
    let world = World::with(config).await;
    world.net.set_window(KIB);
    let mut writer = world.session().await;
    let mut slow = world.session().await;
    let path = writer.create("/watched", b"", CreateMode::Persistent).await;
    let add_watch = zk_proto::record::AddWatchRequest {
        path: path.as_str().into(),
        mode: 0,
    };
    slow.call(OpCode::AddWatch, &add_watch).await;
    for _ in 0..2000 {
        writer.set_data(&path, b"").await;
    }
    assert_eq!(world.server.counters().connections, 1);
    assert!(writer.ping().await.is_some());
    assert_eq!(
        world.server.counters().sessions,
        2,
        "its session waits for its return"
    );
    slow.rest().await;
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_up_on_a_client_that_does_not_read() {
    let world = World::start().await;
    let mut slow = world.session().await;
    slow.create("/big", &[7; 500 * KIB], CreateMode::Persistent)
        .await;
    let get = GetDataRequest {
        path: "/big".into(),
        watch: false,
    };
    slow.request(OpCode::GetData, &get).await;
    world.pass(A_WHILE).await;
    let start = slow.now();
    world.server.stop().await;
    let took = slow.now().since(start);
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert_eq!(world.server.tasks().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_a_client_that_sleeps() {
    let world = World::start().await;
    let mut writer = world.session().await;
    let mut sleeper = world.session().await;
    writer.create("/watched", b"", CreateMode::Persistent).await;
    sleeper.watch_data("/watched").await;
    world.pass(A_WHILE).await;
    writer.set_data("/watched", b"x").await;
    assert_eq!(sleeper.event_path().await, "/watched");
    world.server.stop().await;
}
