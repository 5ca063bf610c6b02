//! Promise 8: every queue, frame and list has a bound, and meeting it is an error
//! that says which.

use std::time::Duration;

use futures_util::FutureExt;
use zk_client::{CreateMode, Error, ErrorCode, Outcome, QueueLimit};
use zk_proto::{DEFAULT_FRAME_LIMIT, OpCode};
use zk_server::{Server, ServerConfig};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, within};
use zk_tests::{Direction, Proxy, RawSession, Tap, Target, bundled_only};

const PERSISTENT: CreateMode = CreateMode::Persistent;

/// What a create of `/a` in the test's subtree adds to its data.
fn overhead(target: &Target) -> usize {
    // Header, path, length of data, open ACL, flags.
    8 + 4 + target.root().len() + 2 + 4 + (4 + 4 + 4 + 5 + 4 + 6) + 4
}

#[tokio::test]
async fn a_request_over_the_frame_limit_is_not_sent() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let over = vec![0; DEFAULT_FRAME_LIMIT + 1 - overhead(&target)];
    let error = client.create("/a", &over, PERSISTENT).await.unwrap_err();
    let Error::FrameTooLarge {
        ref path,
        size,
        limit,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (&**path, size, limit),
        ("/a", DEFAULT_FRAME_LIMIT + 1, DEFAULT_FRAME_LIMIT)
    );
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(!error.is_retryable());
    client.get_data("/", None).await.unwrap();
    assert_eq!((tap.count(OpCode::Create), tap.connections()), (0, 1));
}

#[tokio::test]
async fn a_request_of_exactly_the_frame_limit_is_served() {
    let target = Target::start().await;
    let client = target.client().await;
    let data = vec![7; DEFAULT_FRAME_LIMIT - overhead(&target)];
    client.create("/a", &data, PERSISTENT).await.unwrap();
    assert_eq!(client.get_data("/a", None).await.unwrap().0, data);
}

#[tokio::test]
async fn a_transaction_over_the_frame_limit_is_not_sent() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut transaction = client.transaction();
    for n in 0..3 {
        transaction = transaction.create(&format!("/{n}"), vec![0; 400_000], PERSISTENT);
    }
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, Error::FrameTooLarge { .. }), "{error:?}");
    assert!(client.get_children("/", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reply_over_the_limit_fails_its_call_and_does_not_loop() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let other = target.client().await;
    other
        .create("/big", vec![0; 50_000], PERSISTENT)
        .await
        .unwrap();
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.reply_limit(20_000)).await;
    let error = within("an answer", client.get_data("/big", None))
        .await
        .unwrap_err();
    let Error::ReplyTooLarge {
        ref path,
        size,
        limit,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((&**path, limit), ("/big", 20_000));
    assert!(size > 50_000, "{size}");
    // The same read would fail again for ever, at the price of a connection each.
    assert!(!error.is_retryable());
    until_connected(&client).await;
    client.get_data("/", None).await.unwrap();
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_full_queue_fails_the_call_at_once_and_says_which_bound() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.max_in_flight(2).queue_limits(5, 10_000)).await;
    proxy.freeze(true);
    let mut waiting = Vec::new();
    let full = loop {
        let mut call = client.get_data("/", None);
        match (&mut call).now_or_never() {
            Some(result) => break result.unwrap_err(),
            None => waiting.push(call),
        }
        assert!(waiting.len() <= 7, "no bound");
    };
    assert_eq!(
        full,
        Error::QueueFull {
            limit: QueueLimit::Requests(5)
        }
    );
    assert_eq!(full.outcome(), Outcome::NotApplied);
    assert!(full.is_retryable());
    assert!(waiting.len() >= 5);
    assert!(client.ready().now_or_never().is_none());
    proxy.freeze(false);
    within("room", client.ready()).await.unwrap();
    for call in waiting {
        call.await.unwrap();
    }
    // Whatever its size, a call finds room in an empty queue, and the next does not.
    let big = client.create("/a", vec![0; 10_001], PERSISTENT);
    let full = client.get_data("/", None).await.unwrap_err();
    assert_eq!(
        full,
        Error::QueueFull {
            limit: QueueLimit::Bytes(10_000)
        }
    );
    big.await.unwrap();
}

#[tokio::test]
async fn no_more_than_max_in_flight_is_on_the_wire() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let tap = Tap::start(&proxy.host()).await;
    let client = connect(target.builder_through(&tap.host()).max_in_flight(3)).await;
    // Requests pass, replies are held back.
    proxy.silence(Direction::ToClient, true);
    let calls: Vec<_> = (0..10).map(|_| client.get_data("/", None)).collect();
    eventually("three requests", async || tap.count(OpCode::GetData) == 3).await;
    // A fourth would have come with them: they are written together.
    let hurried = client.with_deadline(Duration::from_millis(100));
    hurried.get_data("/", None).await.unwrap_err();
    assert_eq!(tap.count(OpCode::GetData), 3);
    proxy.silence(Direction::ToClient, false);
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn ready_lets_any_number_of_calls_through_a_small_queue() {
    let target = Target::start().await;
    let client = connect(target.builder().max_in_flight(4).queue_limits(8, 1000)).await;
    let mut calls = Vec::new();
    for n in 0..200 {
        within("room", client.ready()).await.unwrap();
        calls.push(client.set_data("/", n.to_string(), None));
    }
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_stops_reading_costs_bounded_memory() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    proxy.freeze(true);
    let data = vec![0; 1_000_000];
    let mut waiting = Vec::new();
    let full = loop {
        let mut call = client.set_data("/", &data, None);
        match (&mut call).now_or_never() {
            Some(result) => break result.unwrap_err(),
            None => waiting.push(call),
        }
        assert!(waiting.len() <= 64, "no bound");
    };
    assert!(
        matches!(
            full,
            Error::QueueFull {
                limit: QueueLimit::Bytes(_)
            }
        ),
        "{full:?}"
    );
}

#[tokio::test]
async fn the_default_deadline_of_a_call_can_be_chosen() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let deadline = Duration::from_millis(300);
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.operation_deadline(deadline)).await;
    proxy.freeze(true);
    let error = within("the deadline", client.get_data("/", None))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        Error::DeadlineExceeded {
            deadline,
            outcome: Outcome::NotApplied
        }
    );
    let patient = client
        .with_deadline(Duration::from_secs(30))
        .get_data("/", None);
    proxy.freeze(false);
    patient.await.unwrap();
}

#[tokio::test]
async fn a_list_of_children_may_be_larger_than_a_request() {
    let target = Target::start().await;
    let client = target.client().await;
    let name = "n".repeat(1000);
    for n in 0..1200 {
        within("room", client.ready()).await.unwrap();
        drop(client.create(&format!("/{name}{n}"), b"", PERSISTENT));
    }
    assert_eq!(client.get_children("/", None).await.unwrap().len(), 1200);
}

#[tokio::test]
async fn one_address_gets_only_so_many_connections() {
    bundled_only!("limits::one_address_gets_only_so_many_connections");
    let config = ServerConfig::embedded()
        .max_client_cnxns(2)
        .build()
        .unwrap();
    let target = Target::bundled(Server::builder().config(config).start().await.unwrap()).await;
    let first = target.client().await;
    let second = RawSession::open(target.host()).await.unwrap();
    let refused = target
        .builder()
        .connect_deadline(Duration::from_millis(500))
        .connect();
    within("the deadline", refused).await.unwrap_err();
    second.close().await.unwrap();
    let third = target.client().await;
    third.get_data("/", None).await.unwrap();
    first.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn a_hard_quota_refuses_what_exceeds_it() {
    bundled_only!("limits::a_hard_quota_refuses_what_exceeds_it");
    let config = ServerConfig::embedded()
        .enforce_quota(true)
        .build()
        .unwrap();
    let target = Target::bundled(Server::builder().config(config).start().await.unwrap()).await;
    let outside = connect(zk_client::Client::builder(target.host())).await;
    let quota = format!("/zookeeper/quota{}", target.root());
    outside
        .create_all(
            &format!("{quota}/zookeeper_limits"),
            b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3",
            PERSISTENT,
        )
        .await
        .unwrap();
    outside
        .create(
            &format!("{quota}/zookeeper_stats"),
            b"count=1,bytes=0",
            PERSISTENT,
        )
        .await
        .unwrap();
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    client.create("/b", b"", PERSISTENT).await.unwrap();
    let error = client.create("/c", b"", PERSISTENT).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::QuotaExceeded));
}

#[tokio::test]
async fn credentials_are_bounded_because_every_connection_presents_them_all() {
    let target = Target::start().await;
    let client = target.client().await;
    for n in 0..256 {
        client
            .add_auth("digest", format!("user{n}:password"))
            .await
            .unwrap();
    }
    let error = client.add_auth("digest", b"one:more").await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    client.add_auth("digest", b"user0:password").await.unwrap();
}
