//! The closing of the session.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, Password, SessionId};

use super::pair::{Delivered, ID, Pair, TIMEOUT, config, granted};
use crate::error::{Error, Outcome};
use crate::session::{Cause, SessionConfig, SessionState};

fn is_closed(pair: &Pair) -> bool {
    pair.session.is_over() && pair.states().last() == Some(&SessionState::Closed)
}

#[test]
fn closing_tells_the_server_and_waits_for_its_answer() {
    let mut pair = Pair::serving();
    let close = pair.close();
    let request = pair.take_request();
    assert_eq!(request.op, OpCode::CloseSession);
    assert!(request.body.is_empty() && request.xid.0 > 0);
    assert!(pair.is_waiting(close));
    pair.answer(&request, &());
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair) && !pair.is_connected());
    assert_eq!(pair.causes(), [Cause::Closed]);
}

#[test]
fn closing_waits_for_the_calls_made_so_far() {
    let mut pair = Pair::serving();
    let calls = [pair.create("/a"), pair.get("/a")];
    let close = pair.close();
    assert_eq!(pair.try_get("/late"), Err(Error::Closed));
    let requests = pair.take_requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    pair.answer(&requests[0], &"/a");
    pair.answer(&requests[1], &());
    pair.answer_all();
    assert!(calls.iter().all(|call| pair.result(*call).unwrap().is_ok()));
    assert_eq!(pair.take_answered(), [calls[0], calls[1], close]);
}

#[test]
fn the_end_is_published_before_close_returns() {
    let mut pair = Pair::serving();
    let close = pair.close();
    pair.answer_all();
    let closed = Delivered::State(SessionState::Closed);
    let published = pair.log.iter().position(|entry| *entry == closed);
    let returned = pair
        .log
        .iter()
        .position(|entry| *entry == Delivered::Answer(close));
    assert!(published.unwrap() < returned.unwrap(), "{:?}", pair.log);
}

#[test]
fn closing_waits_for_the_steps_of_a_substitute() {
    let mut pair = Pair::serving();
    let create = pair.create2("/a");
    let probe = pair.take_request();
    pair.refuse_as_unknown(&probe);
    let close = pair.close();
    pair.resume(1);
    assert_eq!(pair.take_requests().len(), 1);
    pair.lose();
    assert!(pair.error(create).is_outcome_unknown());
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
    assert!(pair.is_waiting(close));
}

#[test]
fn a_substitute_is_carried_through_before_the_session_ends() {
    let mut pair = Pair::serving();
    let create = pair.create2("/a");
    let probe = pair.take_request();
    pair.refuse_as_unknown(&probe);
    pair.resume(1);
    let step = pair.take_request();
    assert_eq!(step.op, OpCode::Create);
    let close = pair.close();
    assert!(
        pair.take_requests().is_empty(),
        "not while the step is open"
    );
    pair.answer(&step, &"/a");
    let step = pair.take_request();
    assert_eq!(step.op, OpCode::Exists);
    pair.answer(&step, &super::pair::stat());
    assert!(pair.result(create).unwrap().is_ok());
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
    assert!(pair.is_waiting(close));
}

#[test]
fn nothing_travels_with_a_probe_not_even_the_closing() {
    let mut pair = Pair::serving();
    let who = pair.who_am_i();
    pair.close();
    let probe = pair.take_request();
    assert_eq!(probe.op, OpCode::WhoAmI);
    pair.refuse_as_unknown(&probe);
    pair.resume(1);
    assert!(
        pair.result(who).unwrap().is_ok(),
        "the substitute asks nobody"
    );
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
}

#[test]
fn a_loss_before_the_answer_sends_the_closing_again() {
    let mut pair = Pair::serving();
    let close = pair.close();
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
    pair.lose();
    assert!(pair.is_waiting(close));
    pair.resume(2);
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
    pair.lose();
    pair.resume(1);
    pair.answer_all();
    assert!(pair.result(close).unwrap().is_ok());
}

#[test]
fn a_session_found_gone_is_closed_too() {
    let mut pair = Pair::serving();
    let close = pair.close();
    pair.lose();
    pair.connect(1);
    pair.refuse_session();
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair));
}

#[test]
fn closing_while_down_waits_for_a_connection() {
    let mut pair = Pair::serving();
    pair.lose();
    let call = pair.create("/a");
    let close = pair.close();
    assert!(pair.is_waiting(close) && pair.is_waiting(call));
    pair.resume(1);
    assert_eq!(
        pair.take_ops(),
        [OpCode::Create],
        "what was called before comes first"
    );
}

#[test]
fn closing_gives_up_after_the_session_timeout() {
    let mut pair = Pair::serving();
    pair.lose();
    let close = pair.close();
    pair.advance(TIMEOUT - Duration::from_millis(1));
    assert!(pair.is_waiting(close));
    pair.advance(Duration::from_millis(1));
    let error = Error::DeadlineExceeded {
        deadline: TIMEOUT,
        outcome: Outcome::Unknown,
    };
    assert_eq!(pair.error(close), error);
    assert!(is_closed(&pair));
}

#[test]
fn a_server_that_never_answers_the_closing_is_given_up_on() {
    let mut pair = Pair::serving();
    let close = pair.close();
    for _ in 0..3 {
        pair.advance(TIMEOUT / 3 - Duration::from_millis(1));
        pair.session.handle_read(pair.mono());
    }
    assert!(pair.is_waiting(close));
    pair.advance(Duration::from_millis(3));
    assert!(pair.error(close).is_outcome_unknown());
    assert!(is_closed(&pair) && !pair.is_connected());
}

#[test]
fn closing_without_a_session_is_immediate() {
    let mut pair = Pair::new(config());
    let call = pair.get("/a");
    let close = pair.close();
    assert!(pair.result(close).unwrap().is_ok());
    assert_eq!(pair.error(call), Error::Closed);
    assert!(is_closed(&pair));
}

#[test]
fn closing_during_the_first_handshake_closes_what_it_opens() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    pair.take_connect_request();
    let close = pair.close();
    pair.grant(&granted(ID));
    assert_eq!(pair.take_ops(), [OpCode::CloseSession]);
    pair.lose();
    pair.resume(1);
    pair.answer_all();
    assert!(pair.result(close).unwrap().is_ok());
}

#[test]
fn closing_during_a_handshake_that_fails_ends_there() {
    let mut pair = Pair::new(config());
    pair.connect(1);
    let close = pair.close();
    pair.lose();
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair));
}

#[test]
fn a_session_to_resume_that_was_never_reached_is_left_alone() {
    let config = SessionConfig {
        resume: Some((ID, Password::new(*b"fedcba9876543210"))),
        ..config()
    };
    let mut pair = Pair::new(config.clone());
    let close = pair.close();
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair));
    // Neither is it while the question is open.
    let mut pair = Pair::new(config);
    pair.connect(1);
    let close = pair.close();
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair) && !pair.is_connected());
}

#[test]
fn closing_twice_is_closing_once() {
    let mut pair = Pair::serving();
    let closes = [pair.close(), pair.close()];
    pair.answer_all();
    assert!(
        closes
            .iter()
            .all(|close| pair.result(*close).unwrap().is_ok())
    );
    let late = pair.close();
    assert!(pair.result(late).unwrap().is_ok());
    assert_eq!(pair.try_get("/a"), Err(Error::Closed));
}

#[test]
fn an_error_for_an_answer_closes_as_well() {
    let mut pair = Pair::serving();
    let close = pair.close();
    let request = pair.take_request();
    pair.refuse(&request, ErrorCode::SessionExpired);
    assert!(pair.result(close).unwrap().is_ok());
    assert!(is_closed(&pair));
}

#[test]
fn a_session_without_a_driver_answers_everybody_by_itself() {
    let mut pair = Pair::serving();
    let sent = pair.create("/sent");
    pair.lose();
    pair.resume(1);
    let (in_flight, close) = (pair.create("/in-flight"), pair.close());
    pair.session.abandon();
    pair.settle();
    assert!(pair.error(sent).is_outcome_unknown());
    assert!(pair.error(in_flight).is_outcome_unknown());
    assert!(pair.error(close).is_outcome_unknown());
    assert!(is_closed(&pair));
    // Once is enough.
    pair.log.clear();
    pair.session.abandon();
    pair.settle();
    assert!(pair.log.is_empty());
}

#[test]
fn after_the_end_nothing_is_heard_or_sent() {
    let mut pair = Pair::serving();
    pair.close();
    pair.answer_all();
    pair.log.clear();
    pair.connect(1);
    assert_eq!(pair.causes(), [Cause::Closed]);
    assert!(pair.take_requests().is_empty());
    assert_eq!(pair.session.poll_timeout(), zk_env::Mono::MAX);
    assert_ne!(pair.session.identity().id, SessionId::NONE);
}

#[test]
fn closing_waits_no_longer_than_its_handle_whatever_timeout_was_granted() {
    let mut pair = Pair::serving();
    pair.deadline = TIMEOUT / 2;
    let close = pair.close();
    pair.lose();
    pair.advance(TIMEOUT / 2 - Duration::from_millis(1));
    assert!(pair.is_waiting(close));
    pair.advance(Duration::from_millis(1));
    assert!(matches!(
        pair.result(close).unwrap(),
        Err(Error::DeadlineExceeded { .. })
    ));
    assert!(is_closed(&pair));
}
