//! Servers whose session is fine but whose answers are not.

use std::time::Duration;

use futures_util::future::join;
use zk_client::{Client, ClientBuilder, CreateMode, Error, ErrorCode, Outcome, Watcher};
use zk_proto::record::{
    CreateResponse, ErrorResponse, GetDataResponse, MultiResponse, MultiResult,
};
use zk_proto::{EventType, OpCode, Stat, Xid};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, within};
use zk_tests::{FakeConnection, FakeServer, Request};

fn builder(server: &FakeServer) -> ClientBuilder {
    Client::builder(&server.host())
}

fn data() -> GetDataResponse {
    GetDataResponse {
        data: Some(b"data"[..].into()),
        stat: Stat::default(),
    }
}

/// Serves reads and closeSession.
async fn serve(mut connection: FakeConnection) {
    while let Some(request) = connection.request(1).await {
        match OpCode::try_from(request.op) {
            Ok(OpCode::GetData) => {
                connection
                    .reply(request.xid, 1, ErrorCode::Ok, &data())
                    .await
            }
            _ => connection.reply(request.xid, 1, ErrorCode::Ok, &()).await,
        }
    }
}

/// A server that answers the first request of its first connection by `script`,
/// and behaves from the second connection on.
async fn misbehaves_once<F>(
    script: impl Fn(FakeConnection, Request) -> F + Clone + Send + Sync + 'static,
) -> FakeServer
where
    F: Future<Output = ()> + Send + 'static,
{
    FakeServer::start(move |mut connection, number| {
        let script = script.clone();
        async move {
            if connection.handshake().await.is_none() {
                return;
            }
            if number > 0 {
                return serve(connection).await;
            }
            if let Some(request) = connection.request(1).await {
                script(connection, request).await;
            }
        }
    })
    .await
}

/// The call fails as a lost one, and the client is well on its next connection.
async fn costs_the_connection(server: FakeServer) {
    let client = connect(builder(&server)).await;
    let (read, write) = join(
        client.get_data("/", None),
        client.create("/a", b"", CreateMode::Persistent),
    )
    .await;
    assert_eq!(
        read.unwrap_err(),
        Error::ConnectionLost {
            outcome: Outcome::NotApplied
        }
    );
    assert!(matches!(write.unwrap_err(), Error::ConnectionLost { .. }));
    within("the next connection", client.get_data("/", None))
        .await
        .unwrap();
    assert_eq!(server.connections(), 2);
    // One that is dropped dials for as long as its session may live, and if another test's server
    // is given the port meanwhile, that one counts a connection too many.
    within("the close", client.close()).await.unwrap();
}

#[tokio::test]
async fn frames_that_cannot_be_cost_the_connection() {
    let answers: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        // Lengths: negative, huge.
        &[0xff; 4],
        &[0x7f, 0xff, 0xff, 0xff],
        // Frames too short for a header.
        &[0, 0, 0, 0],
        &[0, 0, 0, 15, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    ];
    for answer in answers {
        costs_the_connection(
            misbehaves_once(move |mut connection, _| async move {
                connection.send_raw(answer).await;
                connection.until_closed().await;
            })
            .await,
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_that_closes_within_a_frame_costs_the_connection() {
    for reset in [false, true] {
        costs_the_connection(
            misbehaves_once(move |mut connection, _| async move {
                connection.send_raw(&[0, 0, 0, 90, 0, 0, 0, 1, 0, 0]).await;
                if reset {
                    connection.reset();
                }
            })
            .await,
        )
        .await;
    }
}

#[tokio::test]
async fn a_reply_to_nothing_costs_the_connection() {
    for xid in [Xid(77), Xid(0), Xid(-3), Xid::AUTH, Xid::SET_WATCHES] {
        costs_the_connection(
            misbehaves_once(move |mut connection, _| async move {
                connection.reply(xid, 1, ErrorCode::Ok, &data()).await;
                connection.until_closed().await;
            })
            .await,
        )
        .await;
    }
}

#[tokio::test]
async fn replies_out_of_order_cost_the_connection_and_answer_nobody() {
    costs_the_connection(
        misbehaves_once(async |mut connection, first| {
            let Some(second) = connection.request(1).await else {
                return;
            };
            let created = CreateResponse { path: "/a".into() };
            connection
                .reply(second.xid, 1, ErrorCode::Ok, &created)
                .await;
            connection.reply(first.xid, 1, ErrorCode::Ok, &data()).await;
            connection.until_closed().await;
        })
        .await,
    )
    .await;
}

#[tokio::test]
async fn a_reply_twice_costs_the_connection() {
    let server = misbehaves_once(async |mut connection, request| {
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &data())
            .await;
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &data())
            .await;
        connection.until_closed().await;
    })
    .await;
    let client = connect(builder(&server)).await;
    client.get_data("/", None).await.unwrap();
    eventually("the next connection", async || server.connections() == 2).await;
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_body_that_cannot_be_read_fails_its_call_alone() {
    let server = misbehaves_once(async |mut connection, read| {
        // A body that is cut off, then a null where a path belongs.
        connection.reply(read.xid, 1, ErrorCode::Ok, &7).await;
        let Some(write) = connection.request(1).await else {
            return;
        };
        connection.reply(write.xid, 1, ErrorCode::Ok, &-1).await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let error = client.get_data("/", None).await.unwrap_err();
    assert!(matches!(error, Error::BadReply(_)), "{error:?}");
    let error = client
        .create("/a", b"", CreateMode::Persistent)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::BadReply(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Applied);
    client.get_data("/", None).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn lists_that_claim_more_than_is_there_are_no_reason_to_allocate() {
    let server = misbehaves_once(async |mut connection, request| {
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &i32::MAX)
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let error = client.get_children("/", None).await.unwrap_err();
    assert!(matches!(error, Error::BadReply(_)), "{error:?}");
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_shown_as_it_is() {
    let server = misbehaves_once(async |mut connection, request| {
        connection
            .reply(request.xid, 1, ErrorCode::Other(-999), &())
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let error = client.get_data("/", None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Other(-999)));
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_transaction_with_too_few_or_too_many_results_is_unreadable() {
    for results in [0, 3] {
        let server = misbehaves_once(move |mut connection, request| async move {
            let results = vec![MultiResult::Delete; results];
            connection
                .reply(request.xid, 1, ErrorCode::Ok, &MultiResponse { results })
                .await;
            serve(connection).await;
        })
        .await;
        let client = connect(builder(&server)).await;
        let commit = client
            .transaction()
            .delete("/a", None)
            .delete("/b", None)
            .commit();
        let error = commit.await.unwrap_err();
        assert!(matches!(error, Error::BadReply(_)), "{error:?}");
    }
}

#[tokio::test]
async fn results_of_another_kind_than_asked_for_do_no_harm() {
    let server = misbehaves_once(async |mut connection, request| {
        let results = vec![MultiResult::Check, MultiResult::GetData(data())];
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &MultiResponse { results })
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let commit = client
        .transaction()
        .delete("/a", None)
        .delete("/b", None)
        .commit();
    assert!(matches!(commit.await, Err(Error::BadReply(_))));
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn events_that_nobody_asked_for_or_understands_are_passed_over() {
    let server = misbehaves_once(async |mut connection, request| {
        connection
            .event(EventType::NodeDeleted, "/nobody/asked")
            .await;
        connection
            .event(EventType::NodeDataChanged, "not a path")
            .await;
        let odd = zk_proto::record::WatcherEvent {
            event_type: 99,
            state: 98,
            path: "/".into(),
        };
        connection
            .reply(Xid::NOTIFICATION, -1, ErrorCode::Ok, &odd)
            .await;
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &data())
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    assert_eq!(watcher.try_next(), None);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_ping_answered_twice_or_unasked_does_no_harm() {
    let server = misbehaves_once(async |mut connection, request| {
        connection.reply(Xid::PING, 1, ErrorCode::Ok, &()).await;
        connection.reply(Xid::PING, 1, ErrorCode::Ok, &()).await;
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &data())
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    client.get_data("/", None).await.unwrap();
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_back_in_time_is_left() {
    let server = FakeServer::start(async |mut connection, number| {
        if connection.handshake().await.is_none() {
            return;
        }
        // Zxid 9 on the first connection, 5 on the second, 9 again from then on.
        let zxid = if number == 1 { 5 } else { 9 };
        while let Some(request) = connection.request(zxid).await {
            connection
                .reply(request.xid, zxid, ErrorCode::Ok, &data())
                .await;
            if number == 0 {
                return;
            }
        }
    })
    .await;
    let client = connect(builder(&server)).await;
    client.get_data("/", None).await.unwrap();
    eventually("the second connection", async || server.connections() == 2).await;
    // What the server in the past says is not believed.
    let read = within("an answer", client.get_data("/", None)).await;
    assert!(
        matches!(read, Err(Error::ConnectionLost { .. })),
        "{read:?}"
    );
    within("an answer", client.get_data("/", None))
        .await
        .unwrap();
    assert_eq!((server.connections(), client.last_zxid().0), (3, 9));
}

#[tokio::test]
async fn replies_that_trickle_in_byte_by_byte_are_put_together() {
    let server = misbehaves_once(async |mut connection, request| {
        let header = zk_proto::ReplyHeader {
            xid: request.xid,
            zxid: zk_proto::Zxid(1),
            err: ErrorCode::Ok,
        };
        let mut frame = bytes::BytesMut::new();
        zk_proto::encode_frame(&mut frame, &(header, data()));
        for byte in frame {
            connection.send_raw(&[byte]).await;
        }
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    assert_eq!(&client.get_data("/", None).await.unwrap().0[..], b"data");
}

#[tokio::test]
async fn a_session_whose_server_falls_silent_is_looked_for_elsewhere() {
    let server = FakeServer::start(async |mut connection, number| {
        let granted = zk_proto::record::ConnectResponse {
            timeout_ms: 300,
            ..zk_tests::fake_server::session_granted()
        };
        if connection.connect_request().await.is_none() {
            return;
        }
        connection.send(&granted).await;
        match number {
            0 => connection.until_closed().await,
            _ => serve(connection).await,
        }
    })
    .await;
    let client = connect(builder(&server).operation_deadline(Duration::from_secs(20))).await;
    let read = within("an answer", client.get_data("/", None)).await;
    assert!(
        matches!(read, Err(Error::ConnectionLost { .. })),
        "{read:?}"
    );
    within("an answer", client.get_data("/", None))
        .await
        .unwrap();
}

#[tokio::test]
async fn add_watch_refused_in_its_body_is_an_answer_like_any_other() {
    let server = misbehaves_once(async |mut connection, request| {
        let refused = ErrorResponse {
            err: ErrorCode::NoAuth.code(),
        };
        connection
            .reply(request.xid, 1, ErrorCode::Ok, &refused)
            .await;
        serve(connection).await;
    })
    .await;
    let client = connect(builder(&server)).await;
    let watcher = Watcher::new();
    let added = client.add_watch("/", zk_client::AddWatchMode::Persistent, &watcher);
    let _ = within("an answer", added).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(server.connections(), 1);
}
