//! Sessions that move between servers, and roles that begin and end.

use super::commit::{OK, exists};
use super::pair::{EPOCH, LEARNER, Pair};
use super::*;
use crate::quorum::{ForwardedRequest, LearnerId};
use crate::txn::TxnBody;

const OTHER: LearnerId = LearnerId(2);

fn forwarded(client: &Client, op: OpCode, body: &impl Encode) -> ForwardedRequest {
    let mut bytes = BytesMut::new();
    body.encode(&mut bytes);
    ForwardedRequest {
        session: client.session,
        cxid: Xid(3),
        op: op.into(),
        body: bytes.freeze(),
        ids: Vec::new(),
    }
}

/// What the leader makes of a request that comes through `from`.
fn made(p: &mut Pair, from: LearnerId, request: &ForwardedRequest) -> TxnBody {
    let (now, wall) = (p.leader.now, p.leader.wall_ms);
    p.leader.server.handle_forwarded(from, request, now, wall);
    let txn = p.leader.server.poll_txn().cloned().expect("a transaction");
    p.leader.server.handle_committed(txn.header.zxid);
    txn.body
}

#[test]
fn requests_by_the_old_way_are_refused_once_a_session_has_moved() {
    let mut p = Pair::new();
    let c = p.client();
    let write = forwarded(&c, OpCode::SetData, &set_data("/zookeeper", b"x", -1));
    let moved = TxnBody::Error(ErrorCode::SessionMoved);
    assert!(matches!(made(&mut p, LEARNER, &write), TxnBody::Change(_)));
    assert_eq!(made(&mut p, OTHER, &write), moved, "it did not say so");
    let now = p.leader.now;
    assert!(
        p.leader
            .server
            .handle_revalidate(OTHER, c.session, TIMEOUT_MS, now)
    );
    assert!(matches!(made(&mut p, OTHER, &write), TxnBody::Change(_)));
    assert_eq!(made(&mut p, LEARNER, &write), moved);
}

#[test]
fn a_session_that_has_moved_closes_its_old_connection() {
    let mut p = Pair::new();
    let c = p.client();
    let now = p.leader.now;
    p.leader
        .server
        .handle_revalidate(OTHER, c.session, TIMEOUT_MS, now);
    p.learner.send(&c, 1, OpCode::Exists, &exists("/"));
    assert_eq!(p.learner.answers(&c), [(1, OK)], "reads are not asked");
    p.learner.send(&c, 2, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 3, OpCode::Exists, &exists("/a"));
    p.settle();
    assert!(p.learner.is_closed(&c));
    assert_eq!(p.learner.answers(&c), [], "without a word");
    assert_eq!(p.leader.server.session_count(), 1);
}

#[test]
fn a_session_moves_to_the_leader_and_back() {
    let mut p = Pair::new();
    let c = p.client();
    let at_leader = p.leader.present(&c, TIMEOUT_MS);
    assert!(p.leader.response(at_leader.conn).is_some());
    p.learner.send(&c, 1, OpCode::Create, &create("/old", 0));
    p.settle();
    assert!(p.learner.is_closed(&c), "moved");
    p.leader
        .send(&at_leader, 1, OpCode::Create, &create("/new", 1));
    p.settle();
    assert_eq!(p.leader.answers(&at_leader), [(1, OK)]);

    let back = p.learner.present(&c, TIMEOUT_MS);
    p.settle();
    assert!(p.leader.is_closed(&at_leader));
    assert!(p.learner.response(back.conn).is_some());
    p.create(&back, "/e", 1);
}

#[test]
fn a_multi_tells_of_a_session_that_has_moved_as_well() {
    let mut p = Pair::new();
    let c = p.client();
    let ops = vec![MultiOp::Create(create("/a", 0))];
    let multi = forwarded(&c, OpCode::Multi, &MultiRequest { ops });
    let TxnBody::FailedMulti { errors, .. } = made(&mut p, OTHER, &multi) else {
        panic!("it went through");
    };
    assert_eq!(errors, [ErrorCode::SessionMoved]);
}

#[test]
fn a_new_leader_takes_the_first_way_that_a_session_comes() {
    let mut p = Pair::new();
    let c = p.client();
    p.leader.server.handle_closed(c.conn);
    let now = p.leader.now;
    p.leader.server.end_role(now);
    p.leader.server.lead(Zxid(2 << 32), now);
    let write = forwarded(&c, OpCode::SetData, &set_data("/zookeeper", b"x", -1));
    let moved = TxnBody::Error(ErrorCode::SessionMoved);
    assert!(matches!(made(&mut p, OTHER, &write), TxnBody::Change(_)));
    assert_eq!(made(&mut p, LEARNER, &write), moved);
}

#[test]
fn a_session_that_the_leader_does_not_know_has_expired() {
    let mut p = Pair::new();
    let mut c = p.client();
    c.session = SessionId(c.session.0 + 1);
    let expired = TxnBody::Error(ErrorCode::SessionExpired);
    for flags in [0, 1] {
        let write = forwarded(&c, OpCode::Create, &create("/a", flags));
        assert_eq!(made(&mut p, LEARNER, &write), expired, "{flags}");
    }
}

#[test]
fn requests_of_a_session_that_is_about_to_end_are_refused() {
    let mut p = Pair::new();
    let c = p.client();
    p.leader.server.expire_session(c.session, p.leader.wall_ms);
    let write = forwarded(&c, OpCode::Create, &create("/e", 1));
    let (now, wall) = (p.leader.now, p.leader.wall_ms);
    p.leader.server.handle_forwarded(LEARNER, &write, now, wall);
    p.settle();
    assert!(p.leader.server.tree().node("/e").is_none());
    assert_eq!(p.leader.server.session_count(), 0);
}

/// What was proposed and not committed counts if it is in the log when the next role begins.
#[test]
fn a_role_leaves_nothing_behind_but_the_log() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    p.leader.send(&c, 1, OpCode::Create, &create("/logged", 1));
    p.leader.send(&c, 2, OpCode::Create, &create("/lost", 0));
    p.leader.send(&c, 3, OpCode::CloseSession, &());
    let logged = p.leader.server.poll_txn().cloned().expect("the first");
    p.leader.server.handle_closed(c.conn);
    let now = p.leader.now;
    p.leader.server.end_role(now);
    assert_eq!(p.leader.server.poll_txn(), None);
    assert_eq!(p.leader.server.poll_timeout(), None, "nobody decides");
    p.leader.server.catch_up(logged, now);
    p.leader.collect();
    assert!(p.leader.inbox(&c).frames.is_empty());
    assert!(p.leader.server.tree().node("/logged").is_some());
    assert!(p.leader.server.tree().node("/lost").is_none());

    p.leader.server.lead(Zxid(2 << 32), now);
    let again = p.leader.present(&c, TIMEOUT_MS);
    let response = p.leader.response(again.conn).unwrap();
    assert_eq!(response.session_id, c.session, "its end was not logged");
    p.leader
        .send(&again, 4, OpCode::Create, &create("/lost", 0));
    p.leader.commit_all();
    assert_eq!(p.leader.answers(&again), [(4, OK)]);
    assert_eq!(p.leader.zxid(), Zxid((2 << 32) + 1));
}

#[test]
fn sessions_begin_and_end_with_what_the_log_has() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    let conn = p.leader.accept();
    p.leader.feed(conn, &new_session());
    p.leader.send(&c, 1, OpCode::CloseSession, &());
    let mut logged = Vec::new();
    while let Some(txn) = p.leader.server.poll_txn() {
        logged.push(txn.clone());
    }
    let now = p.leader.now;
    p.leader.server.end_role(now);
    assert_eq!(
        p.leader.server.session_count(),
        1,
        "the one that is committed"
    );
    for txn in logged {
        p.leader.server.catch_up(txn, now);
    }
    let sessions = p.leader.server.sessions();
    assert_eq!(sessions.len(), 1);
    assert_ne!(sessions[0].session, c.session);
}

#[test]
fn an_election_costs_no_session_its_time() {
    let mut p = Pair::new();
    let c = p.leaders_client();
    p.leader.advance(Duration::from_millis(3900));
    p.leader.server.handle_closed(c.conn);
    p.leader.server.end_role(p.leader.now);
    p.leader.advance(Duration::from_secs(60));
    p.leader.server.lead(Zxid(2 << 32), p.leader.now);
    p.leader.advance(Duration::from_millis(3900));
    assert_eq!(p.leader.server.session_count(), 1);
    p.leader.advance(Duration::from_millis(1200));
    p.leader.commit_all();
    assert_eq!(p.leader.server.session_count(), 0);
}

#[test]
fn a_learners_role_leaves_nothing_behind_either() {
    let mut p = Pair::new();
    let c = p.client();
    p.learner.send(&c, 1, OpCode::Create, &create("/a", 0));
    p.learner.send(&c, 2, OpCode::Sync, &"/");
    let presented = p.learner.present(&c, TIMEOUT_MS);
    for conn in [c.conn, presented.conn] {
        p.learner.server.handle_closed(conn);
    }
    let now = p.learner.now;
    p.learner.server.end_role(now);
    assert!(!p.learner.server.has_upstream());
    assert_eq!(p.learner.server.take_touched().count(), 0);
    p.learner.server.handle_synced();
    p.learner.server.handle_revalidated(c.session, true, now);

    p.learner.server.learn(EPOCH);
    let again = p.learner.present(&c, TIMEOUT_MS);
    p.settle();
    assert!(p.learner.response(again.conn).is_some());
    p.learner.send(&again, 3, OpCode::Exists, &exists("/a"));
    let absent = ErrorCode::NoNode;
    assert_eq!(p.learner.answers(&again), [(3, absent)], "not in line");
}

#[test]
fn history_may_be_replaced() {
    let mut p = Pair::new();
    let c = p.client();
    p.create(&c, "/a", 0);
    let mut other = Fixture::in_ensemble(3);
    let recovered = crate::storage::Recovered {
        tree: crate::tree::DataTree::new(crate::tree::SeededState(1)),
        sessions: [(SessionId(5), 4000)].into(),
        last_zxid: EPOCH,
        committed: VecDeque::new(),
        replayed: 0,
        digest_mismatch: None,
    };
    other.server.learn(EPOCH);
    other.server.end_role(other.now);
    other.server.replace(recovered, other.now);
    let sessions = other.server.sessions();
    assert_eq!(sessions[0].session, SessionId(5));
    assert_eq!(
        other.server.snapshot_beginning().sessions,
        [(SessionId(5), 4000)]
    );
}
