//! Requests go out, and answers come back, in the order of the calls.

use zk_proto::{ErrorCode, OpCode};

use super::pair::{Pair, config};
use crate::session::{Limits, SessionConfig};

#[test]
fn requests_leave_in_the_order_of_the_calls_and_carry_rising_xids() {
    let mut pair = Pair::serving();
    for n in 0..50 {
        pair.get(&format!("/{n}"));
    }
    let requests = pair.take_requests();
    let paths: Vec<_> = requests.iter().map(|seen| seen.path()).collect();
    assert_eq!(paths, (0..50).map(|n| format!("/{n}")).collect::<Vec<_>>());
    let xids: Vec<_> = requests.iter().map(|seen| seen.xid.0).collect();
    assert_eq!(xids, (1..=50).collect::<Vec<_>>());
}

#[test]
fn answers_become_ready_in_the_order_of_the_calls() {
    let mut pair = Pair::serving();
    let calls: Vec<_> = (0..50).map(|n| pair.get(&format!("/{n}"))).collect();
    pair.answer_all();
    assert_eq!(pair.take_answered(), calls);
}

#[test]
fn an_error_answer_is_an_answer() {
    let mut pair = Pair::serving();
    let (first, second) = (pair.delete("/a"), pair.delete("/b"));
    let requests = pair.take_requests();
    pair.refuse(&requests[0], ErrorCode::NoNode);
    pair.answer(&requests[1], &());
    assert_eq!(pair.reply(first).err, ErrorCode::NoNode);
    assert_eq!(pair.reply(second).err, ErrorCode::Ok);
}

#[test]
fn calls_of_a_pause_follow_those_of_the_window() {
    let config = SessionConfig {
        limits: Limits {
            in_flight: 3,
            ..config().limits
        },
        ..config()
    };
    let mut pair = Pair::serving_with(config);
    let calls: Vec<_> = (0..10).map(|n| pair.get(&format!("/{n}"))).collect();
    let mut paths = Vec::new();
    loop {
        let requests = pair.take_requests();
        if requests.is_empty() {
            break;
        }
        assert!(requests.len() <= 3, "the window holds three");
        for request in requests {
            paths.push(request.path());
            pair.answer(&request, &());
        }
    }
    assert_eq!(paths, (0..10).map(|n| format!("/{n}")).collect::<Vec<_>>());
    assert_eq!(pair.take_answered(), calls);
}

#[test]
fn a_call_nobody_waits_for_is_sent_and_its_answer_discarded() {
    let mut pair = Pair::serving();
    pair.lose();
    let dropped = pair.session.submit(
        pair.mono(),
        crate::session::Call {
            op: OpCode::Sync,
            watch: None,
            deadline: pair.deadline,
        },
        "/a",
        &"/a",
    );
    drop(dropped);
    let next = pair.get("/b");
    pair.resume(1);
    let requests = pair.take_requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        pair.answer(&request, &());
    }
    assert_eq!(pair.reply(next).err, ErrorCode::Ok);
}
