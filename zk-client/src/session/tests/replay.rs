//! The restoring of watches after a reconnect.

use zk_proto::record::{SetWatches, SetWatches2};
use zk_proto::{EventType, KeeperState, OpCode, Xid, Zxid};

use super::pair::{Pair, Seen};
use crate::error::Outcome;
use crate::session::WatchKind::{self, Child, Data, Exists, Persistent, Recursive};
use crate::session::{Cause, SessionState};
use crate::watcher::Watcher;

fn leave(pair: &mut Pair, kind: WatchKind, path: &str, watcher: &Watcher) {
    pair.watched(kind, path, watcher);
    pair.answer_all();
}

/// Leaves an exists watch on a znode that is missing.
fn leave_missing(pair: &mut Pair, path: &str, watcher: &Watcher) {
    pair.watched(Exists, path, watcher);
    let request = pair.take_request();
    pair.refuse(&request, zk_proto::ErrorCode::NoNode);
}

/// Loses the connection and resumes the session on server 1.
fn reconnect(pair: &mut Pair) -> Vec<Seen> {
    pair.take_requests();
    pair.lose();
    pair.resume(1);
    pair.take_requests()
}

fn paths(list: &[std::borrow::Cow<'_, str>]) -> Vec<String> {
    list.iter().map(|path| path.to_string()).collect()
}

#[test]
fn one_shots_are_restored_table_by_table_in_the_form_every_server_knows() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/data", &watcher);
    leave(&mut pair, Exists, "/present", &watcher);
    leave_missing(&mut pair, "/missing", &watcher);
    leave(&mut pair, Child, "/child", &watcher);
    let seen = pair.session.last_zxid();
    let requests = reconnect(&mut pair);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].op, OpCode::SetWatches);
    assert_eq!(requests[0].xid, Xid::SET_WATCHES);
    let restored: SetWatches<'_> = requests[0].record();
    assert_eq!(restored.relative_zxid, seen);
    assert_eq!(paths(&restored.data_watches), ["/data", "/present"]);
    assert_eq!(paths(&restored.exist_watches), ["/missing"]);
    assert_eq!(paths(&restored.child_watches), ["/child"]);
}

#[test]
fn persistent_watches_need_the_newer_form() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/data", &watcher);
    leave(&mut pair, Persistent, "/persistent", &watcher);
    leave(&mut pair, Recursive, "/recursive", &watcher);
    let requests = reconnect(&mut pair);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].op, OpCode::SetWatches2);
    let restored: SetWatches2<'_> = requests[0].record();
    assert_eq!(paths(&restored.data_watches), ["/data"]);
    assert_eq!(paths(&restored.persistent_watches), ["/persistent"]);
    assert_eq!(
        paths(&restored.persistent_recursive_watches),
        ["/recursive"]
    );
}

#[test]
fn watches_precede_requests() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/w", &watcher);
    pair.lose();
    let get = pair.get("/a");
    pair.resume(1);
    let requests = pair.take_requests();
    let ops: Vec<_> = requests.iter().map(|seen| seen.op).collect();
    assert_eq!(ops, [OpCode::SetWatches, OpCode::GetData]);
    pair.answer(&requests[0], &());
    pair.answer(&requests[1], &());
    assert!(pair.result(get).unwrap().is_ok());
}

#[test]
fn what_no_longer_is_watched_is_not_restored() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/fired", &watcher);
    pair.event(EventType::NodeDataChanged, "/fired");
    assert!(reconnect(&mut pair).is_empty());
}

#[test]
fn a_path_two_watchers_share_is_restored_once() {
    let mut pair = Pair::serving();
    let watchers = [Watcher::new(), Watcher::new()];
    for watcher in &watchers {
        leave(&mut pair, Data, "/a", watcher);
    }
    let requests = reconnect(&mut pair);
    let restored: SetWatches<'_> = requests[0].record();
    assert_eq!(paths(&restored.data_watches), ["/a"]);
    pair.event(EventType::NodeDataChanged, "/a");
    for watcher in &watchers {
        assert!(watcher.try_next().is_some());
    }
}

#[test]
fn what_the_server_finds_changed_is_heard_without_a_zxid() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    leave(&mut pair, Child, "/a", &watcher);
    let requests = reconnect(&mut pair);
    // Both lists report the deletion; the first frame uses both watches up.
    pair.event_with(EventType::NodeDeleted, "/a", Zxid(-1));
    pair.event_with(EventType::NodeDeleted, "/a", Zxid(-1));
    pair.answer(&requests[0], &());
    let event = watcher.try_next().unwrap();
    assert_eq!(
        (event.event_type, event.zxid),
        (EventType::NodeDeleted, None)
    );
    assert_eq!(watcher.try_next(), None);
}

#[test]
fn batches_stay_below_128_kib_and_the_frame_limit() {
    let mut pair = Pair::serving();
    let watcher = Watcher::with_capacity(10_000);
    let name = "x".repeat(1000);
    for n in 0..300 {
        leave(&mut pair, Data, &format!("/data-{n:03}-{name}"), &watcher);
        leave(&mut pair, Child, &format!("/child-{n:03}-{name}"), &watcher);
    }
    let seen = pair.session.last_zxid();
    let batches = reconnect(&mut pair);
    assert!(batches.len() >= 5);
    let mut data = Vec::new();
    let mut child = Vec::new();
    for batch in &batches {
        assert!(batch.body.len() <= zk_proto::DEFAULT_FRAME_LIMIT);
        assert_eq!(batch.xid, Xid::SET_WATCHES);
        let batch: SetWatches<'_> = batch.record();
        assert_eq!(batch.relative_zxid, seen, "one point in time for all");
        let bytes =
            |list: &[std::borrow::Cow<'_, str>]| list.iter().map(|p| p.len()).sum::<usize>();
        assert!(bytes(&batch.data_watches) + bytes(&batch.child_watches) <= 128 * 1024);
        data.append(&mut paths(&batch.data_watches));
        child.append(&mut paths(&batch.child_watches));
    }
    assert_eq!((data.len(), child.len()), (300, 300));
    data.dedup();
    child.dedup();
    assert_eq!((data.len(), child.len()), (300, 300), "each path once");
    for batch in &batches {
        pair.answer(batch, &());
    }
    assert!(pair.is_connected());
}

#[test]
fn a_single_path_larger_than_a_batch_gets_its_own() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    leave(
        &mut pair,
        Data,
        &format!("/b{}", "x".repeat(200 * 1024)),
        &watcher,
    );
    leave(&mut pair, Data, "/c", &watcher);
    let batches = reconnect(&mut pair);
    let lengths: Vec<_> = batches
        .iter()
        .map(|batch| batch.record::<SetWatches<'_>>().data_watches.len())
        .collect();
    assert_eq!(lengths, [1, 1, 1]);
}

#[test]
fn only_persistent_watchers_hear_of_the_gap() {
    let mut pair = Pair::serving();
    let (persistent, one_shot) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Persistent, "/p", &persistent);
    leave(&mut pair, Recursive, "/r", &persistent);
    leave(&mut pair, Data, "/d", &one_shot);
    assert_eq!(
        persistent.try_next(),
        None,
        "no gap on the first connection"
    );
    reconnect(&mut pair);
    for path in ["/p", "/r"] {
        let event = persistent.try_next().unwrap();
        assert_eq!(event.event_type, EventType::None);
        assert_eq!(event.state, KeeperState::SyncConnected);
        assert_eq!((event.path.as_str(), event.zxid), (path, None));
    }
    assert_eq!(persistent.try_next(), None);
    assert_eq!(one_shot.try_next(), None);
}

#[test]
fn a_read_on_the_gap_event_sees_whatever_the_watch_missed() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Persistent, "/p", &watcher);
    reconnect(&mut pair);
    pair.answer(&seen_set_watches(), &());
    reconnect(&mut pair);
    // The event is there at once; a read called on it travels behind the watch.
    assert!(watcher.try_next().is_some());
    pair.get("/p");
    assert_eq!(pair.take_ops(), [OpCode::GetData]);
}

fn seen_set_watches() -> Seen {
    Seen {
        xid: Xid::SET_WATCHES,
        op: OpCode::SetWatches2,
        body: bytes::Bytes::new(),
    }
}

#[test]
fn a_server_that_refuses_the_watches_is_left() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    let requests = reconnect(&mut pair);
    let call = pair.create("/b");
    pair.refuse(&requests[0], zk_proto::ErrorCode::MarshallingError);
    assert_eq!(pair.causes().last(), Some(&Cause::WatchesRefused));
    assert_eq!(pair.error(call), super::pair::lost(Outcome::Unknown));
    assert!(matches!(
        pair.states().last(),
        Some(SessionState::Suspended { .. })
    ));
}

#[test]
fn a_loss_before_the_watches_are_back_restores_them_again() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    for _ in 0..3 {
        let requests = reconnect(&mut pair);
        assert_eq!(requests.len(), 1);
    }
}

#[test]
fn the_answer_to_a_batch_counts_as_seen() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    let requests = reconnect(&mut pair);
    pair.zxid = Zxid(0x500);
    pair.answer(&requests[0], &());
    assert_eq!(pair.session.last_zxid(), Zxid(0x501));
}
