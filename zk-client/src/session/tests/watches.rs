//! Which event reaches which watcher.

use futures_util::FutureExt;
use zk_proto::{Chroot, ErrorCode, EventType, KeeperState, OpCode, Zxid};

use super::pair::{Delivered, ID, Pair, granted};
use crate::session::WatchKind::{self, Child, Data, Exists, Persistent, Recursive};
use crate::watcher::{WatchedEvent, Watcher};
use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

/// Leaves a watch; for `Exists` on a znode that is missing.
fn leave(pair: &mut Pair, kind: WatchKind, path: &str, watcher: &Watcher) {
    pair.watched(kind, path, watcher);
    if kind == Exists {
        let request = pair.take_request();
        pair.refuse(&request, ErrorCode::NoNode);
    } else {
        pair.answer_all();
    }
}

fn events(watcher: &Watcher) -> Vec<(EventType, String)> {
    std::iter::from_fn(|| watcher.try_next())
        .map(|event| (event.event_type, event.path))
        .collect()
}

fn heard(watcher: &Watcher) -> Vec<EventType> {
    events(watcher)
        .into_iter()
        .map(|(event, _)| event)
        .collect()
}

#[test]
fn each_event_reaches_the_watches_of_its_kind_and_uses_up_the_one_shots() {
    let one_shots = [
        (Data, &[NodeCreated, NodeDataChanged, NodeDeleted][..]),
        (Exists, &[NodeCreated, NodeDataChanged, NodeDeleted]),
        (Child, &[NodeChildrenChanged, NodeDeleted]),
    ];
    for (kind, fires_for) in one_shots {
        for event in [
            NodeCreated,
            NodeDeleted,
            NodeDataChanged,
            NodeChildrenChanged,
        ] {
            let mut pair = Pair::serving();
            let watcher = Watcher::new();
            leave(&mut pair, kind, "/a", &watcher);
            pair.event(event, "/a");
            let expected = if fires_for.contains(&event) {
                vec![event]
            } else {
                vec![]
            };
            assert_eq!(heard(&watcher), expected, "{kind:?} {event:?}");
            if !expected.is_empty() {
                pair.event(event, "/a");
                assert_eq!(heard(&watcher), [], "{kind:?} is used up");
            }
        }
    }
}

#[test]
fn persistent_watches_hear_everything_of_their_znode_again_and_again() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Persistent, "/a", &watcher);
    let all = [
        NodeCreated,
        NodeDataChanged,
        NodeChildrenChanged,
        NodeDeleted,
    ];
    for _ in 0..2 {
        for event in all {
            pair.event(event, "/a");
        }
        pair.event(NodeCreated, "/a/b");
        assert_eq!(heard(&watcher), all);
    }
}

#[test]
fn recursive_watches_hear_of_the_whole_branch_but_never_of_lists_of_children() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Recursive, "/a", &watcher);
    for _ in 0..2 {
        for path in ["/a", "/a/b", "/a/b/c"] {
            for event in [NodeCreated, NodeDataChanged, NodeDeleted] {
                pair.event(event, path);
                assert_eq!(events(&watcher), [(event, path.to_owned())]);
            }
            // Some other watch caused this frame (ZOOKEEPER-4475).
            pair.event(NodeChildrenChanged, path);
            assert_eq!(events(&watcher), []);
        }
        pair.event(NodeCreated, "/ab");
        pair.event(NodeCreated, "/");
        assert_eq!(events(&watcher), []);
    }
}

#[test]
fn a_recursive_watch_on_the_root_hears_of_everything() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Recursive, "/", &watcher);
    for path in ["/", "/a", "/a/b"] {
        pair.event(NodeDataChanged, path);
    }
    assert_eq!(heard(&watcher).len(), 3);
}

#[test]
fn a_read_registers_only_if_its_answer_says_so() {
    use ErrorCode::{NoAuth, NoNode, Ok};
    let cases = [
        (Data, Ok, true),
        (Data, NoNode, false),
        (Data, NoAuth, false),
        (Exists, Ok, true),
        (Exists, NoNode, true),
        (Exists, NoAuth, false),
        (Child, Ok, true),
        (Child, NoNode, false),
        (Persistent, Ok, true),
        (Persistent, ErrorCode::MarshallingError, false),
        (Recursive, Ok, true),
        (Recursive, ErrorCode::MarshallingError, false),
    ];
    for (kind, err, registers) in cases {
        let mut pair = Pair::serving();
        let watcher = Watcher::new();
        pair.watched(kind, "/a", &watcher);
        let request = pair.take_request();
        pair.refuse(&request, err);
        pair.event(NodeDeleted, "/a");
        assert_eq!(!heard(&watcher).is_empty(), registers, "{kind:?} {err:?}");
    }
}

#[test]
fn a_watch_whose_answer_was_lost_is_none() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Data, "/a", &watcher);
    pair.lose();
    pair.resume(1);
    assert!(pair.take_requests().is_empty(), "nothing to restore");
    pair.event(NodeDataChanged, "/a");
    assert_eq!(heard(&watcher), []);
}

#[test]
fn a_watcher_hears_of_an_event_once_however_many_watches_match() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    for kind in [Data, Exists, Child, Persistent, Recursive] {
        leave(&mut pair, kind, "/a/b", &watcher);
    }
    leave(&mut pair, Recursive, "/a", &watcher);
    leave(&mut pair, Recursive, "/", &watcher);
    pair.event(NodeDeleted, "/a/b");
    assert_eq!(heard(&watcher), [NodeDeleted]);
}

#[test]
fn the_same_watch_twice_is_one() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Child, "/a", &watcher);
    leave(&mut pair, Child, "/a", &watcher);
    pair.event(NodeChildrenChanged, "/a");
    assert_eq!(heard(&watcher), [NodeChildrenChanged]);
}

#[test]
fn every_watcher_of_a_watch_hears_of_it() {
    let mut pair = Pair::serving();
    let watchers: Vec<_> = (0..3).map(|_| Watcher::new()).collect();
    for watcher in &watchers {
        leave(&mut pair, Data, "/a", watcher);
    }
    pair.event(NodeDataChanged, "/a");
    for watcher in &watchers {
        assert_eq!(heard(watcher), [NodeDataChanged]);
    }
}

#[test]
fn one_watcher_serves_many_paths() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    for path in ["/a", "/b", "/c"] {
        leave(&mut pair, Data, path, &watcher);
    }
    pair.event(NodeDataChanged, "/b");
    pair.event(NodeDeleted, "/a");
    let expected = [(NodeDataChanged, "/b".into()), (NodeDeleted, "/a".into())];
    assert_eq!(events(&watcher), expected);
}

#[test]
fn an_event_is_queued_before_the_answer_that_could_show_the_change() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Data, "/a", &watcher);
    let set = pair.set("/a", b"new");
    let request = pair.take_request();
    pair.log.clear();
    pair.event(NodeDataChanged, "/a");
    pair.answer(&request, &super::pair::stat());
    let expected = [
        Delivered::Event(NodeDataChanged, "/a".into()),
        Delivered::Answer(set),
    ];
    assert_eq!(pair.log, expected);
}

#[test]
fn an_event_that_arrives_with_the_answer_of_its_registration_is_heard() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    pair.watched(Data, "/a", &watcher);
    let request = pair.take_request();
    pair.answer(&request, &());
    pair.event(NodeDataChanged, "/a");
    assert_eq!(heard(&watcher), [NodeDataChanged]);
}

#[test]
fn the_zxid_is_the_events_if_the_server_tells_it() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    leave(&mut pair, Persistent, "/a", &watcher);
    let last = pair.session.last_zxid();
    for (sent, told) in [(0x99, Some(Zxid(0x99))), (-1, None), (0, None)] {
        pair.event_with(NodeDataChanged, "/a", Zxid(sent));
        let event = watcher.try_next().unwrap();
        let expected = WatchedEvent {
            event_type: NodeDataChanged,
            state: KeeperState::SyncConnected,
            path: "/a".into(),
            zxid: told,
            lagged: 0,
        };
        assert_eq!(event, expected);
        assert_eq!(pair.session.last_zxid(), last, "no event counts as seen");
    }
}

#[test]
fn events_nobody_waits_for_are_ignored() {
    let mut pair = Pair::serving();
    pair.event(NodeDeleted, "/nobody");
    pair.event(EventType::None, "/");
    pair.event(EventType::PersistentWatchRemoved, "/a");
    assert!(pair.is_connected() && pair.log.is_empty());
}

#[test]
fn each_handle_sees_the_path_below_its_own_chroot() {
    let mut pair = Pair::serving();
    let (whole, app) = (Watcher::new(), Watcher::new());
    let chroot = Chroot::new("/app").unwrap();
    pair.watched(Recursive, "/", &whole);
    pair.try_watched(&chroot, Recursive, "/", &app).unwrap();
    let paths: Vec<_> = pair
        .take_requests()
        .iter()
        .map(|seen| seen.path())
        .collect();
    // The first one goes alone, see `fallback`.
    assert_eq!(paths, ["/"]);
    pair.zxid.0 += 1;
    let header = pair.header(zk_proto::Xid(1), ErrorCode::Ok);
    pair.send(&(header, 0));
    let request = pair.take_request();
    assert_eq!(request.path(), "/app");
    pair.answer(&request, &0);
    for path in ["/app", "/app/x", "/apple", "/apple/x"] {
        pair.event(NodeCreated, path);
    }
    let seen = |paths: &[&str]| -> Vec<(EventType, String)> {
        paths
            .iter()
            .map(|path| (NodeCreated, path.to_string()))
            .collect()
    };
    assert_eq!(
        events(&whole),
        seen(&["/app", "/app/x", "/apple", "/apple/x"])
    );
    assert_eq!(events(&app), seen(&["/", "/x"]));
}

#[test]
fn a_path_outside_the_chroot_keeps_its_name() {
    let mut pair = Pair::serving();
    let watcher = Watcher::new();
    let chroot = Chroot::new("/app").unwrap();
    let config = "/zookeeper/config";
    let mut watch = pair.watch("/", Data, &watcher, &chroot);
    watch.path = config.into();
    pair.try_call(OpCode::GetData, config, Some(watch), &(config, true))
        .unwrap();
    pair.answer_all();
    pair.event(NodeDataChanged, config);
    assert_eq!(events(&watcher), [(NodeDataChanged, config.into())]);
}

#[test]
fn the_end_of_an_epoch_is_told_once_per_registration() {
    let mut pair = Pair::serving();
    let (watcher, other) = (Watcher::new(), Watcher::new());
    leave(&mut pair, Data, "/a", &watcher);
    leave(&mut pair, Child, "/a", &watcher);
    leave(&mut pair, Recursive, "/b", &watcher);
    leave(&mut pair, Data, "/used-up", &watcher);
    leave(&mut pair, Data, "/a", &other);
    pair.event(NodeDataChanged, "/used-up");
    assert_eq!(heard(&watcher), [NodeDataChanged]);
    pair.lose();
    pair.connect(1);
    pair.refuse_session();
    let mut told: Vec<_> = std::iter::from_fn(|| watcher.try_next()).collect();
    assert!(told.iter().all(WatchedEvent::is_session_expired));
    told.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = told.iter().map(|event| event.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/a", "/b"]);
    assert_eq!(heard(&other).len(), 1);
    // Nothing of it lives on in the next epoch.
    pair.connect(1);
    pair.take_connect_request();
    pair.grant(&granted(zk_proto::SessionId(ID.0 + 1)));
    assert!(pair.take_requests().is_empty());
    pair.event(NodeDataChanged, "/a");
    assert_eq!(heard(&watcher), []);
    leave(&mut pair, Data, "/a", &watcher);
    pair.event(NodeDataChanged, "/a");
    assert_eq!(heard(&watcher), [NodeDataChanged], "it can be used again");
}

#[test]
fn once_the_client_is_terminal_every_watcher_is_detached() {
    let mut pair = Pair::serving();
    let watchers = [Watcher::new(), Watcher::new()];
    leave(&mut pair, Data, "/a", &watchers[0]);
    leave(&mut pair, Data, "/a", &watchers[1]);
    pair.event(NodeDataChanged, "/a");
    pair.close();
    pair.answer_all();
    let detached = pair
        .log
        .iter()
        .filter(|entry| **entry == Delivered::Detached);
    assert_eq!(detached.count(), 2);
    // A watcher that comes later is told at once.
    let late = Watcher::new();
    pair.watch("/a", Data, &late, &Chroot::none());
    assert_eq!(late.next().now_or_never(), Some(None));
}
