//! The end of a session and the beginning of the next.

use std::task::Poll;

use zk_proto::{ErrorCode, OpCode, Password, SessionId, Zxid};

use super::pair::{Delivered, ID, Pair, TIMEOUT, config, granted};
use crate::error::{Error, Outcome};
use crate::session::{Cause, Epoch, SessionConfig, SessionState};

/// Session 1, lost, and found expired.
fn expired() -> Pair {
    let mut pair = Pair::serving();
    pair.get("/a");
    pair.answer_all();
    pair.lose();
    pair.connect(1);
    pair.take_connect_request();
    pair.refuse_session();
    pair
}

#[test]
fn expiry_is_published_and_the_connection_left() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.log.clear();
    pair.connect(1);
    pair.refuse_session();
    let expected = [
        Delivered::State(SessionState::Expired { epoch: Epoch(1) }),
        Delivered::Dropped(Cause::Expired),
    ];
    assert_eq!(pair.log, expected);
}

#[test]
fn a_new_session_follows_with_nothing_of_the_old_one() {
    let mut pair = expired();
    pair.connect(1);
    let request = pair.take_connect_request();
    assert_eq!(request.session_id, SessionId::NONE);
    assert_eq!(request.password, Password::none());
    assert_eq!(request.last_zxid_seen, Zxid::ZERO, "no server is behind it");
    pair.zxid = Zxid(3);
    pair.grant(&granted(SessionId(0x77)));
    let connected = SessionState::Connected { epoch: Epoch(2) };
    assert_eq!(pair.states().last(), Some(&connected));
    assert_eq!(pair.session.identity().id, SessionId(0x77));
    let get = pair.get("/a");
    pair.answer_all();
    assert_eq!(pair.reply(get).err, ErrorCode::Ok);
}

#[test]
fn calls_that_waited_for_the_old_session_are_not_carried_over() {
    let mut pair = Pair::serving();
    pair.lose();
    let calls = [pair.create("/a"), pair.get("/b"), pair.sync("/c")];
    pair.connect(1);
    pair.refuse_session();
    for call in calls {
        let error = pair.error(call);
        assert_eq!(error, Error::EpochEnded);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.is_session_over() && error.is_retryable());
    }
    let answered: Vec<_> = pair
        .log
        .iter()
        .filter(|entry| matches!(entry, Delivered::Answer(_)))
        .collect();
    assert_eq!(
        answered,
        calls.map(Delivered::Answer).iter().collect::<Vec<_>>()
    );
    pair.resume(1);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn calls_are_told_before_the_expiry_is_published() {
    let mut pair = Pair::serving();
    pair.lose();
    let call = pair.create("/a");
    pair.log.clear();
    pair.connect(1);
    pair.refuse_session();
    assert_eq!(pair.log[0], Delivered::Answer(call));
}

#[test]
fn calls_between_the_sessions_belong_to_the_next() {
    let mut pair = expired();
    let call = pair.create("/a");
    assert!(pair.is_waiting(call));
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::Create]);
    assert_eq!(pair.epoch(), Epoch(2));
}

#[test]
fn the_next_epoch_begins_when_the_last_one_ends() {
    let mut pair = expired();
    assert_eq!(pair.epoch(), Epoch(2), "calls made now belong to it");
    pair.connect(1);
    pair.lose();
    assert_eq!(pair.epoch(), Epoch(2), "an attempt is no session");
    pair.resume(1);
    assert_eq!(pair.epoch(), Epoch(2));
    let connected = SessionState::Connected { epoch: Epoch(2) };
    assert_eq!(pair.states().last(), Some(&connected));
}

#[test]
fn the_next_session_may_meet_a_server_that_is_behind_the_last() {
    let mut pair = Pair::serving();
    pair.zxid = Zxid(0x1_0000_0000);
    pair.get("/a");
    pair.answer_all();
    pair.lose();
    pair.connect(1);
    pair.refuse_session();
    pair.resume(2);
    pair.zxid = Zxid(5);
    let call = pair.get("/a");
    pair.answer_all();
    assert_eq!(pair.reply(call).err, ErrorCode::Ok);
    assert_eq!(pair.session.last_zxid(), Zxid(6));
}

#[test]
fn epochs_count_sessions_not_connections() {
    let mut pair = Pair::serving();
    for _ in 0..3 {
        pair.lose();
        pair.resume(1);
    }
    assert_eq!(pair.epoch(), Epoch(1));
    for epoch in 2..5 {
        pair.lose();
        pair.connect(1);
        pair.refuse_session();
        pair.resume(1); // the same id again is another session all the same
        assert_eq!(pair.epoch(), Epoch(epoch));
    }
}

#[test]
fn expiry_is_terminal_if_so_chosen() {
    let mut pair = Pair::serving_with(SessionConfig {
        new_session_after_expiry: false,
        ..config()
    });
    pair.lose();
    let call = pair.create("/a");
    pair.connect(1);
    pair.refuse_session();
    assert_eq!(pair.error(call), Error::EpochEnded);
    assert!(pair.session.is_over());
    let over = SessionState::Expired { epoch: Epoch(1) };
    assert_eq!(pair.states().last(), Some(&over));
    assert_eq!(pair.try_get("/a"), Err(Error::SessionExpired));
    let ready = pair.poll_ready();
    assert_eq!(ready, Poll::Ready(Err(Error::SessionExpired)));
    let close = pair.close();
    assert!(pair.result(close).unwrap().is_ok(), "it is closed already");
}

#[test]
fn each_state_is_published_once() {
    let mut pair = expired();
    pair.resume(1);
    let until = pair.session.identity().proof.unwrap() + TIMEOUT * 3 / 4;
    let expected = [
        SessionState::Suspended {
            epoch: Epoch(1),
            until,
        },
        SessionState::Expired { epoch: Epoch(1) },
        SessionState::Connected { epoch: Epoch(2) },
    ];
    assert_eq!(pair.states(), expected);
    let mut terminal = Pair::serving_with(SessionConfig {
        new_session_after_expiry: false,
        ..config()
    });
    terminal.lose();
    terminal.log.clear();
    terminal.connect(1);
    terminal.refuse_session();
    assert_eq!(
        terminal.states(),
        [SessionState::Expired { epoch: Epoch(1) }]
    );
}

#[test]
fn the_suspended_state_carries_the_last_proof_of_life() {
    let mut pair = Pair::serving();
    pair.advance(TIMEOUT / 9);
    let sent = pair.boot();
    pair.get("/a");
    pair.advance(TIMEOUT / 9);
    pair.answer_all();
    pair.advance(TIMEOUT / 9);
    pair.lose();
    let suspended = SessionState::Suspended {
        epoch: Epoch(1),
        until: sent + TIMEOUT * 3 / 4,
    };
    assert_eq!(pair.states(), [suspended]);
    // An attempt that fails changes nothing.
    pair.connect(2);
    pair.lose();
    assert_eq!(pair.states(), [suspended]);
    assert_eq!(pair.session.identity().id, ID);
}
