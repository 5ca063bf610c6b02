//! The deadline of a call, in the queue and on the wire.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode};

use super::pair::{Pair, TIMEOUT, lost};
use crate::error::{Error, Outcome};

const DEADLINE: Duration = Duration::from_secs(2);

fn late(outcome: Outcome) -> Error {
    Error::DeadlineExceeded {
        deadline: DEADLINE,
        outcome,
    }
}

#[test]
fn a_call_that_was_not_sent_leaves_the_queue() {
    let mut pair = Pair::serving();
    pair.lose();
    let patient = pair.create("/patient");
    pair.deadline = DEADLINE;
    let hasty = pair.create("/hasty");
    pair.advance(DEADLINE - Duration::from_millis(1));
    assert!(pair.is_waiting(hasty));
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.error(hasty), late(Outcome::NotApplied));
    pair.resume(1);
    assert_eq!(pair.take_request().path(), "/patient");
    assert!(pair.is_waiting(patient));
}

#[test]
fn a_call_in_flight_keeps_its_place_and_its_answer_is_discarded() {
    let mut pair = Pair::serving();
    let patient = pair.get("/before");
    pair.deadline = DEADLINE;
    let hasty = [pair.create("/hasty"), pair.get("/hasty")];
    pair.deadline = TIMEOUT;
    let behind = pair.get("/behind");
    let requests = pair.take_requests();
    pair.advance(DEADLINE);
    assert_eq!(pair.error(hasty[0]), late(Outcome::Unknown));
    assert_eq!(pair.error(hasty[1]), late(Outcome::NotApplied), "a read");
    assert!(pair.is_waiting(patient) && pair.is_waiting(behind));
    for request in &requests {
        pair.answer(request, &());
    }
    assert_eq!(pair.reply(patient).err, ErrorCode::Ok);
    assert_eq!(pair.reply(behind).err, ErrorCode::Ok);
    assert!(pair.is_connected());
}

#[test]
fn a_late_call_makes_no_one_wait_after_a_loss() {
    let mut pair = Pair::serving();
    pair.deadline = DEADLINE;
    let hasty = pair.create("/hasty");
    pair.advance(DEADLINE);
    pair.lose();
    assert_eq!(pair.error(hasty), late(Outcome::Unknown), "told once");
    let next = pair.create("/next");
    assert!(pair.is_waiting(next));
}

#[test]
fn the_session_asks_to_be_woken_for_the_earliest_deadline() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.deadline = DEADLINE * 2;
    pair.get("/later");
    pair.deadline = DEADLINE;
    pair.get("/sooner");
    assert_eq!(pair.session.poll_timeout(), pair.mono() + DEADLINE);
    pair.advance(DEADLINE);
    assert_eq!(pair.session.poll_timeout(), pair.mono() + DEADLINE);
    pair.advance(DEADLINE);
    assert_eq!(pair.session.poll_timeout(), zk_env::Mono::MAX);
}

#[test]
fn a_deadline_counts_from_the_call_across_connections() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.deadline = DEADLINE;
    let call = pair.create("/a");
    pair.advance(DEADLINE / 2);
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::Create]);
    pair.advance(DEADLINE / 2);
    assert_eq!(pair.error(call), late(Outcome::Unknown));
}

#[test]
fn a_late_wake_up_still_honours_the_deadlines() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.deadline = DEADLINE;
    let call = pair.get("/a");
    pair.stall(DEADLINE * 10);
    pair.advance(Duration::ZERO);
    assert_eq!(pair.error(call), late(Outcome::NotApplied));
}

#[test]
fn a_zero_deadline_fails_at_the_next_wake_up() {
    let mut pair = Pair::serving();
    pair.lose();
    pair.deadline = Duration::ZERO;
    let call = pair.get("/a");
    pair.advance(Duration::ZERO);
    assert!(matches!(pair.error(call), Error::DeadlineExceeded { .. }));
}

#[test]
fn an_endless_deadline_is_none() {
    let mut pair = Pair::serving();
    pair.deadline = Duration::MAX;
    let call = pair.create("/a");
    pair.advance(Duration::from_secs(1));
    assert!(pair.is_waiting(call));
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::Unknown));
}
