//! A learner's clients: their requests go to the leader and come back as transactions.

use super::commit::{OK, exists};
use super::pair::{EPOCH, LEARNER, Pair};
use super::*;
use crate::quorum::{ForwardedRequest, Touch};

#[test]
fn a_session_opens_with_its_transaction_and_its_id_names_the_server() {
    let mut p = Pair::new();
    let conn = p.learner.accept();
    p.learner.feed(conn, &new_session());
    assert!(!p.learner.server.wants_frames(conn), "a session first");
    p.up();
    assert_eq!(p.learner.response(conn), None, "not committed");
    p.down();
    let response = p.learner.response(conn).unwrap();
    assert_eq!(response.session_id.0 >> 56, 2);
    assert_eq!(response.timeout_ms, TIMEOUT_MS);
    assert_eq!(p.learner.zxid(), Zxid(EPOCH.0 + 1));
    assert_eq!(p.leader.server.session_count(), 1);
}

#[test]
fn a_session_whose_client_has_gone_opens_for_nobody() {
    let mut p = Pair::new();
    let conn = p.learner.accept();
    p.learner.feed(conn, &new_session());
    p.learner.server.handle_closed(conn);
    p.settle();
    let sessions = p.learner.server.sessions();
    assert_eq!(p.learner.server.session_conn(sessions[0].session), None);
    p.advance(Duration::from_secs(6));
    assert_eq!(p.learner.server.session_count(), 0, "expired by the leader");
}

#[test]
fn writes_are_answered_with_their_commit_and_reads_behind_them_see_them() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, 1, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 2, OpCode::Exists, &exists("/a"));
    p.learner.send(&c, 3, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 4, OpCode::Exists, &exists("/b"));
    p.learner.send(&c, -2, OpCode::Ping, &());
    p.up();
    assert_eq!(p.learner.answers(&c), [(-2, OK)], "pings wait for nothing");
    p.down();
    let (exists, absent) = (ErrorCode::NodeExists, ErrorCode::NoNode);
    let expected = [(1, OK), (2, OK), (3, exists), (4, absent)];
    assert_eq!(p.learner.answers(&c), expected);
    p.assert_equal();
}

#[test]
fn who_the_client_is_travels_with_its_requests() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.auth(&c, "digest", Some("ann:secret"));
    let own = Acl {
        perms: zk_proto::Perms::ALL,
        id: zk_proto::AclId::new("auth", ""),
    };
    let body = create_with("/own", 0, vec![own]);
    p.learner.send(&c, 1, OpCode::Create, &body);
    p.settle();
    assert_eq!(p.learner.answers(&c), [(1, OK)]);
    let stranger = p.client();
    let write = set_data("/own", b"mine", -1);
    p.learner.send(&stranger, 1, OpCode::SetData, &write);
    p.learner.send(&c, 2, OpCode::SetData, &write);
    p.settle();
    assert_eq!(p.learner.answers(&stranger), [(1, ErrorCode::NoAuth)]);
    assert_eq!(p.learner.answers(&c), [(2, OK)]);
}

#[test]
fn nobody_is_answered_with_what_was_not_asked_for() {
    let mut p = Pair::new();
    let c = p.client();
    // Clients may number a request as the server numbers its own.
    p.learner.send(&c, 0, OpCode::Create, &create("/late", 0));
    assert!(p.leader.server.expire_session(c.session, p.leader.wall_ms));
    p.propose();
    p.down();
    assert_eq!(p.learner.answers(&c), [], "that was the session's end");
    assert!(p.learner.is_closed(&c));
    p.settle();
    assert!(p.leader.server.tree().node("/late").is_none());
}

#[test]
fn what_cannot_be_read_never_reaches_the_leader() {
    let mut p = Pair::new();
    let c = p.client();
    let before = p.leader.zxid();
    p.learner.send(&c, 1, OpCode::Create, &Raw(b"nonsense"));
    assert!(!p.learner.server.has_upstream());
    let marshalling = ErrorCode::MarshallingError;
    assert_eq!(p.learner.answers(&c), [(1, marshalling)]);
    p.learner.send(&c, 2, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 3, OpCode::SetData, &Raw(b""));
    assert_eq!(p.learner.answers(&c), [], "in its place");
    p.settle();
    assert_eq!(p.learner.answers(&c), [(2, OK), (3, marshalling)]);
    assert_eq!(p.leader.zxid().0, before.0 + 1);
}

#[test]
fn the_leader_makes_a_transaction_of_whatever_it_is_sent() {
    let mut p = Pair::new();
    let c = p.client();
    let bodies: [(i32, &'static [u8], ErrorCode); 5] = [
        (1, b"nonsense", ErrorCode::MarshallingError),
        (14, b"nonsense", ErrorCode::MarshallingError),
        (4, b"", ErrorCode::Unimplemented),
        (12_345, b"", ErrorCode::Unimplemented),
        (-10, b"", ErrorCode::MarshallingError),
    ];
    for (op, body, error) in bodies {
        let (now, wall) = (p.leader.now, p.leader.wall_ms);
        let before = p.leader.server.last_zxid();
        let request = ForwardedRequest {
            session: c.session,
            cxid: Xid(3),
            op,
            body: Bytes::from_static(body),
            ids: Vec::new(),
        };
        p.leader
            .server
            .handle_forwarded(LEARNER, &request, now, wall);
        let txn = p.leader.server.poll_txn().cloned().expect("a transaction");
        assert_eq!(txn.body, crate::txn::TxnBody::Error(error), "{op}");
        assert_eq!(txn.header.zxid.0, before.0 + 1);
        p.leader.server.handle_committed(txn.header.zxid);
        p.learner.server.handle_learned(txn, p.learner.now);
    }
    assert_eq!(p.leader.server.session_count(), 1, "none was begun");
}

#[test]
fn a_sync_is_answered_by_the_leader_in_its_place() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, 1, OpCode::Sync, &"/");
    assert_eq!(p.learner.answers(&c), []);
    p.settle();
    assert_eq!(p.learner.answers(&c), [(1, OK)]);
    p.learner.send(&c, 2, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 3, OpCode::Sync, &"/");
    p.learner.send(&c, 4, OpCode::Exists, &exists("/a"));
    p.learner.send(&c, 5, OpCode::Create, &create("/b", 0));
    p.settle();
    assert_eq!(p.learner.answers(&c), [(2, OK), (3, OK), (4, OK), (5, OK)]);
}

/// A leader that has nothing outstanding may answer before the write is proposed.
#[test]
fn a_sync_that_is_answered_early_waits_for_its_turn() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, 1, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 2, OpCode::Sync, &"/");
    p.learner.send(&c, 3, OpCode::Sync, &"/");
    p.learner.server.handle_synced();
    assert_eq!(p.learner.answers(&c), []);
    p.settle();
    assert_eq!(p.learner.answers(&c), [(1, OK), (2, OK), (3, OK)]);
}

#[test]
fn syncs_of_sessions_that_have_ended_keep_their_places() {
    let mut p = Pair::new();
    let (gone, c) = (p.client(), p.client());
    p.learner.send(&gone, 1, OpCode::Sync, &"/");
    p.learner.send(&c, 1, OpCode::Sync, &"/");
    p.leader
        .server
        .expire_session(gone.session, p.leader.wall_ms);
    p.propose();
    p.down();
    assert!(p.learner.is_closed(&gone));
    p.learner.server.handle_synced();
    assert_eq!(p.learner.answers(&c), [], "that was the other's");
    p.learner.server.handle_synced();
    p.learner.collect();
    assert_eq!(p.learner.answers(&c), [(1, OK)]);
    p.learner.server.handle_synced();
}

#[test]
fn a_client_closes_its_session_here() {
    let mut p = Pair::new();
    let c = p.client();
    p.create(&c, "/e", 1);
    p.learner.send(&c, 8, OpCode::CloseSession, &());
    p.learner.send(&c, 9, OpCode::Create, &create("/late", 0));
    p.settle();
    assert_eq!(p.learner.answers(&c), [(8, OK)]);
    assert!(p.learner.is_closed(&c));
    for server in [&p.leader.server, &p.learner.server] {
        assert_eq!(server.session_count(), 0);
        assert_eq!(server.ephemerals_count(), 0);
    }
}

#[test]
fn a_session_that_ends_elsewhere_closes_its_connection_here() {
    let mut p = Pair::new();
    let c = p.client();
    let (now, wall) = (p.leader.now, p.leader.wall_ms);
    let close = ForwardedRequest {
        session: c.session,
        cxid: Xid(7),
        op: OpCode::CloseSession.into(),
        body: Bytes::new(),
        ids: Vec::new(),
    };
    p.leader.server.handle_forwarded(LEARNER, &close, now, wall);
    p.settle();
    assert!(p.learner.is_closed(&c));
    assert_eq!(p.learner.answers(&c), [], "without a word");
}

#[test]
fn the_leader_alone_ends_sessions_and_hears_who_lives() {
    let mut p = Pair::new();
    let (lives, silent) = (p.client(), p.client());
    p.create(&silent, "/e", 1);
    for _ in 0..8 {
        p.learner.advance(Duration::from_secs(1));
        p.learner.send(&lives, -2, OpCode::Ping, &());
        p.ping();
        p.leader.advance(Duration::from_secs(1));
    }
    assert!(!p.learner.is_closed(&silent), "nobody has told the learner");
    assert_eq!(p.learner.server.poll_timeout(), None);
    p.settle();
    assert!(p.learner.is_closed(&silent) && !p.learner.is_closed(&lives));
    assert_eq!(p.learner.server.ephemerals_count(), 0);
    assert!(
        !p.learner
            .server
            .expire_session(lives.session, p.learner.wall_ms)
    );
}

#[test]
fn each_touch_is_told_once_with_its_timeout() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, -2, OpCode::Ping, &());
    let touched: Vec<_> = p.learner.server.take_touched().collect();
    assert_eq!(touched, [(c.session, TIMEOUT_MS)]);
    assert_eq!(p.learner.server.take_touched().count(), 0);
}

#[test]
fn the_timeout_a_client_negotiates_at_a_learner_counts_at_the_leader() {
    let mut p = Pair::new();
    let c = p.client();
    let again = p.learner.present(&c, 15_000);
    p.settle();
    assert_eq!(p.learner.response(again.conn).unwrap().timeout_ms, 15_000);
    p.advance(Duration::from_secs(14));
    assert!(!p.learner.is_closed(&again), "revalidation told");
    let touch = Touch {
        session: c.session,
        timeout_ms: 2000,
    };
    p.leader.server.handle_touched(&[touch], p.leader.now);
    p.advance(Duration::from_millis(3100));
    assert!(p.learner.is_closed(&again), "and so does every touch");
}

#[test]
fn only_the_leader_knows_whether_a_session_lives() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    let moved = p.learner.present(&c, TIMEOUT_MS);
    assert!(!p.learner.server.wants_frames(moved.conn));
    assert_eq!(p.learner.response(moved.conn), None);
    p.settle();
    let response = p.learner.response(moved.conn).unwrap();
    assert_eq!(response, client_response(&c));
    assert!(p.leader.is_closed(&c), "its old connection");
    p.create(&moved, "/e", 1);

    p.leader.server.expire_session(c.session, p.leader.wall_ms);
    let late = p.learner.present(&c, TIMEOUT_MS);
    assert!(
        p.learner.is_closed(&moved),
        "as the newer one speaks for it"
    );
    p.settle();
    let response = p.learner.response(late.conn).unwrap();
    assert_eq!(response, ConnectResponse::expired(Some(false)));
    assert!(p.learner.is_closed(&late));
}

fn client_response(client: &Client) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: TIMEOUT_MS,
        session_id: client.session,
        password: client.password.clone(),
        read_only: Some(false),
    }
}

#[test]
fn a_wrong_password_is_refused_without_asking_the_leader() {
    let mut p = Pair::new();
    let c = p.client();
    let thief = Client {
        password: Password::none(),
        ..c
    };
    let thief = p.learner.present(&thief, TIMEOUT_MS);
    assert!(!p.learner.server.has_upstream());
    let response = p.learner.response(thief.conn).unwrap();
    assert_eq!(response, ConnectResponse::expired(Some(false)));
    assert!(p.learner.is_closed(&thief) && p.learner.is_closed(&c));
}

#[test]
fn an_answer_for_a_connection_that_has_gone_is_for_nobody() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    let moved = p.learner.present(&c, TIMEOUT_MS);
    p.up();
    p.learner.server.handle_closed(moved.conn);
    p.down();
    assert!(p.learner.inbox(&moved).frames.is_empty());
    assert_eq!(p.learner.server.session_conn(c.session), None);
    p.learner
        .server
        .handle_revalidated(SessionId(99), true, p.learner.now);
    assert!(
        !p.learner
            .server
            .sessions()
            .iter()
            .any(|s| s.session.0 == 99)
    );
}

#[test]
fn the_newest_of_the_connections_that_present_a_session_gets_it() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    let first = p.learner.present(&c, TIMEOUT_MS);
    let second = p.learner.present(&c, TIMEOUT_MS);
    assert!(p.learner.is_closed(&first));
    p.settle();
    assert!(p.learner.inbox(&first).frames.is_empty());
    assert_eq!(
        p.learner.response(second.conn).unwrap(),
        client_response(&c)
    );
    assert_eq!(p.learner.server.session_conn(c.session), Some(second.conn));
    p.create(&second, "/e", 1);
}

#[test]
fn a_client_may_come_back_while_its_requests_are_under_way() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, 1, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 2, OpCode::Sync, &"/");
    let again = p.learner.present(&c, TIMEOUT_MS);
    p.settle();
    assert!(p.learner.is_closed(&c) && p.learner.inbox(&c).frames.is_empty());
    assert!(p.learner.response(again.conn).is_some());
    p.learner.send(&again, 3, OpCode::Exists, &exists("/a"));
    assert_eq!(p.learner.answers(&again), [(3, OK)]);
}

#[test]
fn a_client_that_has_seen_more_is_turned_away() {
    let mut p = Pair::new();
    for (seen, refused) in [(EPOCH, false), (Zxid(EPOCH.0 + 5), true)] {
        let conn = p.learner.accept();
        let request = ConnectRequest {
            last_zxid_seen: seen,
            ..new_session()
        };
        p.learner.feed(conn, &request);
        assert_eq!(p.learner.inboxes[&conn].is_closed, refused, "{seen}");
        assert_eq!(p.learner.server.has_upstream(), !refused);
        p.settle();
    }
}

#[test]
fn reading_stops_while_the_way_to_the_leader_is_full() {
    let mut p = Pair::new();
    let clients = [p.client(), p.client()];
    let data = vec![0; 1 << 20];
    let mut sent = 0;
    while p.learner.server.wants_frames(clients[1].conn) {
        assert!(sent < 20, "no bound");
        sent += 1;
        let write = set_data("/zookeeper", &data, -1);
        p.learner.send(&clients[0], sent, OpCode::SetData, &write);
    }
    assert_eq!(sent, 16, "and a bit");
    p.up();
    assert!(p.learner.server.wants_frames(clients[1].conn));
    p.down();
    assert_eq!(p.learner.answers(&clients[0]).len(), 16);
}

#[test]
fn a_session_may_keep_so_many_requests_waiting() {
    let mut p = Pair::new();
    let c = p.client();
    let limit = p.learner.server.waiting_limit;
    for xid in 1..=i32::try_from(limit).unwrap() {
        assert!(p.learner.server.wants_frames(c.conn), "{xid}");
        p.learner.send(&c, xid, OpCode::Sync, &"/");
    }
    assert!(!p.learner.server.wants_frames(c.conn));
    p.settle();
    assert!(p.learner.server.wants_frames(c.conn));
    assert_eq!(p.learner.answers(&c).len(), limit);
}

#[test]
fn a_tree_that_is_not_the_leaders_is_noticed() {
    let mut p = Pair::new();
    let c = p.client();
    p.create(&c, "/a", 0);
    p.learner
        .send(&c, 1, OpCode::SetData, &set_data("/a", b"1", -1));
    p.up();
    let mut txn = p.intercept().expect("a transaction");
    txn.digest = Some(crate::tree::TreeDigest::default());
    let zxid = txn.header.zxid;
    p.learner.server.handle_learned(txn, p.learner.now);
    assert_eq!(p.learner.server.digest_mismatch, Some(zxid));
}
