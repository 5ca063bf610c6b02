//! Input that no client sends, and the others who must not notice.

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use zk_proto::{CreateMode, OpCode, Password, SessionId};

use crate::raw::{World, connect_request, create_request, frame};

/// Sends `garbage` beside a session that works before and after.
async fn survives(garbage: &[&[u8]]) {
    let world = World::start().await;
    let mut bystander = world.session().await;
    bystander.create("/quiet", b"", CreateMode::Ephemeral).await;
    for bytes in garbage {
        let mut raw = world.connect().await;
        raw.send(bytes).await;
        assert!(
            raw.is_closed().await,
            "{bytes:?} is answered with a close and nothing else"
        );
        assert!(bystander.exists("/quiet").await);
    }
    assert_eq!(world.server.counters().connections, 1);
    world.server.stop().await;
    assert_eq!(world.server.tasks().await, 0);
}

#[tokio::test(start_paused = true)]
async fn unfit_length_words_close_at_once() {
    let garbage: &[&[u8]] = &[
        &[0xff; 4],
        &[0x80, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0, 0x10, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
        b"RUOK",
        &[0x16, 4, 1, 0, 0xa5, 1],
    ];
    survives(garbage).await;
}

#[tokio::test(start_paused = true)]
async fn tls_where_there_is_none_hears_an_alert_of_tls() {
    let world = World::start().await;
    let mut bystander = world.session().await;
    let mut raw = world.connect().await;
    raw.send(&[0x16, 3, 1, 0, 0xa5, 1]).await;
    let handshake_failure = [0x15, 3, 3, 0, 2, 2, 40];
    assert_eq!(raw.rest().await, handshake_failure);
    assert!(bystander.ping().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn handshakes_that_are_none_close() {
    let empty: &[u8] = &[0; 4];
    let short: &[u8] = &[0, 0, 0, 3, 1, 2, 3];
    let mut ahead = BytesMut::from(&connect_request(1000, SessionId::NONE, Password::none())[..]);
    ahead[8] = 1; // lastZxidSeen is beyond everything
    survives(&[empty, short, &ahead]).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_mid_frame_is_forgotten() {
    let world = World::start().await;
    let mut bystander = world.session().await;
    for length in [1, 3, 4, 20, 48] {
        let mut raw = world.connect().await;
        let handshake = connect_request(1000, SessionId::NONE, Password::none());
        raw.send(&handshake[..length]).await;
        drop(raw);
        assert!(bystander.ping().await.is_some());
    }
    world.pass(Duration::from_millis(100)).await;
    let counters = world.server.counters();
    assert_eq!((counters.connections, counters.sessions), (1, 1));
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_mid_request_keeps_its_session_and_loses_the_request() {
    let world = World::start().await;
    let mut bystander = world.session().await;
    let mut raw = world.session().await;
    let (_, whole) = raw.encode(
        OpCode::Create,
        &create_request("/a", b"", CreateMode::Persistent),
    );
    let (_, half) = raw.encode(
        OpCode::Create,
        &create_request("/b", b"", CreateMode::Persistent),
    );
    raw.send(&whole).await;
    raw.send(&half[..half.len() - 1]).await;
    drop(raw);
    world.pass(Duration::from_millis(100)).await;
    assert!(bystander.exists("/a").await);
    assert!(!bystander.exists("/b").await);
    assert_eq!(world.server.counters().sessions, 2);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_trickle_make_the_same_requests() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    for byte in connect_request(5000, SessionId::NONE, Password::none()) {
        raw.send(&[byte]).await;
    }
    assert!(raw.frame().await.is_some());
    let (xid, request) = raw.encode(
        OpCode::Create,
        &create_request("/slow", b"", CreateMode::Persistent),
    );
    for byte in request {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    assert!(raw.exists("/slow").await);
    world.server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn requests_behind_the_handshake_are_served_after_it() {
    let world = World::start().await;
    let mut raw = world.connect().await;
    let mut bytes = connect_request(5000, SessionId::NONE, Password::none());
    let (xid, request) = raw.encode(OpCode::Sync, &"/");
    bytes.extend_from_slice(&request);
    raw.send(&bytes).await;
    assert!(raw.frame().await.is_some());
    assert_eq!(raw.answer().await.unwrap().header.xid, xid);
    world.server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Frames with any content, before and after a handshake.
    #[test]
    fn no_bytes_disturb_another_session(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
        with_session in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = World::start().await;
            let mut bystander = world.session().await;
            bystander.create("/quiet", b"", CreateMode::Ephemeral).await;
            let mut raw = match with_session {
                true => world.session().await,
                false => world.connect().await,
            };
            for payload in frames {
                // The client may have been closed already.
                let _ = raw.try_send(&frame(&Verbatim(&payload))).await;
            }
            assert!(bystander.exists("/quiet").await);
            drop(raw);
            world.server.stop().await;
            assert_eq!(world.server.tasks().await, 0);
        });
    }
}

/// A payload as it is.
struct Verbatim<'a>(&'a [u8]);

impl zk_proto::Encode for Verbatim<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}
