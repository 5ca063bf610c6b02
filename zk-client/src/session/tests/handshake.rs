//! ConnectRequest and what servers may answer.

use std::time::Duration;

use bytes::BytesMut;
use zk_proto::record::ConnectResponse;
use zk_proto::{Encode, OpCode, Password, SessionId, Zxid};

use super::pair::{HANDSHAKE, ID, Pair, TIMEOUT, config, granted, server};
use crate::session::{Cause, Epoch, SessionConfig, SessionState};

fn resuming() -> SessionConfig {
    SessionConfig {
        resume: Some((ID, Password::new(*b"fedcba9876543210"))),
        ..config()
    }
}

#[test]
fn a_new_session_asks_with_id_zero_and_sixteen_zeros() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    let request = pair.take_connect_request();
    assert_eq!(request.session_id, SessionId::NONE);
    assert_eq!(request.password, Password::none());
    assert_eq!(request.timeout_ms, 9_000);
    assert_eq!(request.last_zxid_seen, Zxid::ZERO);
    assert_eq!(request.read_only, Some(false));

    pair.grant(&granted(ID));
    let identity = pair.session.identity();
    assert_eq!((identity.id, identity.epoch), (ID, Epoch(1)));
    assert_eq!(identity.password, granted(ID).password);
    assert_eq!(pair.states(), [SessionState::Connected { epoch: Epoch(1) }]);
}

#[test]
fn nothing_follows_the_connect_request_before_its_answer() {
    let mut pair = Pair::new(config());
    let get = pair.get("/a");
    pair.connect(1);
    pair.take_connect_request();
    pair.advance(HANDSHAKE / 2);
    assert!(pair.take_requests().is_empty());
    pair.grant(&granted(ID));
    assert_eq!(pair.take_ops(), [OpCode::GetData]);
    assert!(pair.is_waiting(get));
}

#[test]
fn the_negotiated_timeout_counts_and_the_wanted_one_is_asked_for_again() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.grant(&ConnectResponse {
        timeout_ms: 4_000,
        ..granted(ID)
    });
    assert_eq!(pair.session.identity().timeout, Duration::from_secs(4));
    pair.lose();
    pair.connect(2);
    assert_eq!(pair.take_connect_request().timeout_ms, 9_000);
}

#[test]
fn a_reconnect_presents_id_password_and_the_newest_zxid() {
    let mut pair = Pair::serving();
    pair.get("/a");
    pair.answer_all();
    let seen = pair.zxid;
    pair.lose();
    pair.connect(2);
    let request = pair.take_connect_request();
    assert_eq!(request.session_id, ID);
    assert_eq!(request.password, granted(ID).password);
    assert_eq!(request.last_zxid_seen, seen);
    pair.grant(&granted(ID));
    assert_eq!(pair.epoch(), Epoch(1));
    assert_eq!(
        pair.states().last(),
        Some(&SessionState::Connected { epoch: Epoch(1) })
    );
}

#[test]
fn a_saved_session_is_resumed() {
    let mut pair = Pair::new(resuming());
    pair.connect(1);
    let request = pair.take_connect_request();
    assert_eq!(request.session_id, ID);
    assert_eq!(request.password.as_bytes(), b"fedcba9876543210");
    pair.grant(&granted(ID));
    assert_eq!(pair.states(), [SessionState::Connected { epoch: Epoch(1) }]);
}

#[test]
fn a_saved_session_that_is_gone_is_terminal() {
    let mut pair = Pair::new(resuming());
    pair.connect(1);
    pair.refuse_session();
    assert!(pair.session.is_over());
    let expired = SessionState::Expired {
        epoch: Epoch::default(),
    };
    assert_eq!(pair.states(), [expired]);
}

#[test]
fn a_timeout_of_zero_or_less_means_expired() {
    for timeout_ms in [0, -1, i32::MIN] {
        let mut pair = Pair::serving();
        pair.lose();
        pair.connect(1);
        pair.grant(&ConnectResponse {
            timeout_ms,
            ..granted(ID)
        });
        let expired = SessionState::Expired { epoch: Epoch(1) };
        assert!(pair.states().contains(&expired), "{timeout_ms}");
        assert_eq!(pair.causes().last(), Some(&Cause::Expired));
    }
}

#[test]
fn a_new_session_that_is_refused_is_asked_for_again() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.refuse_session();
    assert!(matches!(pair.causes()[..], [Cause::BadBytes(_)]));
    assert!(pair.states().is_empty() && !pair.session.is_over());
    pair.resume(2);
    assert_eq!(pair.epoch(), Epoch(1));
}

#[test]
fn another_sessions_id_means_that_ours_is_gone() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.connect(1);
    pair.grant(&granted(SessionId(0x9999)));
    let expired = SessionState::Expired { epoch: Epoch(1) };
    assert_eq!(pair.states().last(), Some(&expired));
    assert!(!pair.is_connected());
    assert_eq!(pair.session.identity().id, SessionId::NONE);
}

#[test]
fn a_session_without_an_id_is_no_session() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.grant(&granted(SessionId::NONE));
    assert!(matches!(pair.causes()[..], [Cause::BadBytes(_)]));
    assert!(pair.states().is_empty());
    assert_eq!(pair.epoch(), Epoch::default());
}

#[test]
fn negative_ids_are_ids() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.grant(&granted(SessionId(-5)));
    pair.lose();
    pair.connect(1);
    assert_eq!(pair.take_connect_request().session_id, SessionId(-5));
}

#[test]
fn a_password_of_any_length_is_kept_and_presented() {
    for password in [&b""[..], b"short", &[7; 300]] {
        let mut pair = Pair::new(config());
        pair.connect(1);
        pair.grant(&ConnectResponse {
            password: Password::new(password),
            ..granted(ID)
        });
        pair.lose();
        pair.connect(1);
        let presented = pair.take_connect_request().password;
        assert_eq!(presented.as_bytes(), password);
    }
}

#[test]
fn an_answer_without_the_read_only_byte_is_read_write() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.grant(&ConnectResponse {
        read_only: None,
        ..granted(ID)
    });
    assert_eq!(pair.states(), [SessionState::Connected { epoch: Epoch(1) }]);
}

#[test]
fn a_truncated_answer_costs_the_connection_and_no_more() {
    let mut whole = BytesMut::new();
    granted(ID).encode(&mut whole);
    for len in 0..whole.len() - 1 {
        let mut pair = Pair::new(config());
        pair.connect(1);
        pair.send_bytes(&whole[..len]);
        assert!(matches!(pair.causes()[..], [Cause::BadBytes(_)]), "{len}");
        pair.resume(1);
        assert_eq!(pair.epoch(), Epoch(1));
    }
}

#[test]
fn an_answer_that_comes_before_the_question_leaves_nothing_for_the_next_server() {
    let mut pair = Pair::serving();
    pair.lose();
    let deadline = pair.mono() + HANDSHAKE;
    pair.session
        .handle_connected(pair.now(), server(1), deadline);
    // Nothing was written yet.
    pair.refuse_session();
    pair.connect(2);
    assert_eq!(pair.take_connect_request().session_id, SessionId::NONE);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn a_server_that_does_not_answer_is_left_at_the_deadline() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.advance(HANDSHAKE - Duration::from_millis(1));
    assert!(pair.is_connected());
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.causes(), [Cause::HandshakeTimeout]);
    assert!(pair.states().is_empty());
}

#[test]
fn bytes_alone_do_not_prolong_the_handshake() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    for _ in 0..3 {
        pair.advance(HANDSHAKE / 3);
        pair.session.handle_read(pair.mono());
    }
    assert_eq!(pair.causes(), [Cause::HandshakeTimeout]);
}

#[test]
fn calls_wait_through_failed_handshakes() {
    let mut pair = Pair::serving();
    pair.lose();
    let get = pair.get("/a");
    for _ in 0..3 {
        pair.connect(2);
        pair.lose();
    }
    assert!(pair.is_waiting(get));
    pair.resume(1);
    pair.answer_all();
    assert!(pair.reply(get).err == zk_proto::ErrorCode::Ok);
}

#[test]
fn the_session_is_vouched_for_from_the_moment_it_was_asked_for() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    let asked = pair.boot();
    pair.advance(HANDSHAKE / 2);
    pair.grant(&granted(ID));
    assert_eq!(pair.session.identity().proof, Some(asked));
    pair.lose();
    let suspended = SessionState::Suspended {
        epoch: Epoch(1),
        until: asked + TIMEOUT * 3 / 4,
    };
    assert_eq!(pair.states().last(), Some(&suspended));
}
