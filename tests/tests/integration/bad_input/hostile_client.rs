//! Clients that mean harm: the server drops or refuses them, and other sessions
//! never notice.

use std::io;

use bytes::Bytes;
use zk_client::{Client, CreateMode, Watcher};
use zk_proto::record::{CreateRequest, CreateTtlRequest, DeleteContainerRequest};
use zk_proto::{Encode, ErrorCode, OpCode, ReplyHeader, RequestHeader, Xid};
use zk_tests::wait::within;
use zk_tests::{RawSession, Target, Wire, bundled_only};

/// A well-behaved session that must not notice anything.
struct Bystander {
    client: Client,
    watcher: Watcher,
    session: zk_client::SessionId,
}

impl Bystander {
    async fn new(target: &Target) -> Self {
        let client = target.client().await;
        let watcher = Watcher::new();
        client
            .create("/mine", b"", CreateMode::Ephemeral)
            .await
            .unwrap();
        client.get_data("/mine", &watcher).await.unwrap();
        client.get_children("/", &watcher).await.unwrap();
        let session = client.session_id();
        Self {
            client,
            watcher,
            session,
        }
    }

    async fn noticed_nothing(self) {
        assert!(self.client.exists("/mine", None).await.unwrap().is_some());
        assert_eq!(self.client.get_children("/", None).await.unwrap(), ["mine"]);
        assert_eq!(self.watcher.try_next(), None);
        assert_eq!(self.client.session_id(), self.session);
    }
}

async fn until_closed(wire: &mut Wire) {
    // Reset or end of stream, as the system likes.
    let _ = within("the close", wire.read_to_end()).await;
}

/// The answer, or `None` if the server closes instead.
async fn ask(
    session: &mut RawSession,
    op: i32,
    body: &impl Encode,
) -> Option<(ReplyHeader, Bytes)> {
    session.send(op, body).await.unwrap();
    session.receive().await.ok()
}

#[tokio::test]
async fn bytes_that_are_no_handshake_are_dropped() {
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let greetings: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3],
        &[0, 0x10, 0, 0, 1, 2, 3],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 1, 2, 3, 4],
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
    ];
    for greeting in greetings {
        let mut wire = Wire::connect(target.host()).await.unwrap();
        wire.write_raw(greeting).await.unwrap();
        until_closed(&mut wire).await;
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn frames_that_cannot_be_end_the_connection() {
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let frames: [&[u8]; 5] = [
        &[0xff; 4],
        &[0x7f, 0xff, 0xff, 0xff],
        // One more than jute.maxbuffer.
        &[0, 0x10, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0],
    ];
    for frame in frames {
        let mut session = RawSession::open(target.host()).await.unwrap();
        session.wire.write_raw(frame).await.unwrap();
        until_closed(&mut session.wire).await;
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_answered_and_the_connection_stays() {
    bundled_only!(
        "bad_input::hostile_client::bodies_that_cannot_be_read_are_answered_and_the_connection_stays"
    );
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let mut session = RawSession::open(target.host()).await.unwrap();
    let ops = [
        OpCode::Create,
        OpCode::Delete,
        OpCode::Exists,
        OpCode::GetData,
        OpCode::SetData,
        OpCode::GetAcl,
        OpCode::SetAcl,
        OpCode::GetChildren,
        OpCode::GetChildren2,
        OpCode::Multi,
        OpCode::Create2,
        OpCode::RemoveWatches,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::SetWatches,
    ];
    for op in ops {
        // A string that claims two billion bytes.
        let (header, _) = ask(&mut session, op.into(), &i32::MAX).await.unwrap();
        assert_eq!(header.err, ErrorCode::MarshallingError, "{op:?}");
    }
    assert_eq!(
        session
            .create(&format!("{}/mine/x", target.root()))
            .await
            .unwrap(),
        ErrorCode::NoChildrenForEphemerals
    );
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn unknown_operations_are_refused_and_end_the_connection() {
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    for op in [
        10,
        23,
        99,
        108,
        1000,
        -1,
        -100,
        i32::MIN,
        i32::MAX,
        OpCode::Notification.into(),
    ] {
        let mut session = RawSession::open(target.host()).await.unwrap();
        if let Some((header, body)) = ask(&mut session, op, &()).await {
            assert_eq!(
                (header.err, header.zxid.0, body.len()),
                (ErrorCode::Unimplemented, -1, 0),
                "{op}"
            );
        }
        until_closed(&mut session.wire).await;
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn the_reapers_operation_is_not_for_clients() {
    bundled_only!("bad_input::hostile_client::the_reapers_operation_is_not_for_clients");
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let mut session = RawSession::open(target.host()).await.unwrap();
    let path = format!("{}/mine", target.root());
    let request = DeleteContainerRequest {
        path: Some(path.as_bytes().into()),
    };
    if let Some((header, _)) = ask(&mut session, OpCode::DeleteContainer.into(), &request).await {
        assert_ne!(header.err, ErrorCode::Ok);
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn modes_that_do_not_fit_their_operation_are_refused() {
    bundled_only!("bad_input::hostile_client::modes_that_do_not_fit_their_operation_are_refused");
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let mut session = RawSession::open(target.host()).await.unwrap();
    let path = format!("{}/x", target.root());
    let misfits = [
        (OpCode::Create, vec![4, 5, 6, 7, -1, i32::MAX]),
        (OpCode::Create2, vec![4, 5, 6, 7, -1]),
        (OpCode::CreateContainer, vec![0, 1, 2, 3, 5, 6, 7]),
    ];
    for (op, flags) in misfits {
        for flags in flags {
            let request = CreateRequest {
                path: path.as_str().into(),
                data: None,
                acl: Some(zk_proto::data::open_acl()),
                flags,
            };
            let answer = ask(&mut session, op.into(), &request).await;
            let err = answer.map(|(header, _)| header.err);
            assert!(
                err.is_some_and(|err| err != ErrorCode::Ok),
                "{op:?} with {flags}: {err:?}"
            );
        }
    }
    for flags in [0, 1, 2, 3, 4, 7] {
        let request = CreateTtlRequest {
            path: path.as_str().into(),
            data: None,
            acl: Some(zk_proto::data::open_acl()),
            flags,
            ttl_ms: 1000,
        };
        let (header, _) = ask(&mut session, OpCode::CreateTtl.into(), &request)
            .await
            .unwrap();
        assert_ne!(header.err, ErrorCode::Ok, "{flags}");
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_frame_is_forgotten() {
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    for reset in [false, true] {
        let mut session = RawSession::open(target.host()).await.unwrap();
        session
            .wire
            .write_raw(&[0, 0, 1, 0, 0, 0, 0, 1, 0, 0])
            .await
            .unwrap();
        if reset {
            session.wire.reset();
        }
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn a_client_that_floods_and_never_reads_does_not_stop_others() {
    let target = Target::start().await;
    let bystander = Bystander::new(&target).await;
    let mut session = RawSession::open(target.host()).await.unwrap();
    let header = RequestHeader {
        xid: Xid::PING,
        op: OpCode::Ping.into(),
    };
    let mut pings = bytes::BytesMut::new();
    for _ in 0..5_000 {
        zk_proto::encode_frame(&mut pings, &header);
    }
    // More than buffers hold: at some point the server reads no more, or closes.
    let flood = async {
        for _ in 0..100 {
            session.wire.write_raw(&pings).await?;
        }
        io::Result::Ok(())
    };
    let served = async {
        for _ in 0..100 {
            bystander.client.get_data("/", None).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        () = within("the bystander's reads", served) => {}
        _ = flood => {}
    }
    bystander.noticed_nothing().await;
}

#[tokio::test]
async fn a_wrong_password_gets_the_answer_of_a_session_that_is_gone() {
    let target = Target::start().await;
    let mut owner = RawSession::open(target.host()).await.unwrap();
    let id = owner.response.session_id;
    let thief = RawSession::resume(
        target.host(),
        id,
        zk_proto::Password::new(*b"0123456789abcdef"),
    );
    let thief = thief.await.unwrap();
    assert_eq!(
        (thief.response.timeout_ms, thief.response.session_id.0),
        (0, 0)
    );
    // The owner is thrown out by that too, but the session is still the owner's.
    until_closed(&mut owner.wire).await;
    let password = owner.response.password.clone();
    let owner = RawSession::resume(target.host(), id, password)
        .await
        .unwrap();
    assert_eq!(owner.response.session_id, id);
    owner.close().await.unwrap();
}
