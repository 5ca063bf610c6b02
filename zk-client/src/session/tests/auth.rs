//! Credentials: first on every connection, later additions, refusals.

use zk_proto::{ErrorCode, OpCode, ReplyHeader, SessionId, Xid, Zxid};

use super::pair::{HANDSHAKE, ID, Pair, auth_of, config, credentials, granted};
use crate::error::Error;
use crate::session::{Cause, Epoch, SessionConfig, SessionState, WatchKind};
use crate::watcher::Watcher;

fn with_credentials() -> SessionConfig {
    SessionConfig {
        auths: vec![credentials("digest", "ann:secret"), credentials("x", "y")],
        ..config()
    }
}

fn say(pair: &mut Pair, err: ErrorCode) {
    pair.send(&ReplyHeader {
        xid: Xid::AUTH,
        zxid: Zxid::ZERO,
        err,
    });
}

#[test]
fn credentials_come_first_and_calls_wait_for_their_answers() {
    let mut pair = Pair::new(with_credentials());
    pair.get("/a");
    pair.connect(1);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    let packets = pair.take_requests();
    assert!(
        packets
            .iter()
            .all(|seen| seen.op == OpCode::Auth && seen.xid == Xid::AUTH)
    );
    let presented: Vec<_> = packets.iter().map(auth_of).collect();
    assert_eq!(
        presented,
        [
            ("digest".into(), b"ann:secret".to_vec()),
            ("x".into(), b"y".to_vec())
        ]
    );
    assert!(pair.states().is_empty(), "not connected before that");
    say(&mut pair, ErrorCode::Ok);
    assert!(pair.take_requests().is_empty());
    say(&mut pair, ErrorCode::Ok);
    assert_eq!(pair.take_ops(), [OpCode::GetData]);
    assert_eq!(pair.states(), [SessionState::Connected { epoch: Epoch(1) }]);
}

#[test]
fn on_every_connection_credentials_precede_watches_and_watches_requests() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(WatchKind::Data, "/w", &watcher);
    pair.add_auth("digest", "ann:secret");
    pair.answer_all();
    pair.lose();
    pair.get("/a");
    pair.resume(2);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
    say(&mut pair, ErrorCode::Ok);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches, OpCode::GetData]);
}

#[test]
fn added_credentials_take_their_place_in_line() {
    let mut pair = Pair::serving();
    pair.get("/before");
    let added = pair.add_auth("digest", "ann:secret");
    pair.get("/after");
    let requests = pair.take_requests();
    let ops: Vec<_> = requests.iter().map(|seen| seen.op).collect();
    assert_eq!(ops, [OpCode::GetData, OpCode::Auth, OpCode::GetData]);
    assert_eq!(
        requests[2].xid.0,
        requests[0].xid.0 + 1,
        "auth takes no xid"
    );
    assert!(pair.is_waiting(added));
}

#[test]
fn an_auth_answer_that_overtakes_others_is_held_back_for_its_turn() {
    let mut pair = Pair::serving();
    let before = pair.get("/before");
    let added = pair.add_auth("digest", "ann:secret");
    let after = pair.get("/after");
    let requests = pair.take_requests();
    say(&mut pair, ErrorCode::Ok);
    assert!(pair.is_waiting(added));
    pair.answer(&requests[0], &());
    pair.answer(&requests[2], &());
    assert_eq!(pair.take_answered(), [before, added, after]);
    assert!(pair.is_connected());
}

#[test]
fn an_auth_answer_in_front_is_handed_out_at_once() {
    let mut pair = Pair::serving();
    let added = [pair.add_auth("a", "1"), pair.add_auth("b", "2")];
    say(&mut pair, ErrorCode::Ok);
    assert_eq!(pair.take_answered(), added[..1]);
    say(&mut pair, ErrorCode::Ok);
    assert_eq!(pair.take_answered(), added[1..]);
}

#[test]
fn an_answer_may_not_overtake_that_to_earlier_credentials() {
    let mut pair = Pair::serving();
    pair.add_auth("digest", "ann:secret");
    pair.get("/after");
    let requests = pair.take_requests();
    pair.answer(&requests[1], &());
    assert_eq!(pair.causes(), [Cause::OutOfOrder]);
}

#[test]
fn the_same_credentials_are_replayed_once() {
    let mut pair = Pair::serving();
    pair.add_auth("digest", "ann:secret");
    pair.add_auth("digest", "ann:secret");
    pair.answer_all();
    pair.lose();
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
}

#[test]
fn credentials_added_while_down_are_presented_before_anything_queued() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.get("/a");
    let added = pair.add_auth("digest", "ann:secret");
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::Auth]);
    say(&mut pair, ErrorCode::Ok);
    let requests = pair.take_requests();
    let ops: Vec<_> = requests.iter().map(|seen| seen.op).collect();
    assert_eq!(
        ops,
        [OpCode::GetData, OpCode::Auth],
        "the call itself is answered"
    );
    pair.answer(&requests[0], &());
    say(&mut pair, ErrorCode::Ok);
    assert_eq!(pair.reply(added).err, ErrorCode::Ok);
}

#[test]
fn refused_credentials_are_terminal_on_a_new_connection() {
    let mut pair = Pair::new(with_credentials());
    let call = pair.get("/a");
    pair.connect(1);
    pair.take_connect_request();
    pair.grant(&granted(ID));
    say(&mut pair, ErrorCode::AuthFailed);
    assert_eq!(pair.states(), [SessionState::AuthFailed]);
    assert_eq!(pair.error(call), Error::AuthFailed);
    assert_eq!(pair.try_get("/a"), Err(Error::AuthFailed));
    assert_eq!(
        pair.take_ops(),
        [OpCode::Auth, OpCode::Auth],
        "and nothing else"
    );
}

#[test]
fn refused_additions_are_terminal_and_their_call_says_so() {
    let mut pair = Pair::serving();
    let (sent, added) = (pair.create("/a"), pair.add_auth("nonsense", "?"));
    say(&mut pair, ErrorCode::AuthFailed);
    assert_eq!(pair.states(), [SessionState::AuthFailed]);
    assert!(pair.error(sent).is_outcome_unknown());
    assert_eq!(pair.error(added), Error::AuthFailed);
    assert_eq!(pair.take_answered(), [sent, added]);
    assert!(pair.session.is_over() && !pair.is_connected());
}

#[test]
fn a_connection_lost_over_credentials_keeps_the_calls_waiting() {
    let mut pair = Pair::new(with_credentials());
    let call = pair.get("/a");
    pair.connect(1);
    pair.grant(&granted(ID));
    pair.lose();
    assert!(pair.is_waiting(call));
    assert!(pair.states().is_empty(), "it never was connected");
    pair.connect(1);
    assert_eq!(pair.take_connect_request().session_id, ID);
}

#[test]
fn credentials_share_the_deadline_of_the_handshake() {
    let mut pair = Pair::new(with_credentials());
    pair.connect(1);
    pair.advance(HANDSHAKE / 2);
    pair.grant(&granted(SessionId(7)));
    say(&mut pair, ErrorCode::Ok);
    pair.advance(HANDSHAKE / 2);
    assert_eq!(pair.causes(), [Cause::HandshakeTimeout]);
}

#[test]
fn a_loss_fails_the_call_and_keeps_the_credentials() {
    let mut pair = Pair::serving();
    let added = pair.add_auth("digest", "ann:secret");
    pair.lose();
    assert!(pair.error(added).is_retryable());
    pair.resume(1);
    let packets = pair.take_requests();
    assert_eq!(auth_of(&packets[0]).1, b"ann:secret");
}
