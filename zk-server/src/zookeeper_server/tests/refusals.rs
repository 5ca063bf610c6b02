//! What the server does not take, and that nobody else notices.

use zk_proto::record::{GetSaslRequest, ReconfigRequest};

use super::*;

#[test]
fn unknown_operations_are_answered_and_close() {
    let mut s = Fixture::new();
    let witness = s.client();
    // Not assigned; not for clients; only inside a multi; no requests.
    for op in [10, 23, 99, 108, i32::MAX, -5, -10, 20, 13, 0, -1] {
        let c = s.client();
        let before = s.zxid();
        let reply = s.call_xid(&c, Xid(3), op, &create("/x", 0));
        assert_eq!(
            (reply.xid, reply.zxid, reply.err),
            (Xid(3), Zxid(-1), ErrorCode::Unimplemented),
            "{op}"
        );
        assert!(reply.body.is_empty() && s.is_closed(&c));
        assert_eq!(s.zxid(), before);
    }
    assert_eq!(s.server.node_count(), 5);
    assert_eq!(s.call(&witness, OpCode::Ping, &()).err, ErrorCode::Ok);
}

#[test]
fn frames_too_short_for_a_header_close_without_a_word() {
    let mut s = Fixture::new();
    for len in 0..8 {
        let c = s.client();
        s.feed(c.conn, &Raw(&[0; 7][..len]));
        assert!(s.is_closed(&c) && s.inbox(&c).frames.is_empty(), "{len}");
    }
}

#[test]
fn a_handshake_that_is_none_closes_without_a_word() {
    let mut s = Fixture::new();
    let mut whole = BytesMut::new();
    new_session().encode(&mut whole);
    for len in 0..44 {
        let conn = s.accept();
        s.feed(conn, &Raw(&whole[..len]));
        assert!(s.inboxes[&conn].is_closed, "{len}");
        assert!(s.inboxes[&conn].frames.is_empty());
    }
    assert_eq!(s.server.session_count(), 0);
}

#[test]
fn bodies_that_cannot_be_read_are_answered() {
    let mut s = Fixture::new();
    let c = s.client();
    for op in [
        OpCode::Create,
        OpCode::Create2,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::Delete,
        OpCode::Exists,
        OpCode::GetData,
        OpCode::SetData,
        OpCode::GetAcl,
        OpCode::SetAcl,
        OpCode::GetChildren,
        OpCode::GetChildren2,
        OpCode::GetAllChildrenNumber,
        OpCode::GetEphemerals,
        OpCode::Sync,
        OpCode::Multi,
        OpCode::MultiRead,
        OpCode::Reconfig,
        OpCode::SetWatches,
        OpCode::SetWatches2,
        OpCode::AddWatch,
        OpCode::CheckWatches,
        OpCode::RemoveWatches,
    ] {
        for body in [&b""[..], &[0, 0, 0, 9, b'/'], &[0xff, 0xff, 0xff, 0xfe]] {
            let reply = s.call(&c, op, &Raw(body));
            assert_eq!(reply.err, ErrorCode::MarshallingError, "{op:?} {body:?}");
            assert!(reply.body.is_empty());
        }
    }
    assert!(!s.is_closed(&c));
}

#[test]
fn null_paths_are_answered_as_apache_does() {
    let mut s = Fixture::new();
    let c = s.client();
    let null_then = |rest: &[u8]| [&[0xff; 4], rest].concat();
    let mut nameless = BytesMut::new();
    create("/a", 0).encode(&mut nameless);
    let nameless = null_then(&nameless[6..]);
    for (op, body, expected, cost) in [
        (OpCode::Create, nameless, ErrorCode::MarshallingError, 1),
        (
            OpCode::Delete,
            null_then(&[0; 4]),
            ErrorCode::MarshallingError,
            1,
        ),
        (
            OpCode::SetData,
            null_then(&[0; 8]),
            ErrorCode::BadArguments,
            1,
        ),
        (
            OpCode::SetAcl,
            null_then(&[0; 8]),
            ErrorCode::BadArguments,
            1,
        ),
        (
            OpCode::Exists,
            null_then(&[0]),
            ErrorCode::MarshallingError,
            0,
        ),
        (
            OpCode::GetData,
            null_then(&[0]),
            ErrorCode::MarshallingError,
            0,
        ),
        (
            OpCode::GetAcl,
            null_then(&[]),
            ErrorCode::MarshallingError,
            0,
        ),
        (OpCode::Sync, null_then(&[]), ErrorCode::Ok, 0),
        (OpCode::AddWatch, null_then(&[0; 4]), ErrorCode::Ok, 0),
        (
            OpCode::CheckWatches,
            null_then(&[0, 0, 0, 3]),
            ErrorCode::NoWatcher,
            0,
        ),
    ] {
        let before = s.zxid();
        let reply = s.call(&c, op, &Raw(&body));
        assert_eq!(reply.err, expected, "{op:?}");
        assert_eq!(s.zxid().0 - before.0, cost, "{op:?}");
    }
}

#[test]
fn reconfig_needs_peers() {
    let request = ReconfigRequest {
        joining_servers: None,
        leaving_servers: None,
        new_members: None,
        config_id: -1,
    };
    for (enabled, expected) in [
        (false, ErrorCode::ReconfigDisabled),
        (true, ErrorCode::Unimplemented),
    ] {
        let mut s = Fixture::with(config().reconfig(enabled));
        let c = s.client();
        let before = s.zxid();
        assert_eq!(s.call(&c, OpCode::Reconfig, &request).err, expected);
        assert_eq!(s.zxid().0, before.0 + 1);
        assert!(!s.is_closed(&c));
    }
}

#[test]
fn sasl_without_a_configuration_is_answered_with_null() {
    let mut s = Fixture::new();
    let c = s.client();
    let token = |token: Option<&'static [u8]>| GetSaslRequest {
        token: Credential(token.map(Into::into)),
    };
    let reply = s.call(&c, OpCode::Sasl, &token(Some(b"")));
    assert_eq!((reply.zxid, reply.err), (Zxid::ZERO, ErrorCode::Ok));
    assert_eq!(&reply.body[..], [0xff; 4]);
    assert!(!s.is_closed(&c));
    let header = RequestHeader {
        xid: Xid(1),
        op: OpCode::Sasl.into(),
    };
    s.feed(c.conn, &(header, token(None)));
    assert!(s.is_closed(&c) && s.inbox(&c).frames.is_empty());
}

#[test]
fn malformed_authentication_closes_without_a_word() {
    let mut s = Fixture::new();
    for op in [OpCode::Auth, OpCode::Sasl] {
        let c = s.client();
        let header = RequestHeader {
            xid: Xid(1),
            op: op.into(),
        };
        s.feed(c.conn, &(header, Raw(&[0, 0])));
        assert!(s.is_closed(&c) && s.inbox(&c).frames.is_empty());
    }
}

#[test]
fn frames_for_connections_that_are_gone_do_nothing() {
    let mut s = Fixture::new();
    let c = s.client();
    s.server.handle_closed(c.conn);
    s.server.handle_closed(c.conn);
    s.feed(c.conn, &new_session());
    s.feed(ConnId(999), &new_session());
    assert_eq!(s.server.session_count(), 1);
    assert!(s.inbox(&c).frames.is_empty());
}

#[test]
fn queued_bytes_count_what_is_to_be_polled() {
    let mut s = Fixture::new();
    let (a, b) = (s.client(), s.client());
    s.exists(&b, "/e", true).unwrap_err();
    let mut frame = BytesMut::new();
    let header = RequestHeader {
        xid: Xid(1),
        op: OpCode::Create.into(),
    };
    (header, create("/e", 0)).encode(&mut frame);
    s.server
        .handle_frame(a.conn, &frame.freeze(), s.now, s.wall_ms);
    assert_eq!(s.server.queued_bytes(), (4 + 16 + 6) + (4 + 16 + 14));
    s.server.handle_closed(b.conn);
    assert_eq!(s.server.queued_bytes(), 4 + 16 + 6);
    s.inboxes.remove(&b.conn);
    s.collect();
    assert_eq!(s.server.queued_bytes(), 0);
}
