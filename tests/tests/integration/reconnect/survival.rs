//! What outlives a connection.

use zk_client::{CreateMode, SessionState, Watcher};
use zk_proto::record::ConnectRequest;
use zk_proto::{OpCode, Zxid};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, until_not_connected, until_state, within};
use zk_tests::{Cut, DeadHost, Direction, FakeServer, Proxy, Tap, Target, bundled_only};

#[tokio::test]
async fn the_session_survives_cuts_of_either_kind() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let (id, epoch) = (client.session_id(), client.epoch());
    for cut in [Cut::Reset, Cut::Fin, Cut::Reset] {
        let before = proxy.accepted();
        proxy.cut(cut);
        eventually("the next connection", async || proxy.accepted() > before).await;
        until_connected(&client).await;
        assert!(client.exists("/mine", None).await.unwrap().is_some());
        assert_eq!((client.session_id(), client.epoch()), (id, epoch));
    }
}

#[tokio::test]
async fn loss_and_return_show_in_the_state() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_state(&client, |state| {
        matches!(state, SessionState::Suspended { .. })
    })
    .await;
    assert!(client.connected_host().is_none());
    proxy.refuse(false);
    until_connected(&client).await;
    assert_eq!(client.connected_host().unwrap().to_string(), proxy.host());
}

#[tokio::test]
async fn calls_made_while_suspended_wait_for_the_connection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let create = client.create("/a", b"1", CreateMode::Persistent);
    let read = client.get_data("/a", None);
    proxy.refuse(false);
    assert_eq!(create.await.unwrap(), "/a");
    assert_eq!(&read.await.unwrap().0[..], b"1");
}

#[tokio::test]
async fn another_server_gets_session_password_and_what_was_seen() {
    let target = Target::start().await;
    let (first, second) = (
        Proxy::start(target.host()).await,
        Tap::start(target.host()).await,
    );
    let hosts = format!("{},{}", first.host(), second.host());
    let client = connect(target.builder_through(&hosts).shuffle(false)).await;
    client
        .create("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    let (id, password, seen) = (
        client.session_id(),
        client.session_password(),
        client.last_zxid(),
    );
    assert!(seen > Zxid::ZERO);
    first.refuse(true);
    first.cut(Cut::Reset);
    eventually("the second server", async || second.connections() > 0).await;
    until_connected(&client).await;
    let handshake = second.seen().remove(0).request;
    let request: ConnectRequest = handshake.decode();
    assert_eq!((request.session_id, request.password), (id, password));
    assert!(request.last_zxid_seen >= seen);
    assert_eq!(client.session_id(), id);
}

#[tokio::test]
async fn a_server_that_is_behind_is_left_for_another() {
    let target = Target::start().await;
    let first = Proxy::start(target.host()).await;
    // As servers do whose last transaction is older than what the client has seen.
    let behind = FakeServer::start(async |mut connection, _| {
        connection.connect_request().await;
    })
    .await;
    let third = Proxy::start(target.host()).await;
    let hosts = format!("{},{},{}", first.host(), behind.host(), third.host());
    let client = connect(target.builder_through(&hosts).shuffle(false)).await;
    let id = client.session_id();
    first.refuse(true);
    first.cut(Cut::Reset);
    eventually("the third server", async || third.open() == 1).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(client.session_id(), id);
    assert!(behind.connections() >= 1);
}

#[tokio::test]
async fn cut_anywhere_in_the_handshake_the_next_attempt_succeeds() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    // 4 + 37 bytes come back, 4 + 45 go out.
    for (direction, bytes) in [(Direction::ToClient, 41), (Direction::ToServer, 49)] {
        for at in (0..bytes).step_by(8) {
            let before = proxy.accepted();
            let cut = if at % 16 == 0 { Cut::Reset } else { Cut::Fin };
            proxy.cut_after(direction, at, cut);
            let client = target.client_through(&proxy.host()).await;
            client.get_data("/", None).await.unwrap();
            assert!(proxy.accepted() >= before + 2);
            within("the close", client.close()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_that_restarts_keeps_its_sessions() {
    bundled_only!("reconnect::survival::a_server_that_restarts_keeps_its_sessions");
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    client.get_data("/mine", &watcher).await.unwrap();
    let (id, seen) = (client.session_id(), client.last_zxid());
    target.server().stop().await;
    until_not_connected(&client).await;
    target.server().restart().await.unwrap();
    until_connected(&client).await;
    assert_eq!(client.session_id(), id);
    let stat = client.set_data("/mine", b"x", None).await.unwrap();
    assert!(stat.mzxid > seen && stat.ephemeral_owner == id);
    assert_eq!(watcher.try_next().unwrap().path, "/mine");
}

#[tokio::test]
async fn no_server_for_a_while_is_no_reason_to_give_up() {
    let target = Target::start().await;
    let (dead, proxy) = (DeadHost::new(), Proxy::start(target.host()).await);
    let hosts = format!("{},{}", dead.host(), proxy.host());
    let client = connect(target.builder_through(&hosts)).await;
    let before = proxy.accepted();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    eventually("four attempts", async || proxy.accepted() >= before + 4).await;
    proxy.refuse(false);
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn only_the_handshake_and_what_is_due_goes_over_a_new_connection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::start(&proxy.host()).await;
    let client = target.client_through(&tap.host()).await;
    client
        .create("/a", b"", CreateMode::Persistent)
        .await
        .unwrap();
    proxy.cut(Cut::Reset);
    eventually("the next connection", async || tap.connections() == 2).await;
    client.get_data("/", None).await.unwrap();
    // Nothing answered is sent again, and no watches are set where there are none.
    let ops = tap.seen().into_iter().filter(|seen| seen.connection == 1);
    let ops: Vec<i32> = ops.map(|seen| seen.request.op).collect();
    assert_eq!(ops[0], i32::from(OpCode::CreateSession));
    let idle = [OpCode::Ping, OpCode::GetData].map(i32::from);
    assert!(ops[1..].iter().all(|op| idle.contains(op)), "{ops:?}");
}
