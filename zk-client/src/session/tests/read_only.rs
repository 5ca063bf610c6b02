//! Read-only servers: reads only, an id that means nothing elsewhere.

use zk_proto::record::ConnectResponse;
use zk_proto::{ErrorCode, EventType, OpCode, ReplyHeader, SessionId, Zxid};

use super::pair::{ID, Pair, Seen, config, granted};
use crate::error::{Error, Outcome};
use crate::session::WatchKind::Data;
use crate::session::{Cause, Epoch, SessionConfig, SessionState};
use crate::watcher::Watcher;

const MADE_UP: SessionId = SessionId(0xf00d);

fn read_only_grant(id: SessionId) -> ConnectResponse {
    ConnectResponse {
        read_only: Some(true),
        ..granted(id)
    }
}

/// On a read-only server, with the id that it made up.
fn read_only() -> Pair {
    let mut pair = Pair::new(SessionConfig {
        allow_read_only: true,
        ..config()
    });
    pair.connect(1);
    assert_eq!(pair.take_connect_request().read_only, Some(true));
    pair.grant(&read_only_grant(MADE_UP));
    pair
}

/// Answers as a read-only server: its zxid is 0.
fn answer(pair: &mut Pair, to: &Seen) {
    pair.send(&ReplyHeader {
        xid: to.xid,
        zxid: Zxid::ZERO,
        err: ErrorCode::Ok,
    });
}

#[test]
fn the_state_says_read_only() {
    let pair = read_only();
    let state = SessionState::ConnectedReadOnly { epoch: Epoch(1) };
    assert_eq!(pair.states(), [state]);
}

#[test]
fn reads_are_served() {
    let mut pair = read_only();
    let get = pair.get("/a");
    let request = pair.take_request();
    answer(&mut pair, &request);
    assert_eq!(pair.reply(get).err, ErrorCode::Ok);
    assert_eq!(pair.session.last_zxid(), Zxid::ZERO);
}

#[test]
fn writes_and_sync_are_refused_without_being_sent() {
    let mut pair = read_only();
    let writes = [
        pair.create("/a"),
        pair.create2("/a"),
        pair.set("/a", b"x"),
        pair.delete("/a"),
        pair.sync("/a"),
        pair.call(OpCode::SetAcl, "/a", &"/a"),
        pair.call(OpCode::Multi, "", &()),
        pair.call(OpCode::Reconfig, "", &()),
        pair.call(OpCode::CreateTtl, "/a", &"/a"),
        pair.call(OpCode::CreateContainer, "/a", &"/a"),
    ];
    for write in writes {
        assert_eq!(pair.error(write), Error::ReadOnly);
        assert_eq!(pair.error(write).outcome(), Outcome::NotApplied);
    }
    assert!(pair.take_requests().is_empty() && pair.is_connected());
}

#[test]
fn refused_writes_are_told_in_the_order_of_the_calls() {
    let mut pair = read_only();
    let calls = [pair.get("/1"), pair.create("/2"), pair.get("/3")];
    let first = pair.take_request();
    assert_eq!(first.path(), "/1");
    answer(&mut pair, &first);
    let last = pair.take_request();
    assert_eq!(last.path(), "/3");
    answer(&mut pair, &last);
    assert_eq!(pair.take_answered(), calls);
    assert_eq!(pair.error(calls[1]), Error::ReadOnly);
}

#[test]
fn writes_that_waited_for_a_server_are_refused_by_a_read_only_one() {
    let mut pair = read_only();
    pair.lose_by(Cause::ReadWriteFound);
    let write = pair.create("/a");
    pair.connect(2);
    pair.take_connect_request();
    pair.grant(&read_only_grant(SessionId(0xf00e)));
    assert_eq!(pair.error(write), Error::ReadOnly);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn a_made_up_id_is_not_presented_elsewhere() {
    let mut pair = read_only();
    pair.lose_by(Cause::ReadWriteFound);
    pair.connect(2);
    let request = pair.take_connect_request();
    assert_eq!(request.session_id, SessionId::NONE);
    assert_eq!(request.password, zk_proto::Password::none());
    pair.grant(&granted(ID));
    let states = pair.states();
    let connected = SessionState::Connected { epoch: Epoch(2) };
    assert_eq!(
        states.last(),
        Some(&connected),
        "another session, another epoch"
    );
    // From here on it is a session like any other.
    pair.lose();
    pair.connect(1);
    assert_eq!(pair.take_connect_request().session_id, ID);
}

#[test]
fn a_refusal_of_the_successor_is_no_expiry() {
    let mut pair = read_only();
    pair.lose();
    pair.connect(2);
    pair.refuse_session();
    assert!(matches!(pair.causes().last(), Some(Cause::BadBytes(_))));
    let expired = |state: &SessionState| matches!(state, SessionState::Expired { .. });
    assert!(!pair.states().iter().any(expired));
    pair.resume(1);
    assert!(pair.is_connected());
}

#[test]
fn watches_and_waiting_calls_move_to_the_read_write_server() {
    let mut pair = read_only();
    let watcher = Watcher::new();
    pair.watched(Data, "/a", &watcher);
    let request = pair.take_request();
    answer(&mut pair, &request);
    pair.lose_by(Cause::ReadWriteFound);
    let create = pair.create("/b");
    pair.connect(2);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    assert_eq!(pair.take_ops(), [OpCode::SetWatches, OpCode::Create]);
    assert!(pair.is_waiting(create));
    pair.event(EventType::NodeDataChanged, "/a");
    assert!(watcher.try_next().is_some());
}

#[test]
fn a_real_session_on_a_read_only_server_stays_the_same() {
    let mut pair = Pair::serving_with(SessionConfig {
        allow_read_only: true,
        ..config()
    });
    pair.lose();
    pair.connect(2);
    pair.take_connect_request();
    pair.grant(&read_only_grant(ID));
    let state = SessionState::ConnectedReadOnly { epoch: Epoch(1) };
    assert_eq!(pair.states().last(), Some(&state));
    pair.lose();
    pair.connect(1);
    assert_eq!(pair.take_connect_request().session_id, ID);
}

#[test]
fn a_read_only_server_is_not_asked_for_unless_allowed() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    assert_eq!(pair.take_connect_request().read_only, Some(false));
}

#[test]
fn closing_between_servers_has_no_made_up_session_to_close() {
    let mut pair = read_only();
    pair.lose();
    let close = pair.close();
    assert!(pair.result(close).unwrap().is_ok());
    assert!(pair.session.is_over());
}

#[test]
fn closing_on_a_read_only_server_ends_whatever_it_answers() {
    let mut pair = read_only();
    let close = pair.close();
    let request = pair.take_request();
    assert_eq!(request.op, OpCode::CloseSession);
    pair.refuse(&request, ErrorCode::NotReadOnly);
    assert!(pair.result(close).unwrap().is_ok());
    assert_eq!(pair.states().last(), Some(&SessionState::Closed));
}
