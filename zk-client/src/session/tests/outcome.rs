//! What a lost connection says of the calls it takes along.

use zk_proto::OpCode;

use super::pair::{CallId, Delivered, Pair, lost};
use crate::error::{Error, Outcome};
use crate::session::{Cause, SessionState};

/// A call of every kind that writes, and of some that read.
fn one_of_each(pair: &mut Pair) -> Vec<(CallId, bool)> {
    vec![
        (pair.create("/a"), true),
        (pair.get("/a"), false),
        (pair.set("/a", b"x"), true),
        (pair.sync("/a"), false),
        (pair.delete("/a"), true),
        (pair.call(OpCode::SetAcl, "/a", &"/a"), true),
        (pair.call(OpCode::Multi, "/a", &()), true),
        (pair.call(OpCode::Reconfig, "/a", &()), true),
        (pair.call(OpCode::GetAcl, "/a", &"/a"), false),
    ]
}

/// One call written, the rest in one piece that waits for the socket.
fn stuck() -> (Pair, CallId, Vec<(CallId, bool)>) {
    let mut pair = Pair::serving();
    pair.writes_at_once = false;
    let first = pair.sync("/");
    let calls = one_of_each(&mut pair);
    pair.write(usize::MAX);
    assert_eq!(pair.take_ops(), [OpCode::Sync]);
    (pair, first, calls)
}

#[test]
fn a_write_whose_last_byte_left_is_unknown_and_any_other_not_applied() {
    let total = stuck().0.unwritten();
    for written in 0..=total {
        let (mut pair, first, calls) = stuck();
        pair.write(written);
        let arrived = pair.take_requests().len();
        pair.lose();
        assert_eq!(pair.error(first), lost(Outcome::NotApplied), "a read");
        for (position, (call, is_write)) in calls.iter().enumerate() {
            let outcome = if *is_write && position < arrived {
                Outcome::Unknown
            } else {
                Outcome::NotApplied
            };
            assert_eq!(
                pair.error(*call),
                lost(outcome),
                "{written} bytes, {call:?}"
            );
        }
        let mut all = vec![first];
        all.extend(calls.iter().map(|(call, _)| *call));
        assert_eq!(pair.take_answered(), all, "they fail in order");
    }
}

#[test]
fn lost_reads_and_unsent_writes_may_be_retried_and_sent_writes_not() {
    let mut pair = Pair::serving();
    let (write, read) = (pair.create("/a"), pair.get("/a"));
    pair.lose();
    assert!(pair.error(read).is_retryable() && !pair.error(read).is_outcome_unknown());
    assert!(!pair.error(write).is_retryable() && pair.error(write).is_outcome_unknown());
}

#[test]
fn good_answers_are_a_prefix_of_the_calls() {
    for answered in 0..=5 {
        let mut pair = Pair::serving();
        let calls: Vec<_> = (0..5).map(|n| pair.create(&format!("/{n}"))).collect();
        for request in pair.take_requests().iter().take(answered) {
            pair.answer(request, &request.path().as_str());
        }
        pair.lose();
        for (position, call) in calls.iter().enumerate() {
            assert_eq!(pair.result(*call).unwrap().is_ok(), position < answered);
        }
        assert_eq!(pair.take_answered(), calls);
    }
}

#[test]
fn the_loss_is_told_to_the_calls_before_it_is_published() {
    let mut pair = Pair::serving();
    let call = pair.create("/a");
    pair.lose();
    let answered = pair
        .log
        .iter()
        .position(|entry| *entry == Delivered::Answer(call));
    let published = pair
        .log
        .iter()
        .position(|entry| matches!(entry, Delivered::State(SessionState::Suspended { .. })));
    assert!(answered.unwrap() < published.unwrap(), "{:?}", pair.log);
}

#[test]
fn leaving_by_choice_spares_what_was_not_sent() {
    for cause in [Cause::Rebalanced, Cause::ReadWriteFound] {
        let mut pair = Pair::serving();
        pair.writes_at_once = false;
        let sent = pair.create("/sent");
        pair.write(usize::MAX);
        let stuck = pair.create("/stuck");
        let queued = pair.create("/queued");
        pair.take_requests();
        pair.lose_by(cause);
        assert_eq!(pair.error(sent), lost(Outcome::Unknown));
        assert_eq!(
            pair.error(stuck),
            lost(Outcome::NotApplied),
            "in the buffer"
        );
        assert!(pair.is_waiting(queued));
        pair.writes_at_once = true;
        pair.resume(2);
        assert_eq!(pair.take_request().path(), "/queued");
    }
}

#[test]
fn calls_while_suspended_wait_for_the_connection() {
    let mut pair = Pair::serving();
    pair.lose();
    let calls = [pair.create("/a"), pair.get("/b")];
    assert!(calls.iter().all(|call| pair.is_waiting(*call)));
    pair.resume(2);
    pair.answer_all();
    assert!(calls.iter().all(|call| pair.result(*call).unwrap().is_ok()));
}

#[test]
fn nothing_is_sent_twice() {
    let mut pair = Pair::serving();
    pair.create("/a");
    assert_eq!(pair.take_request().path(), "/a");
    pair.lose();
    pair.resume(2);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn a_terminal_end_is_an_outcome_too() {
    let mut pair = Pair::serving();
    pair.writes_at_once = false;
    let sent = pair.create("/sent");
    pair.write(usize::MAX);
    let queued = [pair.create("/stuck"), pair.create("/queued")];
    pair.close();
    for _ in 0..9 {
        pair.session.handle_read(pair.mono());
        pair.advance(pair.session.identity().timeout / 9);
    }
    assert!(pair.session.is_over());
    assert_eq!(pair.error(sent), lost(Outcome::Unknown));
    assert_eq!(pair.error(queued[0]), lost(Outcome::NotApplied));
    assert_eq!(pair.error(queued[1]), Error::Closed);
    assert_eq!(pair.error(queued[1]).outcome(), Outcome::NotApplied);
}
