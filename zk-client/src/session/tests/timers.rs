//! Pings, the read timeout, proofs of life.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, Xid};

use super::pair::{Pair, TIMEOUT};
use crate::session::Cause;

const PING: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(6);
const MS: Duration = Duration::from_millis(1);

fn pong(pair: &mut Pair) {
    let header = pair.header(Xid::PING, ErrorCode::Ok);
    pair.send(&header);
}

#[test]
fn an_idle_connection_is_pinged() {
    let mut pair = Pair::serving();
    pair.advance(PING - MS);
    assert!(pair.take_requests().is_empty());
    pair.advance(MS);
    let ping = pair.take_request();
    assert_eq!((ping.op, ping.xid), (OpCode::Ping, Xid::PING));
    assert!(ping.body.is_empty());
    pong(&mut pair);
    pair.advance(PING);
    assert_eq!(pair.take_ops(), [OpCode::Ping]);
}

#[test]
fn sending_postpones_the_ping_and_receiving_does_not() {
    let mut pair = Pair::serving();
    pair.advance(PING / 2);
    pair.get("/a");
    pair.advance(PING / 2);
    assert_eq!(pair.take_ops(), [OpCode::GetData]);
    pong(&mut pair);
    pair.advance(PING / 2);
    assert_eq!(pair.take_ops(), [OpCode::Ping]);
}

#[test]
fn pings_go_out_while_answers_are_awaited() {
    let mut pair = Pair::serving();
    let get = pair.get("/a");
    let request = pair.take_request();
    pair.advance(PING);
    assert_eq!(pair.take_ops(), [OpCode::Ping]);
    // Wherever the pong stands among the answers.
    pong(&mut pair);
    pair.answer(&request, &());
    assert_eq!(pair.reply(get).err, ErrorCode::Ok);
}

#[test]
fn a_silent_server_is_left_after_two_thirds_of_the_session() {
    let mut pair = Pair::serving();
    pair.advance(READ_TIMEOUT - MS);
    assert!(pair.is_connected());
    pair.advance(MS);
    assert_eq!(pair.causes(), [Cause::ReadTimeout(READ_TIMEOUT)]);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut pair = Pair::serving();
    for _ in 0..10 {
        pair.advance(READ_TIMEOUT - MS);
        // A part of a frame.
        pair.session.handle_read(pair.mono());
    }
    assert!(pair.is_connected());
    pair.advance(READ_TIMEOUT);
    assert!(!pair.is_connected());
}

#[test]
fn after_a_stall_silence_beats_the_ping() {
    let mut pair = Pair::serving();
    pair.stall(READ_TIMEOUT * 5);
    pair.advance(Duration::ZERO);
    assert_eq!(pair.causes(), [Cause::ReadTimeout(READ_TIMEOUT)]);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn what_arrived_during_a_stall_counts() {
    let mut pair = Pair::serving();
    pair.stall(READ_TIMEOUT * 5);
    pong(&mut pair); // the driver reads before it looks at the clock
    pair.advance(Duration::ZERO);
    assert!(pair.is_connected());
}

#[test]
fn without_a_connection_there_is_nothing_to_wake_up_for() {
    let mut pair = Pair::serving();
    pair.lose();
    assert_eq!(pair.session.poll_timeout(), zk_env::Mono::MAX);
    pair.advance(TIMEOUT * 100);
    assert!(!pair.session.is_over(), "only a server declares expiry");
}

#[test]
fn an_answer_proves_life_at_the_moment_its_request_was_sent() {
    let mut pair = Pair::serving();
    pair.advance(MS * 10);
    let sent = pair.boot();
    pair.get("/a");
    let request = pair.take_request();
    pair.advance(MS * 500);
    assert!(pair.session.identity().proof < Some(sent));
    pair.answer(&request, &());
    assert_eq!(pair.session.identity().proof, Some(sent));
}

/// As long as one was open the client noted no other, and took the next pong for the
/// answer to the ping after it (found by zk-sim, seed 3283).
#[test]
fn each_pong_proves_life_at_the_moment_of_its_own_ping() {
    let mut pair = Pair::serving();
    pair.advance(PING);
    let first = pair.boot();
    pair.advance(PING);
    let second = pair.boot();
    assert_eq!(pair.take_ops(), [OpCode::Ping, OpCode::Ping]);
    pong(&mut pair);
    assert_eq!(pair.session.identity().proof, Some(first));
    pair.advance(PING);
    assert_eq!(pair.take_ops(), [OpCode::Ping]);
    pong(&mut pair);
    assert_eq!(pair.session.identity().proof, Some(second));
    assert_eq!(pair.session.identity().proof, Some(first + PING));
}

#[test]
fn events_and_error_answers_do_not_take_the_proof_back() {
    let mut pair = Pair::serving();
    pair.advance(PING);
    pong(&mut pair);
    let proof = pair.session.identity().proof;
    pair.event(zk_proto::EventType::NodeCreated, "/a");
    assert_eq!(pair.session.identity().proof, proof);
    pair.lose();
    assert_eq!(pair.session.identity().proof, proof);
}
