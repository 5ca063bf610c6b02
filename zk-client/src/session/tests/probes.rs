//! What a simulator sees, and what it can plant.

use std::sync::Arc;

use zk_env::ScriptedProbe;
use zk_proto::{EventType, OpCode};

use super::pair::{Pair, TIMEOUT, lost};
use crate::error::{Error, Outcome};
use crate::session::WatchKind;
use crate::watcher::Watcher;

fn watched() -> (Pair, Arc<ScriptedProbe>) {
    let probe = Arc::new(ScriptedProbe::new());
    (Pair::probed(&probe), probe)
}

fn planted(bug: &'static str) -> Pair {
    Pair::probed(&Arc::new(ScriptedProbe::planting(bug)))
}

/// The session expires on the next connection.
fn expire(pair: &mut Pair) {
    pair.lose();
    pair.connect(1);
    pair.refuse_session();
}

#[test]
fn a_write_in_flight_at_expiry_is_noted_though_a_connection_lies_between() {
    let (mut pair, probe) = watched();
    pair.set("/a", b"x");
    expire(&mut pair);
    assert!(probe.has_reached("client: cut with the request written"));
    assert!(probe.has_reached("client: write unanswered at expiry"));
}

#[test]
fn a_write_lost_before_the_session_was_resumed_is_no_write_at_expiry() {
    let (mut pair, probe) = watched();
    pair.set("/a", b"x");
    pair.lose();
    pair.resume(1);
    expire(&mut pair);
    assert!(!probe.has_reached("client: write unanswered at expiry"));
}

#[test]
fn how_far_a_request_was_written_is_noted() {
    let (mut pair, probe) = watched();
    pair.writes_at_once = false;
    let call = pair.set("/a", b"x");
    pair.write(pair.unwritten() - 1);
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::NotApplied));
    assert!(probe.has_reached("client: cut with the request partly written"));
    assert!(!probe.has_reached("client: cut with the request written"));
}

#[test]
fn an_event_ahead_of_the_answer_to_set_watches_comes_from_it() {
    let (mut pair, probe) = watched();
    let watcher = Watcher::new();
    pair.watched(WatchKind::Data, "/a", &watcher);
    pair.answer_all();
    pair.event(EventType::NodeDataChanged, "/b");
    assert!(!probe.has_reached("client: watch fired by re-registration"));
    pair.lose();
    pair.resume(1);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches]);
    pair.event(EventType::NodeDataChanged, "/a");
    assert!(probe.has_reached("client: watch fired by re-registration"));
    assert!(!probe.has_reached("client: watches re-registered in several chunks"));
}

#[test]
fn sleeping_past_the_session_timeout_is_noted() {
    let (mut pair, probe) = watched();
    pair.advance(TIMEOUT / 2);
    assert!(!probe.has_reached("client: slept past the session timeout"));
    pair.stall(TIMEOUT);
    pair.session.handle_timeout(pair.now());
    assert!(probe.has_reached("client: slept past the session timeout"));
    assert!(!probe.has_reached("client: machine suspended past the session timeout"));
}

#[test]
fn a_machine_that_was_suspended_is_noted() {
    let (mut pair, probe) = watched();
    let mut now = pair.now();
    pair.session.handle_timeout(now);
    now.boot = now.boot + TIMEOUT;
    pair.session.handle_timeout(now);
    assert!(probe.has_reached("client: machine suspended past the session timeout"));
}

#[test]
fn a_planted_bug_answers_the_wrong_call_after_a_cancellation() {
    let mut pair = planted("reply to the wrong request after cancellation");
    let dropped = pair.try_get("/dropped").unwrap();
    let next = pair.get("/next");
    pair.cancel(dropped);
    let requests = pair.take_requests();
    pair.answer(&requests[0], &7);
    assert!(pair.result(next).is_some(), "this answer is not its own");
}

#[test]
fn a_planted_bug_restores_no_watches() {
    let mut pair = planted("watches not registered again");
    let watcher = Watcher::new();
    pair.watched(WatchKind::Data, "/a", &watcher);
    pair.answer_all();
    pair.lose();
    pair.resume(1);
    assert!(pair.take_ops().is_empty());
}

#[test]
fn a_planted_bug_replays_writes_into_the_next_session() {
    let replayed = |mut pair: Pair| {
        pair.lose();
        let call = pair.set("/a", b"x");
        pair.connect(1);
        pair.refuse_session();
        pair.resume(1);
        (pair.take_ops(), pair.result(call).cloned())
    };
    let (ops, result) = replayed(planted("write replayed into a new session"));
    assert_eq!((ops, result.is_none()), (vec![OpCode::SetData], true));
    let (ops, result) = replayed(Pair::serving());
    assert_eq!(
        (ops, result.unwrap().unwrap_err()),
        (vec![], Error::EpochEnded)
    );
}

#[test]
fn a_planted_bug_counts_from_the_reply() {
    let late = |mut pair: Pair| {
        let sent_at = pair.boot();
        pair.get("/a");
        pair.stall(TIMEOUT / 3);
        pair.answer_all();
        let proof = pair.session.identity().proof.unwrap();
        proof.since(sent_at)
    };
    assert_eq!(late(planted("deadline from the reply")), TIMEOUT / 3);
    assert!(late(Pair::serving()).is_zero());
}
