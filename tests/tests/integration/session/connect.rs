//! How a session begins.

use std::time::Duration;

use zk_client::{Client, ConnectError, CreateMode, SessionState};
use zk_proto::{OpCode, SessionId};
use zk_tests::raw_session::{RawSession, connect_request, end_session};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, within};
use zk_tests::{DeadHost, FakeServer, Proxy, Tap, Target};

#[tokio::test]
async fn connect_returns_once_a_session_exists() {
    let target = Target::start().await;
    let client = Client::connect(&target.connect_string()).await.unwrap();
    assert_ne!(client.session_id(), SessionId::NONE);
    assert_eq!(client.session_password().as_bytes().len(), 16);
    assert!(matches!(
        *client.state().borrow(),
        SessionState::Connected { .. }
    ));
    assert!(client.connected_host().is_some());
    assert!(client.last_proof_of_life().is_some());
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn the_session_timeout_is_the_one_negotiated() {
    let target = Target::start().await;
    for asked in [
        Duration::from_millis(1),
        Duration::from_secs(7),
        Duration::from_secs(86_400),
    ] {
        let request = zk_proto::record::ConnectRequest {
            timeout_ms: asked.as_millis() as i32,
            ..connect_request(SessionId::NONE, zk_proto::Password::none())
        };
        let raw = RawSession::handshake(target.host(), &request)
            .await
            .unwrap();
        let granted = raw.response.timeout_ms as u64;
        raw.close().await.unwrap();
        let client = connect(target.builder().session_timeout(asked)).await;
        assert_eq!(client.session_timeout(), Duration::from_millis(granted));
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn connect_fails_at_its_deadline_with_what_each_host_answered() {
    let dead = DeadHost::new();
    let closing = FakeServer::start(async |connection, _| drop(connection)).await;
    let silent = FakeServer::start(async |connection, _| connection.fall_silent().await).await;
    let hosts = [dead.host(), closing.host(), silent.host()];
    let deadline = Duration::from_secs(2);
    let builder = Client::builder(&hosts.join(","))
        .session_timeout(Duration::from_secs(3))
        .connect_deadline(deadline);
    let error = within("the deadline", builder.connect()).await.unwrap_err();
    let text = error.to_string();
    let ConnectError::NoServer {
        attempts,
        deadline: reported,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(reported, deadline);
    for host in hosts {
        let attempt = attempts
            .iter()
            .find(|attempt| attempt.host.to_string() == host);
        assert!(
            attempt.is_some_and(|attempt| !attempt.reason.is_empty()),
            "{host}: {attempts:?}"
        );
        assert!(text.contains(&host), "{text}");
    }
}

#[tokio::test]
async fn a_dead_or_silent_host_leaves_time_for_the_next() {
    let target = Target::start().await;
    let dead = DeadHost::new();
    let silent = FakeServer::start(async |connection, _| connection.fall_silent().await).await;
    let hosts = format!("{},{},{}", dead.host(), silent.host(), target.host());
    let builder = target
        .builder_through(&hosts)
        .session_timeout(Duration::from_secs(6))
        .shuffle(false);
    let client = connect(builder).await;
    assert_eq!(silent.connections(), 1);
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn clients_spread_over_the_servers() {
    let target = Target::start().await;
    let (one, other) = (
        Proxy::start(target.host()).await,
        Proxy::start(target.host()).await,
    );
    let hosts = format!("{},{}", one.host(), other.host());
    // Chances are one in two to the twenty-ninth that all choose alike.
    for _ in 0..30 {
        target.client_through(&hosts).await.close().await.unwrap();
    }
    assert!(one.accepted() > 0 && other.accepted() > 0);
}

#[tokio::test]
async fn nothing_is_written_behind_the_handshake_before_its_answer() {
    let target = Target::start().await;
    let silent = FakeServer::start(async |mut connection, _| {
        connection.connect_request().await;
        connection.until_closed().await;
    })
    .await;
    let proxy = Proxy::start(&silent.host()).await;
    let builder = target
        .builder_through(&proxy.host())
        .auth("digest", b"user:password")
        .connect_deadline(Duration::from_millis(500));
    builder.connect().await.unwrap_err();
    // Length word, then the handshake's 45 bytes, per connection.
    let sent = proxy.forwarded(zk_tests::Direction::ToServer);
    assert!(sent > 0 && sent % 49 == 0, "{sent}");
}

#[tokio::test]
async fn an_idle_session_is_kept_alive_by_pings() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let builder = target.builder_through(&tap.host());
    let client = connect(builder.session_timeout(Duration::from_secs(2))).await;
    client
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let session = client.session_id();
    // At least every third of the timeout, so five take longer than it.
    eventually("five pings", async || tap.count(OpCode::Ping) >= 5).await;
    assert_eq!(client.session_id(), session);
    assert!(client.exists("/mine", None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_saved_session_can_be_resumed() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let first = target.client_through(&proxy.host()).await;
    first
        .create("/mine", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let (id, password) = (first.session_id(), first.session_password());
    // The first holder is cut off, as if its process had died.
    proxy.refuse(true);
    proxy.cut(zk_tests::Cut::Reset);

    let second = connect(target.builder().resume(id, password)).await;
    assert_eq!(second.session_id(), id);
    let stat = second.exists("/mine", None).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, id);
}

#[tokio::test]
async fn resuming_a_session_that_is_gone_fails() {
    let target = Target::start().await;
    let client = target.client().await;
    let (id, password) = (client.session_id(), client.session_password());
    client.close().await.unwrap();
    end_session(target.host(), id, &password).await;
    let resumed = within("an answer", target.builder().resume(id, password).connect()).await;
    assert!(
        matches!(resumed, Err(ConnectError::SessionExpired)),
        "{resumed:?}"
    );
}
