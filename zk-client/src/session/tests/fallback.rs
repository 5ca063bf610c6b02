//! Servers that lack an operation: learned once, alone on the wire, no loop.

use zk_proto::record::{
    Create2Response, GetDataResponse, MultiResponse, MultiResult, WhoAmIResponse,
};
use zk_proto::{Decode, ErrorCode, EventType, OpCode, Reader, Zxid};

use super::pair::{CallId, Pair, Seen, config, credentials, lost, stat};
use crate::error::{Error, Outcome};
use crate::session::WatchKind::{Data, Persistent};
use crate::session::{Cause, SessionConfig};
use crate::watcher::Watcher;

/// A session on a server that was found to lack the operation of `call`; the call
/// waits for a new connection.
fn refused(call: impl FnOnce(&mut Pair) -> CallId) -> (Pair, CallId) {
    let mut pair = Pair::serving();
    let call = call(&mut pair);
    let probe = pair.take_request();
    pair.refuse_as_unknown(&probe);
    assert_eq!(pair.causes(), [Cause::OperationUnknown]);
    assert!(pair.is_waiting(call));
    (pair, call)
}

fn body<'a, T: Decode<'a>>(reply: &'a crate::reply::RawReply) -> T {
    assert_eq!(reply.err, ErrorCode::Ok);
    T::decode(&mut Reader::new(&reply.body)).unwrap()
}

/// The one request that the server has, of this operation.
#[track_caller]
fn expect(pair: &mut Pair, op: OpCode) -> Seen {
    let request = pair.take_request();
    assert_eq!(request.op, op);
    request
}

// --- Learning ------------------------------------------------------------------------

#[test]
fn the_first_recent_operation_on_a_server_travels_alone() {
    let mut pair = Pair::serving();
    let before = pair.get("/before");
    let recent = pair.create2("/a");
    let after = pair.get("/after");
    let first = expect(&mut pair, OpCode::GetData);
    pair.answer(&first, &());
    let probe = expect(&mut pair, OpCode::Create2);
    pair.answer(&probe, &());
    let last = expect(&mut pair, OpCode::GetData);
    pair.answer(&last, &());
    assert_eq!(pair.take_answered(), [before, recent, after]);
}

#[test]
fn a_server_that_knows_an_operation_is_asked_once() {
    let mut pair = Pair::serving();
    pair.create2("/a");
    pair.answer_all();
    for n in 0..3 {
        pair.create2(&format!("/{n}"));
    }
    pair.get("/b");
    assert_eq!(pair.take_requests().len(), 4, "no more caution");
    pair.lose();
    pair.resume(1);
    pair.get("/a");
    pair.create2("/a");
    assert_eq!(pair.take_requests().len(), 2, "nor after a reconnect");
}

#[test]
fn an_error_other_than_unknown_shows_that_the_operation_is_known() {
    let mut pair = Pair::serving();
    let call = pair.create2("/a");
    let probe = pair.take_request();
    pair.refuse(&probe, ErrorCode::NodeExists);
    assert_eq!(pair.reply(call).err, ErrorCode::NodeExists);
    pair.create2("/a");
    pair.create2("/b");
    assert_eq!(pair.take_requests().len(), 2);
}

#[test]
fn an_operation_that_is_switched_off_is_answered_as_it_is() {
    // TTL znodes without extendedTypesEnabled: −6 with a real zxid, and no close.
    let mut pair = Pair::serving();
    let call = pair.call(OpCode::CreateTtl, "/a", &"/a");
    let probe = pair.take_request();
    pair.refuse(&probe, ErrorCode::Unimplemented);
    assert_eq!(pair.reply(call).err, ErrorCode::Unimplemented);
    assert!(pair.is_connected());
}

#[test]
fn what_is_learned_holds_for_the_server_and_for_the_clients_life() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(2);
    let probe = expect(&mut pair, OpCode::Create2);
    pair.answer(&probe, &("/a", stat()));
    assert!(
        pair.result(call).unwrap().is_ok(),
        "another server knows it"
    );
    pair.lose();
    pair.resume(1);
    pair.create2("/b");
    expect(&mut pair, OpCode::Create);
    pair.lose();
    // A new session makes no difference.
    pair.connect(1);
    pair.refuse_session();
    pair.resume(1);
    pair.create2("/c");
    expect(&mut pair, OpCode::Create);
}

#[test]
fn the_refusal_costs_one_connection_and_no_more() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.answer(&create, &"/a");
    let exists = expect(&mut pair, OpCode::Exists);
    pair.answer(&exists, &stat());
    assert!(pair.result(call).unwrap().is_ok());
    assert_eq!(pair.causes(), [Cause::OperationUnknown]);
}

#[test]
fn a_probe_whose_answer_is_lost_teaches_nothing() {
    let mut pair = Pair::serving();
    let call = pair.create2("/a");
    pair.take_request();
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::Unknown));
    pair.resume(1);
    pair.create2("/b");
    pair.get("/c");
    expect(&mut pair, OpCode::Create2);
}

#[test]
fn calls_behind_a_refused_probe_wait_for_the_next_connection() {
    let mut pair = Pair::serving();
    let recent = pair.create2("/a");
    let behind = pair.get("/b");
    let probe = expect(&mut pair, OpCode::Create2);
    pair.refuse_as_unknown(&probe);
    assert!(pair.is_waiting(recent) && pair.is_waiting(behind));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.answer(&create, &"/a");
    let exists = expect(&mut pair, OpCode::Exists);
    pair.answer(&exists, &stat());
    let get = expect(&mut pair, OpCode::GetData);
    pair.answer(&get, &());
    assert_eq!(pair.take_answered(), [recent, behind]);
}

#[test]
fn a_probe_past_its_deadline_still_teaches() {
    let mut pair = Pair::serving();
    let call = pair.create2("/a");
    pair.advance(pair.session.identity().timeout / 9);
    let probe = pair.take_request();
    pair.deadline = std::time::Duration::from_secs(1);
    let hasty = pair.create2("/b");
    pair.advance(pair.deadline);
    assert!(pair.error(hasty).outcome() == Outcome::NotApplied);
    pair.refuse_as_unknown(&probe);
    pair.resume(1);
    expect(&mut pair, OpCode::Create);
    assert!(pair.is_waiting(call));
}

// --- create2 -------------------------------------------------------------------------

#[test]
fn create2_becomes_create_and_exists() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.answer(&create, &"/a0000000001");
    let exists = expect(&mut pair, OpCode::Exists);
    assert_eq!(exists.path(), "/a0000000001");
    pair.answer(&exists, &stat());
    let reply = pair.reply(call);
    let created: Create2Response<'_> = body(&reply);
    assert_eq!((&*created.path, created.stat), ("/a0000000001", stat()));
}

#[test]
fn a_create_that_fails_is_create2_failing() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.refuse(&create, ErrorCode::NodeExists);
    assert_eq!(pair.reply(call).err, ErrorCode::NodeExists);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn steps_travel_alone_so_that_later_calls_stay_behind() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    let behind = [pair.set("/a", b"x"), pair.get("/a")];
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    let late = pair.get("/late");
    assert!(pair.take_requests().is_empty());
    pair.answer(&create, &"/a");
    let exists = expect(&mut pair, OpCode::Exists);
    pair.answer(&exists, &stat());
    assert_eq!(pair.take_requests().len(), 3, "then all at once");
    assert_eq!(pair.take_answered(), [call]);
    assert!(
        [behind[0], behind[1], late]
            .iter()
            .all(|call| pair.is_waiting(*call))
    );
}

/// create2 on an old server, created and waiting for the `Stat`.
fn created() -> (Pair, CallId) {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.answer(&create, &"/a");
    expect(&mut pair, OpCode::Exists);
    assert!(pair.is_waiting(call));
    (pair, call)
}

#[test]
fn a_create_that_is_not_answered_is_unknown() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    expect(&mut pair, OpCode::Create);
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::Unknown));
}

#[test]
fn a_loss_after_the_create_was_answered_means_applied() {
    let (mut pair, call) = created();
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::Applied));
    assert!(!pair.error(call).is_retryable());
}

#[test]
fn a_loss_before_the_stat_was_asked_for_means_applied_too() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.writes_at_once = false;
    pair.advance(std::time::Duration::from_secs(2)); // a ping clogs the socket
    pair.answer(&create, &"/a");
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::Applied));
}

#[test]
fn a_deadline_after_the_create_was_answered_means_applied() {
    let (mut pair, call) = created();
    for _ in 0..30 {
        pair.session.handle_read(pair.mono());
        pair.advance(std::time::Duration::from_secs(1));
    }
    let error = Error::DeadlineExceeded {
        deadline: pair.deadline,
        outcome: Outcome::Applied,
    };
    assert_eq!(pair.error(call), error);
}

#[test]
fn an_end_after_the_create_was_answered_means_applied() {
    let (mut pair, call) = created();
    pair.close();
    for _ in 0..9 {
        pair.session.handle_read(pair.mono());
        pair.advance(std::time::Duration::from_secs(1));
    }
    assert!(pair.session.is_over());
    assert_eq!(pair.error(call).outcome(), Outcome::Applied);
}

#[test]
fn a_znode_gone_before_its_stat_was_read_was_created_all_the_same() {
    let (mut pair, call) = refused(|pair| pair.create2("/a"));
    pair.resume(1);
    let create = expect(&mut pair, OpCode::Create);
    pair.answer(&create, &"/a");
    let exists = expect(&mut pair, OpCode::Exists);
    pair.refuse(&exists, ErrorCode::NoNode);
    assert_eq!(pair.error(call).outcome(), Outcome::Applied);
}

// --- multiRead -----------------------------------------------------------------------

#[test]
fn multi_read_becomes_single_reads() {
    let (mut pair, call) = refused(|pair| pair.multi_read(&["/a", "/b"]));
    pair.resume(1);
    let first = expect(&mut pair, OpCode::GetData);
    assert_eq!(first.path(), "/a");
    pair.refuse(&first, ErrorCode::NoNode);
    let second = expect(&mut pair, OpCode::GetData);
    assert_eq!(second.path(), "/b");
    pair.answer(&second, &(&b"data"[..], stat()));
    let reply = pair.reply(call);
    let read: MultiResponse = body(&reply);
    let data = GetDataResponse {
        data: Some("data".into()),
        stat: stat(),
    };
    let expected = [
        MultiResult::Error(ErrorCode::NoNode),
        MultiResult::GetData(data),
    ];
    assert_eq!(read.results, expected);
}

#[test]
fn an_empty_multi_read_asks_nothing() {
    let (mut pair, call) = refused(|pair| pair.multi_read(&[]));
    pair.resume(1);
    assert!(pair.take_requests().is_empty());
    let reply = pair.reply(call);
    assert!(body::<MultiResponse>(&reply).results.is_empty());
}

#[test]
fn a_multi_read_interrupted_may_be_retried() {
    let (mut pair, call) = refused(|pair| pair.multi_read(&["/a", "/b"]));
    pair.resume(1);
    let first = expect(&mut pair, OpCode::GetData);
    pair.answer(&first, &(&b"data"[..], stat()));
    pair.lose();
    assert_eq!(pair.error(call), lost(Outcome::NotApplied));
}

#[test]
fn an_unreadable_step_is_a_bad_reply() {
    let (mut pair, call) = refused(|pair| pair.multi_read(&["/a"]));
    pair.resume(1);
    let first = expect(&mut pair, OpCode::GetData);
    pair.answer(&first, &());
    assert!(matches!(pair.error(call), Error::BadReply(_)));
}

// --- whoAmI, addWatch and the rest ---------------------------------------------------

#[test]
fn who_am_i_is_answered_from_what_was_presented() {
    let mut pair = Pair::serving_with(SessionConfig {
        auths: vec![credentials("digest", "ann:secret"), credentials("x", "y")],
        ..config()
    });
    pair.answer_all();
    let call = pair.who_am_i();
    let probe = expect(&mut pair, OpCode::WhoAmI);
    pair.refuse_as_unknown(&probe);
    pair.resume(1);
    pair.answer_all();
    let reply = pair.reply(call);
    let known: WhoAmIResponse = body(&reply);
    let known: Vec<_> = known
        .client_info
        .iter()
        .map(|info| (info.auth_scheme.as_str(), info.user.as_str()))
        .collect();
    assert_eq!(known, [("digest", "ann"), ("x", "")]);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn what_is_answered_here_waits_for_the_answers_to_earlier_calls() {
    let (mut pair, _) = refused(|pair| pair.call(OpCode::AddWatch, "/a", &"/a"));
    pair.resume(1);
    pair.take_answered();
    let calls = [
        pair.get("/b"),
        pair.call(OpCode::AddWatch, "/c", &"/c"),
        pair.get("/d"),
    ];
    assert!(calls.iter().all(|call| pair.is_waiting(*call)));
    pair.answer_all();
    pair.answer_all();
    assert_eq!(pair.take_answered(), calls);
}

#[test]
fn what_has_no_substitute_is_unsupported() {
    let operations = [
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::CheckWatches,
        OpCode::RemoveWatches,
        OpCode::GetEphemerals,
        OpCode::GetAllChildrenNumber,
        OpCode::AddWatch,
    ];
    for op in operations {
        let (mut pair, call) = refused(|pair| pair.call(op, "/a", &"/a"));
        pair.resume(1);
        let error = pair.error(call);
        assert!(
            matches!(error, Error::Unsupported { .. }),
            "{op:?}: {error}"
        );
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(!error.is_retryable());
        assert!(pair.take_requests().is_empty());
    }
}

#[test]
fn a_watch_that_cannot_be_added_leaves_nothing_behind() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    let call = pair.watched(Persistent, "/a", &watcher);
    let probe = pair.take_request();
    pair.refuse_as_unknown(&probe);
    pair.resume(1);
    assert!(matches!(pair.error(call), Error::Unsupported { .. }));
    pair.event(EventType::NodeDataChanged, "/a");
    assert_eq!(watcher.try_next(), None);
    pair.lose();
    pair.resume(1);
    assert!(pair.take_requests().is_empty());
}

// --- SetWatches2 ---------------------------------------------------------------------

/// Persistent and one-shot watches, on server 2 for the first time.
fn moved() -> (Pair, Watcher, Watcher, Seen) {
    let mut pair = Pair::serving();
    let (persistent, one_shot) = (Watcher::new(), Watcher::new());
    pair.watched(Persistent, "/p", &persistent);
    pair.answer_all();
    pair.watched(Data, "/d", &one_shot);
    pair.answer_all();
    pair.lose();
    pair.get("/queued");
    pair.resume(2);
    let set_watches = expect(&mut pair, OpCode::SetWatches2);
    persistent.try_next().expect("the gap");
    pair.log.clear();
    (pair, persistent, one_shot, set_watches)
}

#[test]
fn set_watches2_is_tried_with_nothing_else_in_flight() {
    let (mut pair, _, _, set_watches) = moved();
    pair.answer(&set_watches, &());
    expect(&mut pair, OpCode::GetData);
    // From then on requests follow at once.
    pair.lose();
    pair.get("/queued");
    pair.resume(2);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches2, OpCode::GetData]);
}

#[test]
fn a_server_without_set_watches2_costs_the_persistent_watches_and_no_loop() {
    let (mut pair, persistent, one_shot, set_watches) = moved();
    pair.refuse_as_unknown(&set_watches);
    assert_eq!(pair.causes(), [Cause::OperationUnknown]);
    pair.resume(2);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches, OpCode::GetData]);
    let event = persistent.try_next().unwrap();
    assert_eq!(event.event_type, EventType::PersistentWatchRemoved);
    assert_eq!(persistent.try_next(), None);
    pair.event(EventType::NodeDataChanged, "/d");
    assert!(one_shot.try_next().is_some());
    assert!(pair.is_connected());
}

#[test]
fn a_server_that_forgot_set_watches2_costs_no_loop_either() {
    let (mut pair, persistent, _, set_watches) = moved();
    pair.answer(&set_watches, &());
    pair.lose();
    pair.take_requests();
    pair.resume(2); // rolled back to an older release meanwhile
    let set_watches = expect(&mut pair, OpCode::SetWatches2);
    pair.refuse_as_unknown(&set_watches);
    pair.resume(2);
    assert_eq!(pair.take_ops(), [OpCode::SetWatches]);
    while let Some(event) = persistent.try_next() {
        if event.event_type == EventType::PersistentWatchRemoved {
            return;
        }
    }
    panic!("the watcher was not told");
}

#[test]
fn without_persistent_watches_set_watches2_is_never_sent() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Data, "/d", &watcher);
    pair.answer_all();
    for server in 2..5 {
        pair.lose();
        pair.resume(server);
        assert_eq!(pair.take_ops(), [OpCode::SetWatches]);
    }
    assert_eq!(pair.session.last_zxid(), Zxid(0x11));
}
