//! Xids: never reserved, never reset, past the largest one.

use zk_proto::{OpCode, Xid};

use super::pair::{Pair, config};
use crate::session::{Call, SessionConfig};

#[test]
fn after_the_largest_xid_comes_one() {
    let mut pair = Pair::serving_with(SessionConfig {
        last_xid: Xid(i32::MAX - 2),
        ..config()
    });
    let calls: Vec<_> = (0..5).map(|n| pair.get(&format!("/{n}"))).collect();
    let requests = pair.take_requests();
    let xids: Vec<_> = requests.iter().map(|seen| seen.xid.0).collect();
    assert_eq!(xids, [i32::MAX - 1, i32::MAX, 1, 2, 3]);
    for request in &requests {
        pair.answer(request, &());
    }
    assert_eq!(pair.take_answered(), calls);
}

#[test]
fn xids_go_on_across_connections_and_sessions() {
    let mut pair = Pair::serving();
    pair.get("/a");
    pair.lose();
    pair.resume(1);
    pair.get("/b");
    pair.lose();
    pair.connect(1);
    pair.refuse_session();
    pair.resume(1);
    pair.get("/c");
    let xids: Vec<_> = pair.take_requests().iter().map(|seen| seen.xid.0).collect();
    assert_eq!(xids, [3], "(session, xid) names one operation for ever");
}

#[test]
fn the_sessions_own_frames_take_no_xid() {
    let mut pair = Pair::serving();
    pair.add_auth("digest", "ann:secret");
    pair.answer_all();
    pair.advance(std::time::Duration::from_secs(2));
    assert_eq!(pair.take_ops(), [OpCode::Ping]);
    pair.get("/a");
    assert_eq!(pair.take_request().xid, Xid(1));
}

#[test]
fn a_refused_probe_comes_back_under_its_own_xid_or_a_new_one() {
    let mut pair = Pair::serving();
    pair.create2("/a");
    let probe = pair.take_request();
    pair.refuse_as_unknown(&probe);
    pair.resume(2);
    let again = pair.take_request();
    assert_eq!(again.op, OpCode::Create2, "the other server may know it");
    assert_eq!(again.xid, probe.xid, "the first server did not execute it");
    pair.refuse_as_unknown(&again);
    pair.resume(2);
    let create = pair.take_request();
    assert_eq!(create.op, OpCode::Create);
    assert!(create.xid > probe.xid);
}

#[test]
fn a_call_is_told_the_number_it_is_sent_under() {
    let mut pair = Pair::serving();
    pair.get("/a");
    let call = Call {
        op: OpCode::Sync,
        watch: None,
        deadline: pair.deadline,
    };
    let queued = pair.session.submit(pair.mono(), call, "/b", &"/b").unwrap();
    pair.settle();
    let requests = pair.take_requests();
    assert_eq!((queued.xid, requests[1].xid), (Xid(2), Xid(2)));
}
