//! Whatever a server says, the session drops the connection, tells its calls and
//! goes on.

use bytes::{Bytes, BytesMut};
use zk_proto::{Encode, ErrorCode, EventType, OpCode, ReplyHeader, Xid, Zxid};

use super::pair::{CallId, Pair, lost, stat};
use crate::error::{Error, Outcome};
use crate::session::WatchKind::Persistent;
use crate::session::{Cause, Epoch, SessionState};
use crate::watcher::Watcher;

/// The connection is gone for `cause`, both calls are told, and the next connection
/// works.
#[track_caller]
fn assert_dropped(mut pair: Pair, calls: [CallId; 2], cause: &Cause) {
    assert_eq!(pair.causes().last(), Some(cause));
    for call in calls {
        assert_eq!(pair.error(call), lost(Outcome::Unknown));
    }
    assert!(matches!(
        pair.states().last(),
        Some(SessionState::Suspended { .. })
    ));
    pair.resume(2);
    pair.take_requests();
    assert_eq!(pair.epoch(), Epoch(1));
    let get = pair.get("/a");
    pair.answer_all();
    assert_eq!(pair.reply(get).err, ErrorCode::Ok);
}

/// Two writes in flight.
fn in_flight() -> (Pair, [CallId; 2]) {
    let mut pair = Pair::serving();
    let calls = [pair.create("/a"), pair.create("/b")];
    (pair, calls)
}

fn header(xid: i32, zxid: i64) -> ReplyHeader {
    ReplyHeader {
        xid: Xid(xid),
        zxid: Zxid(zxid),
        err: ErrorCode::Ok,
    }
}

#[test]
fn an_unknown_xid_costs_the_connection() {
    for xid in [3, 0, -3, -5, i32::MIN, i32::MAX] {
        let (mut pair, calls) = in_flight();
        pair.send(&header(xid, 0x20));
        assert_dropped(pair, calls, &Cause::OutOfOrder);
    }
}

#[test]
fn a_reply_out_of_order_costs_the_connection() {
    let (mut pair, calls) = in_flight();
    pair.send(&header(2, 0x20));
    assert_dropped(pair, calls, &Cause::OutOfOrder);
}

#[test]
fn a_reply_given_twice_costs_the_connection() {
    let (mut pair, [first, second]) = in_flight();
    let requests = pair.take_requests();
    pair.answer(&requests[0], &"/a");
    pair.answer(&requests[0], &"/a");
    assert!(pair.result(first).unwrap().is_ok());
    assert_eq!(pair.causes(), [Cause::OutOfOrder]);
    assert_eq!(pair.error(second), lost(Outcome::Unknown));
}

#[test]
fn a_reply_to_nothing_costs_the_connection() {
    let mut pair = Pair::serving();
    pair.send(&header(1, 0x20));
    assert_eq!(pair.causes(), [Cause::OutOfOrder]);
}

#[test]
fn unasked_answers_to_credentials_and_watches_cost_the_connection() {
    for xid in [Xid::AUTH, Xid::SET_WATCHES] {
        let (mut pair, calls) = in_flight();
        pair.send(&header(xid.0, 0));
        assert_dropped(pair, calls, &Cause::OutOfOrder);
    }
}

#[test]
fn an_unasked_pong_is_harmless() {
    let (mut pair, [first, _]) = in_flight();
    let proof = pair.session.identity().proof;
    pair.send(&header(Xid::PING.0, 0x20));
    assert!(pair.is_connected() && pair.is_waiting(first));
    assert_eq!(pair.session.identity().proof, proof, "and proves nothing");
}

#[test]
fn a_truncated_header_costs_the_connection() {
    let mut whole = BytesMut::new();
    header(1, 0x20).encode(&mut whole);
    for len in 0..whole.len() {
        let (mut pair, calls) = in_flight();
        pair.send_bytes(&whole[..len]);
        let cause = pair.causes().pop().unwrap();
        assert!(matches!(cause, Cause::BadBytes(_)), "{len}: {cause}");
        assert_dropped(pair, calls, &cause);
    }
}

#[test]
fn a_truncated_event_costs_the_connection() {
    let mut whole = BytesMut::new();
    (header(-1, -1), (3, (3, "/a"))).encode(&mut whole);
    for len in 16..whole.len() {
        let (mut pair, calls) = in_flight();
        pair.send_bytes(&whole[..len]);
        let cause = pair.causes().pop().unwrap();
        assert!(matches!(cause, Cause::BadBytes(_)), "{len}: {cause}");
        assert_dropped(pair, calls, &cause);
    }
}

#[test]
fn an_event_of_an_unknown_kind_is_ignored() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Persistent, "/a", &watcher);
    pair.answer_all();
    for kind in [0, 8, -1, i32::MAX] {
        pair.send(&(header(-1, -1), (kind, (3, "/a"))));
    }
    assert!(pair.is_connected());
    assert_eq!(watcher.try_next(), None);
}

#[test]
fn a_zxid_that_goes_back_costs_the_connection() {
    let mut pair = Pair::serving();
    pair.zxid = Zxid(0x100);
    pair.get("/");
    pair.answer_all();
    let calls = [pair.create("/a"), pair.create("/b")];
    let requests = pair.take_requests();
    pair.send(&header(requests[0].xid.0, 0x99));
    assert_eq!(pair.session.last_zxid(), Zxid(0x101));
    assert_dropped(pair, calls, &Cause::ServerBehind);
}

#[test]
fn a_pong_with_an_old_zxid_costs_the_connection_too() {
    let mut pair = Pair::serving();
    pair.zxid = Zxid(0x100);
    pair.get("/");
    pair.answer_all();
    pair.send(&header(Xid::PING.0, 0x99));
    assert_eq!(pair.causes(), [Cause::ServerBehind]);
}

#[test]
fn zxids_that_are_none_are_not_adopted() {
    for zxid in [0, -1, i64::MIN] {
        let (mut pair, [first, _]) = in_flight();
        pair.send(&(header(1, zxid), "/a"));
        assert!(pair.result(first).unwrap().is_ok());
        assert_eq!(pair.session.last_zxid(), Zxid::ZERO);
    }
}

#[test]
fn nothing_is_believed_of_a_connection_that_is_to_be_dropped() {
    let (mut pair, calls) = in_flight();
    let frame = |payload: &dyn Fn(&mut BytesMut)| {
        let mut bytes = BytesMut::new();
        payload(&mut bytes);
        bytes.freeze()
    };
    let frames: [Bytes; 3] = [
        frame(&|out| header(7, 0x20).encode(out)),
        frame(&|out| (header(1, 0x900), "/a").encode(out)),
        frame(&|out| (header(2, 0x901), "/b").encode(out)),
    ];
    pair.send_together(&frames);
    assert_eq!(pair.session.last_zxid(), Zxid::ZERO);
    assert_eq!(pair.causes().len(), 1);
    assert_dropped(pair, calls, &Cause::OutOfOrder);
}

#[test]
fn a_late_wake_up_does_not_write_to_a_connection_that_is_to_be_dropped() {
    let (mut pair, calls) = in_flight();
    pair.take_requests();
    pair.stall(std::time::Duration::from_secs(20));
    pair.session.handle_timeout(pair.now());
    pair.session.handle_timeout(pair.now());
    pair.settle();
    assert_eq!(pair.causes().len(), 1);
    assert!(pair.take_requests().is_empty());
    let cause = pair.causes().remove(0);
    assert_dropped(pair, calls, &cause);
}

#[test]
fn a_reply_over_the_limit_is_told_to_its_call_and_costs_the_connection() {
    let (mut pair, [first, second]) = in_flight();
    pair.session
        .handle_oversized_reply(Some(Xid(1)), 5000, 4000);
    pair.settle();
    let error = pair.error(first);
    assert!(
        matches!(
            error,
            Error::ReplyTooLarge {
                size: 5000,
                limit: 4000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.outcome(), Outcome::Applied);
    assert_eq!(pair.error(second), lost(Outcome::Unknown));
    assert!(matches!(pair.causes()[..], [Cause::BadBytes(_)]));
}

#[test]
fn whose_reply_is_over_the_limit_is_waited_for_if_it_can_be_anybodys() {
    let (mut pair, [first, _]) = in_flight();
    pair.session.handle_oversized_reply(None, 5000, 4000);
    pair.settle();
    assert!(pair.is_connected(), "four bytes more will tell");
    pair.session
        .handle_oversized_reply(Some(Xid(1)), 5000, 4000);
    pair.settle();
    assert!(matches!(pair.error(first), Error::ReplyTooLarge { .. }));

    let mut idle = Pair::serving();
    idle.session.handle_oversized_reply(None, 5000, 4000);
    idle.settle();
    assert!(!idle.is_connected());

    let mut handshake = Pair::new(super::pair::config());
    handshake.connect(1);
    handshake.session.handle_oversized_reply(None, 5000, 4000);
    handshake.settle();
    assert!(!handshake.is_connected());
}

#[test]
fn a_frame_over_the_limit_that_is_no_reply_costs_the_connection_alone() {
    for xid in [Xid(2), Xid(77), Xid::NOTIFICATION, Xid::PING] {
        let (mut pair, calls) = in_flight();
        pair.session.handle_oversized_reply(Some(xid), 5000, 4000);
        pair.settle();
        let cause = pair.causes().remove(0);
        assert_dropped(pair, calls, &cause);
    }
    // Nor is one believed after a violation.
    let (mut pair, calls) = in_flight();
    pair.session.handle_frame(pair.now(), &Bytes::new());
    pair.session
        .handle_oversized_reply(Some(Xid(1)), 5000, 4000);
    pair.settle();
    let cause = pair.causes().remove(0);
    assert_dropped(pair, calls, &cause);
}

#[test]
fn a_body_that_cannot_be_read_is_the_callers_to_refuse() {
    // The session hands bodies over as they are, garbage and all.
    let mut pair = Pair::serving();
    let get = pair.get("/a");
    pair.take_requests();
    pair.send(&(header(1, 0x20), (0x7fff_ffff, stat())));
    assert_eq!(pair.reply(get).err, ErrorCode::Ok);
    assert!(pair.is_connected());
}

#[test]
fn answers_before_the_credentials_are_settled_cost_the_connection() {
    let mut pair = Pair::serving();
    pair.add_auth("digest", "ann:secret");
    pair.answer_all();
    pair.lose();
    for frame in [header(1, 0x20), header(Xid::SET_WATCHES.0, 0x20)] {
        pair.resume(1);
        assert_eq!(pair.take_ops(), [OpCode::Auth]);
        pair.send(&frame);
        assert_eq!(pair.causes().last(), Some(&Cause::OutOfOrder));
    }
}

#[test]
fn events_before_the_credentials_are_settled_are_heard() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Persistent, "/a", &watcher);
    pair.answer_all();
    pair.add_auth("digest", "ann:secret");
    pair.answer_all();
    pair.lose();
    pair.resume(1);
    pair.event(EventType::NodeDataChanged, "/a");
    assert!(watcher.try_next().is_some());
    assert!(pair.is_connected());
}
