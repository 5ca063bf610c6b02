//! Servers that have lost their ensemble and serve reads alone.

use std::time::Duration;

use zk_client::{Client, ConnectError, CreateMode, Error, Outcome, SessionState};
use zk_proto::record::{ConnectResponse, GetDataResponse};
use zk_proto::{ErrorCode, OpCode, Stat};
use zk_tests::fake_server::session_granted;
use zk_tests::target::connect;
use zk_tests::wait::{until_connected, until_state, within};
use zk_tests::{DeadHost, FakeConnection, FakeServer, Target};

/// Serves getData, and closes to those who do not accept a read-only server.
async fn read_only(mut connection: FakeConnection, _: usize) {
    let Some(request) = connection.connect_request().await else {
        return;
    };
    if request.read_only != Some(true) {
        return;
    }
    let response = ConnectResponse {
        read_only: Some(true),
        ..session_granted()
    };
    connection.send(&response).await;
    while let Some(request) = connection.request(1).await {
        let data = GetDataResponse {
            data: None,
            stat: Stat::default(),
        };
        match OpCode::try_from(request.op) {
            Ok(OpCode::GetData) => connection.reply(request.xid, 1, ErrorCode::Ok, &data).await,
            _ => {
                connection
                    .reply(request.xid, 1, ErrorCode::NotReadOnly, &())
                    .await
            }
        }
    }
}

fn builder(hosts: &str) -> zk_client::ClientBuilder {
    Client::builder(hosts)
        .shuffle(false)
        .connect_deadline(Duration::from_secs(10))
}

#[tokio::test]
async fn a_read_only_server_is_not_accepted_unless_asked_for() {
    let server = FakeServer::start(read_only).await;
    let refused = builder(&server.host())
        .connect_deadline(Duration::from_secs(1))
        .connect();
    let error = within("the deadline", refused).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoServer { .. }), "{error:?}");
}

#[tokio::test]
async fn on_a_read_only_server_reads_work_and_writes_have_their_own_error() {
    let server = FakeServer::start(read_only).await;
    let client = connect(builder(&server.host()).allow_read_only(true)).await;
    assert!(matches!(
        *client.state().borrow(),
        SessionState::ConnectedReadOnly { .. }
    ));
    client.get_data("/", None).await.unwrap();
    let write = within(
        "an answer",
        client.create("/a", b"", CreateMode::Persistent),
    )
    .await;
    let error = write.unwrap_err();
    assert_eq!(error, Error::ReadOnly);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    // The connection outlives the refusal.
    client.get_data("/", None).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_read_write_server_is_looked_for_meanwhile() {
    let target = Target::start().await;
    let server = FakeServer::start(read_only).await;
    // No server at first; its place in the list is taken by a live one later.
    let dead = DeadHost::new();
    let hosts = format!("{},{}", server.host(), dead.host());
    let client = connect(builder(&hosts).allow_read_only(true)).await;
    until_state(&client, |state| {
        matches!(state, SessionState::ConnectedReadOnly { .. })
    })
    .await;
    client
        .update_hosts(&format!("{},{}", server.host(), target.host()))
        .unwrap();
    until_connected(&client).await;
    let path = format!("{}/a", target.root());
    client
        .create(&path, b"", CreateMode::Persistent)
        .await
        .unwrap();
}
