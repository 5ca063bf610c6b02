//! Servers whose handshake is odd or does not come.

use std::time::Duration;

use zk_client::{Client, ClientBuilder, ConnectError, SessionState};
use zk_proto::record::{ConnectResponse, GetDataResponse};
use zk_proto::{Encode, ErrorCode, OpCode, Password, SessionId, Stat};
use zk_tests::fake_server::{SESSION, session_granted};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, ready_within, until_state, within};
use zk_tests::{FakeConnection, FakeServer};

fn builder(server: &FakeServer) -> ClientBuilder {
    Client::builder(&server.host()).session_timeout(Duration::from_secs(10))
}

/// Serves getData and closeSession.
async fn serve(mut connection: FakeConnection) {
    while let Some(request) = connection.request(1).await {
        let data = GetDataResponse {
            data: None,
            stat: Stat::default(),
        };
        match OpCode::try_from(request.op) {
            Ok(OpCode::GetData) => connection.reply(request.xid, 1, ErrorCode::Ok, &data).await,
            _ => connection.reply(request.xid, 1, ErrorCode::Ok, &()).await,
        }
    }
}

/// A server that first answers the handshake with `bytes`, then normally.
async fn first_answers(bytes: Vec<u8>) -> FakeServer {
    FakeServer::start(move |mut connection, number| {
        let bytes = bytes.clone();
        async move {
            if number > 0 {
                connection.handshake().await;
                return serve(connection).await;
            }
            connection.connect_request().await;
            connection.send_raw(&bytes).await;
            connection.until_closed().await;
        }
    })
    .await
}

fn framed(record: &impl Encode) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    zk_proto::encode_frame(&mut out, record);
    out.to_vec()
}

#[tokio::test]
async fn bytes_that_are_no_handshake_are_left_for_another_attempt() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
        // The password's length is beyond the frame.
        &[
            0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 39, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff,
        ],
    ];
    for answer in answers {
        let server = first_answers(answer.to_vec()).await;
        // At once, not when the attempt's time is up.
        let soon = ready_within(Duration::from_secs(5), connect(builder(&server))).await;
        let client = soon.unwrap_or_else(|| panic!("waits for more than {answer:?}"));
        client.get_data("/", None).await.unwrap();
        assert_eq!(server.connections(), 2, "{answer:?}");
        within("the close", client.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_session_that_is_refused_is_asked_for_again() {
    for timeout_ms in [0, -1, i32::MIN] {
        let refused = ConnectResponse {
            timeout_ms,
            ..ConnectResponse::expired(Some(false))
        };
        let server = first_answers(framed(&refused)).await;
        let client = connect(builder(&server)).await;
        assert_eq!(client.session_id(), SESSION);
        assert_eq!(server.connections(), 2);
        within("the close", client.close()).await.unwrap();
    }
}

#[tokio::test]
async fn an_old_servers_answer_without_the_read_only_byte_is_taken() {
    let server = FakeServer::start(async |mut connection, _| {
        connection.connect_request().await;
        connection
            .send(&ConnectResponse {
                read_only: None,
                ..session_granted()
            })
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    assert!(matches!(
        *client.state().borrow(),
        SessionState::Connected { .. }
    ));
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_password_of_any_length_is_kept_and_presented_again() {
    for len in [0, 1, 40] {
        let password = Password::new(vec![9; len]);
        let granted = ConnectResponse {
            password: password.clone(),
            ..session_granted()
        };
        let server = FakeServer::start(move |mut connection, number| {
            let granted = granted.clone();
            async move {
                let request = connection.connect_request().await.unwrap();
                if number > 0 {
                    assert_eq!(
                        (request.session_id, &request.password),
                        (SESSION, &granted.password)
                    );
                }
                connection.send(&granted).await;
                if number > 0 {
                    serve(connection).await;
                }
            }
        })
        .await;
        let client = connect(builder(&server)).await;
        eventually("the next connection", async || server.connections() == 2).await;
        client.get_data("/", None).await.unwrap();
        assert_eq!(client.session_password(), password);
    }
}

#[tokio::test]
async fn the_timeout_granted_is_the_one_that_counts() {
    let granted = ConnectResponse {
        timeout_ms: 60,
        ..session_granted()
    };
    let server = FakeServer::start(move |mut connection, _| {
        let granted = granted.clone();
        async move {
            connection.connect_request().await;
            connection.send(&granted).await;
            connection.until_closed().await;
        }
    })
    .await;
    // Ten seconds were asked for: silence is found by what was granted.
    let client = connect(builder(&server)).await;
    eventually("the next attempt", async || server.connections() >= 3).await;
    assert_eq!(client.session_timeout(), Duration::from_millis(60));
}

#[tokio::test]
async fn an_answer_for_somebody_elses_session_ends_ones_own() {
    let server = FakeServer::start(async |mut connection, number| {
        if connection.connect_request().await.is_none() {
            return;
        }
        let session_id = SessionId(SESSION.0 + number as i64);
        connection
            .send(&ConnectResponse {
                session_id,
                ..session_granted()
            })
            .await;
        if number > 0 {
            serve(connection).await;
        }
    })
    .await;
    let client = connect(builder(&server)).await;
    let epoch = client.epoch();
    // Whatever was tied to the old session is not carried into another.
    eventually("a session of a new epoch", async || {
        client.epoch() > epoch && client.state().borrow().is_connected()
    })
    .await;
    client.get_data("/", None).await.unwrap();
    assert_ne!(client.session_id(), SESSION);
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_costs_one_attempt_at_a_time() {
    let server = FakeServer::start(async |connection, _| connection.until_closed().await).await;
    let connecting = builder(&server)
        .session_timeout(Duration::from_millis(300))
        .connect_deadline(Duration::from_secs(2))
        .connect();
    let error = within("the deadline", connecting).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoServer { .. }), "{error:?}");
    // An attempt lasts the session timeout.
    assert!(
        (2..=8).contains(&server.connections()),
        "{}",
        server.connections()
    );
}

#[tokio::test]
async fn a_handshake_that_trickles_in_is_not_waited_for_beyond_the_timeout() {
    let server = FakeServer::start(async |mut connection, number| {
        connection.connect_request().await;
        if number > 0 {
            connection.send(&session_granted()).await;
            return serve(connection).await;
        }
        // Begins the answer and never ends it.
        connection.send_raw(&[0, 0, 0, 37, 0, 0]).await;
        connection.until_closed().await;
    })
    .await;
    let client = connect(builder(&server).session_timeout(Duration::from_millis(500))).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_closes_right_after_accepting_is_not_hammered() {
    let server = FakeServer::start(async |connection, _| drop(connection)).await;
    let deadline = Duration::from_secs(2);
    let connecting = builder(&server).connect_deadline(deadline).connect();
    within("the deadline", connecting).await.unwrap_err();
    // The backoff doubles from 50 ms: a handful of attempts, not thousands.
    assert!(
        (2..=20).contains(&server.connections()),
        "{}",
        server.connections()
    );
}

#[tokio::test]
async fn a_session_said_to_be_gone_on_reconnect_is_expired() {
    let server = FakeServer::start(async |mut connection, number| match number {
        0 => drop(connection.handshake().await),
        1 => {
            connection.connect_request().await;
            connection
                .send(&ConnectResponse::expired(Some(false)))
                .await;
        }
        _ => connection.until_closed().await,
    })
    .await;
    let client = connect(builder(&server).new_session_after_expiry(false)).await;
    until_state(&client, |state| {
        matches!(state, SessionState::Expired { .. })
    })
    .await;
}
