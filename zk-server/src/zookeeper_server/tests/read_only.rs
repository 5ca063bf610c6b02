//! Read-only mode: readers while there is no leader.

use super::commit::{OK, exists};
use super::pair::{EPOCH, Pair, client_of};
use super::*;

/// A learner that has lost its leader and serves readers, and its client from before.
fn read_only() -> (Fixture, Client) {
    let mut p = Pair::new();
    let c = p.client();
    p.create(&c, "/a", 0);
    let mut s = p.learner;
    s.server.handle_closed(c.conn);
    s.server.end_role(s.now);
    s.server.serve_read_only();
    (s, c)
}

fn reader() -> ConnectRequest {
    ConnectRequest {
        read_only: Some(true),
        ..new_session()
    }
}

fn reader_of(s: &mut Fixture) -> Client {
    let conn = s.accept();
    let response = s.handshake(conn, &reader()).expect("served");
    assert_eq!(response.read_only, Some(true));
    client_of(conn, &response)
}

#[test]
fn readers_get_a_session_and_others_nothing() {
    let (mut s, _) = read_only();
    let reader = reader_of(&mut s);
    assert_eq!(reader.session.0 >> 56, 2);
    for read_only in [None, Some(false)] {
        let conn = s.accept();
        let request = ConnectRequest {
            read_only,
            ..new_session()
        };
        assert_eq!(s.handshake(conn, &request), None);
        assert!(s.inboxes[&conn].is_closed);
    }
    assert_eq!(s.zxid(), Zxid(EPOCH.0 + 2), "no transaction");
}

#[test]
fn a_session_of_the_ensembles_is_not_kept_alive_from_here() {
    let (mut s, before) = read_only();
    let conn = s.accept();
    let request = ConnectRequest {
        session_id: before.session,
        password: before.password,
        ..reader()
    };
    assert_eq!(s.handshake(conn, &request), None);
    assert!(s.inboxes[&conn].is_closed);
}

#[test]
fn a_session_from_here_is_resumed_here_and_an_unknown_one_is_gone() {
    let (mut s, _) = read_only();
    let first = reader_of(&mut s);
    for (session, password) in [
        (first.session, first.password.clone()),
        (SessionId(99), crate::session::password(SessionId(99))),
    ] {
        let conn = s.accept();
        let request = ConnectRequest {
            session_id: session,
            password,
            ..reader()
        };
        let response = s.handshake(conn, &request).expect("an answer");
        assert_eq!(response.read_only, Some(true));
        let lives = session == first.session;
        assert_eq!(response.timeout_ms > 0, lives, "{session}");
    }
    assert!(s.is_closed(&first));
}

#[test]
fn a_reader_that_has_seen_more_is_turned_away() {
    let (mut s, _) = read_only();
    let conn = s.accept();
    let request = ConnectRequest {
        last_zxid_seen: Zxid(s.zxid().0 + 1),
        ..reader()
    };
    assert_eq!(s.handshake(conn, &request), None);
    assert!(s.inboxes[&conn].is_closed);
}

#[test]
fn what_needs_a_leader_is_refused() {
    let (mut s, _) = read_only();
    let c = reader_of(&mut s);
    let before = s.zxid();
    for op in [
        OpCode::Create,
        OpCode::Create2,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::SetAcl,
        OpCode::Multi,
        OpCode::Reconfig,
        OpCode::Check,
        OpCode::Sync,
    ] {
        let reply = s.call(&c, op, &create("/b", 1));
        assert_eq!(reply.err, ErrorCode::NotReadOnly, "{op:?}");
        assert!(reply.body.is_empty());
        assert_eq!(reply.zxid, before);
    }
    assert!(!s.server.has_upstream() && !s.server.has_txns());
    assert_eq!(s.get_data(&c, "/a"), Ok(Some(b"x".to_vec())));
    s.send(&c, 1, OpCode::Exists, &exists("/b"));
    s.send(&c, -2, OpCode::Ping, &());
    assert_eq!(s.answers(&c), [(1, ErrorCode::NoNode), (-2, OK)]);
}

#[test]
fn readers_sessions_end_by_themselves_or_by_request() {
    let (mut s, before) = read_only();
    let (closing, silent) = (reader_of(&mut s), reader_of(&mut s));
    s.send(&closing, 1, OpCode::CloseSession, &());
    assert_eq!(s.answers(&closing), [(1, OK)]);
    assert!(s.is_closed(&closing));
    s.advance(Duration::from_secs(20));
    assert!(s.is_closed(&silent));
    let sessions: Vec<_> = s.server.sessions().iter().map(|s| s.session).collect();
    assert_eq!(sessions, [before.session], "not for this server to end");
}

#[test]
fn the_end_of_the_mode_leaves_nothing_of_it() {
    let (mut s, before) = read_only();
    let c = reader_of(&mut s);
    s.server.end_role(s.now);
    s.server.handle_closed(c.conn);
    let sessions: Vec<_> = s.server.sessions().iter().map(|s| s.session).collect();
    assert_eq!(sessions, [before.session]);
    s.server.lead(Zxid(2 << 32), s.now);
    assert!(!s.server.is_read_only());
    let again = s.present(&before, TIMEOUT_MS);
    let response = s.response(again.conn).expect("an answer");
    assert_eq!(response.read_only, Some(false));
    assert!(response.timeout_ms > 0);
}
