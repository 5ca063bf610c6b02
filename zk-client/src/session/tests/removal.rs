//! Watches that nobody wants any more.

use zk_proto::record::RemoveWatchesRequest;
use zk_proto::{ErrorCode, EventType, KeeperState, OpCode, WatcherType};

use super::pair::Pair;
use crate::session::WatchKind::{self, Child, Data, Exists, Persistent, Recursive};
use crate::watcher::Watcher;

fn leave(pair: &mut Pair, kind: WatchKind, path: &str, watcher: &Watcher) {
    pair.watched(kind, path, watcher);
    pair.answer_all();
}

/// What the server is asked to remove.
fn removals(pair: &mut Pair) -> Vec<(String, i32)> {
    let requests = pair.take_requests();
    let removals = requests.iter().map(|seen| {
        assert_eq!(seen.op, OpCode::RemoveWatches);
        let removal: RemoveWatchesRequest<'_> = seen.record();
        (removal.path.to_string(), removal.watcher_type)
    });
    removals.collect()
}

fn types(watcher: &Watcher) -> Vec<EventType> {
    std::iter::from_fn(|| watcher.try_next())
        .map(|event| {
            assert_eq!(event.state, KeeperState::SyncConnected);
            event.event_type
        })
        .collect()
}

#[test]
fn dropping_the_last_watcher_takes_the_watch_off_the_server() {
    let cases = [
        (Data, WatcherType::Data),
        (Exists, WatcherType::Data),
        (Child, WatcherType::Children),
        (Persistent, WatcherType::Persistent),
        (Recursive, WatcherType::PersistentRecursive),
    ];
    for (kind, which) in cases {
        let mut pair = Pair::serving();
        let watcher = Watcher::new();
        leave(&mut pair, kind, "/a", &watcher);
        pair.drop_watcher(watcher);
        assert_eq!(
            removals(&mut pair),
            [("/a".into(), which.into())],
            "{kind:?}"
        );
    }
}

#[test]
fn a_watch_somebody_else_waits_for_stays() {
    let mut pair = Pair::serving();
    let (first, second) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Data, "/a", &first);
    leave(&mut pair, Data, "/a", &second);
    pair.drop_watcher(first);
    assert!(removals(&mut pair).is_empty());
    pair.event(EventType::NodeDataChanged, "/a");
    assert_eq!(types(&second), [EventType::NodeDataChanged]);
}

#[test]
fn data_and_exists_watches_share_the_servers_table() {
    let mut pair = Pair::serving();
    let (data, exist) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Data, "/a", &data);
    pair.watched(Exists, "/a", &exist);
    let request = pair.take_request();
    pair.refuse(&request, ErrorCode::NoNode);
    pair.drop_watcher(data);
    assert!(
        removals(&mut pair).is_empty(),
        "the other would be removed too"
    );
    pair.drop_watcher(exist);
    assert_eq!(removals(&mut pair).len(), 1);
}

#[test]
fn a_one_shot_beside_a_persistent_watch_is_left_to_fire_unheard() {
    // Before 3.9 the removal would strip the persistent watch (ZOOKEEPER-4471).
    for stays in [Persistent, Recursive] {
        for goes in [Data, Child] {
            let mut pair = Pair::serving();
            let (kept, dropped) = (Watcher::new(), Watcher::new());
            leave(&mut pair, stays, "/a", &kept);
            leave(&mut pair, goes, "/a", &dropped);
            pair.drop_watcher(dropped);
            assert!(removals(&mut pair).is_empty(), "{stays:?} {goes:?}");
        }
    }
}

#[test]
fn a_watch_that_a_call_on_its_way_needs_stays() {
    let mut pair = Pair::serving();
    let (old, new) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Data, "/a", &old);
    pair.watched(Data, "/a", &new);
    pair.drop_watcher(old);
    assert_eq!(pair.take_ops(), [OpCode::GetData], "and no removal");
}

#[test]
fn a_call_on_its_way_keeps_only_the_watches_of_its_table() {
    let mut pair = Pair::serving();
    let (old, new) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Persistent, "/a", &old);
    pair.watched(Data, "/a", &new);
    pair.answer_all();
    pair.watched(Child, "/a", &new);
    pair.drop_watcher(old);
    pair.answer_all();
    // Left alone, a persistent watch would send events for ever.
    let persistent = WatcherType::Persistent.into();
    assert_eq!(removals(&mut pair), [("/a".into(), persistent)]);
}

#[test]
fn dropping_a_watcher_while_its_read_is_in_flight_removes_the_watch_afterwards() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    let get = pair.watched(Data, "/a", &watcher);
    let request = pair.take_request();
    pair.drop_watcher(watcher);
    assert!(
        removals(&mut pair).is_empty(),
        "there is nothing to remove yet"
    );
    pair.answer(&request, &());
    assert!(pair.result(get).unwrap().is_ok());
    assert_eq!(removals(&mut pair), [("/a".into(), 2)]);
}

#[test]
fn dropping_a_watcher_whose_read_fails_removes_nothing() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Data, "/a", &watcher);
    let request = pair.take_request();
    pair.drop_watcher(watcher);
    pair.refuse(&request, ErrorCode::NoNode);
    assert!(removals(&mut pair).is_empty());
}

#[test]
fn a_dropped_watcher_is_not_restored() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    pair.lose();
    pair.drop_watcher(watcher);
    pair.resume(1);
    assert!(
        pair.take_requests().is_empty(),
        "neither restored nor removed"
    );
}

#[test]
fn a_removal_that_waits_dies_with_the_connection() {
    let mut pair = Pair::serving();
    pair.writes_at_once = false;
    let (a, b) = (Watcher::new(), Watcher::new());
    pair.watched(Data, "/a", &a);
    pair.watched(Data, "/b", &b);
    pair.write(usize::MAX);
    pair.write(usize::MAX);
    pair.answer_all();
    pair.drop_watcher(a);
    pair.drop_watcher(b);
    pair.lose();
    pair.writes_at_once = true;
    pair.resume(1);
    assert!(pair.take_requests().is_empty());
}

#[test]
fn removing_by_hand_tells_every_watcher_what_it_lost() {
    let cases = [
        (WatcherType::Data, vec![EventType::DataWatchRemoved; 2]),
        (WatcherType::Children, vec![EventType::ChildWatchRemoved]),
        (
            WatcherType::Persistent,
            vec![EventType::PersistentWatchRemoved],
        ),
        (
            WatcherType::PersistentRecursive,
            vec![EventType::PersistentWatchRemoved],
        ),
        (
            WatcherType::Any,
            vec![
                EventType::DataWatchRemoved,
                EventType::DataWatchRemoved,
                EventType::ChildWatchRemoved,
                EventType::PersistentWatchRemoved,
                EventType::PersistentWatchRemoved,
            ],
        ),
    ];
    for (which, expected) in cases {
        let mut pair = Pair::serving();
        let watcher = Watcher::new();
        for kind in [Data, Child, Persistent, Recursive] {
            leave(&mut pair, kind, "/a", &watcher);
        }
        pair.watched(Exists, "/a", &watcher);
        let request = pair.take_request();
        pair.refuse(&request, ErrorCode::NoNode);
        leave(&mut pair, Data, "/other", &watcher);
        let call = pair.remove_watches("/a", which);
        pair.answer_all();
        assert!(pair.result(call).unwrap().is_ok());
        assert_eq!(types(&watcher), expected, "{which:?}");
        pair.event(EventType::NodeDataChanged, "/other");
        assert_eq!(types(&watcher), [EventType::NodeDataChanged]);
    }
}

#[test]
fn a_removal_the_server_refuses_removes_nothing_here_either() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    let call = pair.remove_watches("/a", WatcherType::Data);
    let request = pair.take_request();
    pair.refuse(&request, ErrorCode::NoAuth);
    assert_eq!(pair.reply(call).err, ErrorCode::NoAuth);
    assert_eq!(types(&watcher), []);
    pair.event(EventType::NodeDataChanged, "/a");
    assert_eq!(types(&watcher), [EventType::NodeDataChanged]);
}

#[test]
fn a_watch_the_server_does_not_have_is_gone_here_too() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    let call = pair.remove_watches("/a", WatcherType::Data);
    let request = pair.take_request();
    pair.refuse(&request, ErrorCode::NoWatcher);
    assert_eq!(pair.reply(call).err, ErrorCode::NoWatcher);
    assert_eq!(types(&watcher), [EventType::DataWatchRemoved]);
}

#[test]
fn before_3_9_a_persistent_watch_goes_with_every_watch_of_its_path() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Persistent, "/a", &watcher);
    let call = pair.remove_watches("/a", WatcherType::Persistent);
    let behind = pair.get("/b");
    let request = pair.take_request();
    pair.refuse(&request, ErrorCode::MarshallingError);
    let requests = pair.take_requests();
    let removal: RemoveWatchesRequest<'_> = requests[0].record();
    assert_eq!(removal.watcher_type, i32::from(WatcherType::Any));
    for request in &requests {
        pair.answer(request, &());
    }
    assert_eq!(pair.take_answered().last_chunk(), Some(&[call, behind]));
    assert_eq!(types(&watcher), [EventType::PersistentWatchRemoved]);
}

#[test]
fn before_3_9_a_persistent_watch_stays_where_its_removal_would_harm_another() {
    for other in [Data, Child, Recursive] {
        let mut pair = Pair::serving();
        let (watcher, neighbour) = (Watcher::new(), Watcher::new());
        leave(&mut pair, Persistent, "/a", &watcher);
        leave(&mut pair, other, "/a", &neighbour);
        let call = pair.remove_watches("/a", WatcherType::Persistent);
        let request = pair.take_request();
        pair.refuse(&request, ErrorCode::MarshallingError);
        assert!(pair.take_requests().is_empty());
        assert_eq!(
            pair.reply(call).err,
            ErrorCode::MarshallingError,
            "{other:?}"
        );
    }
}

#[test]
fn before_3_9_no_watch_is_left_between_the_refusal_and_the_second_try() {
    let mut pair = Pair::serving();
    let (watcher, new) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Persistent, "/a", &watcher);
    pair.remove_watches("/a", WatcherType::Persistent);
    pair.watched(Data, "/a", &new);
    let request = pair.take_request();
    assert_eq!(request.op, OpCode::RemoveWatches, "it travels alone");
    pair.refuse(&request, ErrorCode::MarshallingError);
    let requests = pair.take_requests();
    let ops: Vec<_> = requests.iter().map(|seen| seen.op).collect();
    assert_eq!(ops, [OpCode::RemoveWatches, OpCode::GetData]);
    for request in &requests {
        pair.answer(request, &());
    }
    pair.event(EventType::NodeDataChanged, "/a");
    assert_eq!(types(&new), [EventType::NodeDataChanged]);
}
