//! Watches end to end: who hears what, in which order, under which zxid.

use zk_proto::EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
use zk_proto::record::{
    AddWatchRequest, CheckWatchesRequest, GetChildrenRequest, RemoveWatchesRequest, SetWatches,
    SetWatches2,
};

use super::*;

fn watch_data(s: &mut Fixture, client: &Client, path: &str) -> ErrorCode {
    let request = GetDataRequest {
        path: path.into(),
        watch: true,
    };
    s.call(client, OpCode::GetData, &request).err
}

fn watch_children(s: &mut Fixture, client: &Client, path: &str) -> ErrorCode {
    let request = GetChildrenRequest {
        path: path.into(),
        watch: true,
    };
    s.call(client, OpCode::GetChildren, &request).err
}

fn add_watch(s: &mut Fixture, client: &Client, path: &str, mode: i32) -> Reply {
    let path = path.into();
    s.call(client, OpCode::AddWatch, &AddWatchRequest { path, mode })
}

fn check(s: &mut Fixture, client: &Client, path: &str, watcher_type: i32) -> ErrorCode {
    let path = path.into();
    let request = CheckWatchesRequest { path, watcher_type };
    s.call(client, OpCode::CheckWatches, &request).err
}

fn remove(s: &mut Fixture, client: &Client, path: &str, watcher_type: i32) -> ErrorCode {
    let path = path.into();
    let request = RemoveWatchesRequest { path, watcher_type };
    s.call(client, OpCode::RemoveWatches, &request).err
}

fn kinds(events: &[Event]) -> Vec<(EventType, &str)> {
    events.iter().map(|event| (event.0, &*event.1)).collect()
}

#[test]
fn each_operation_triggers_what_the_table_says() {
    let mut s = Fixture::new();
    let (c, w) = (s.client(), s.client());
    s.create(&c, "/p", 0);

    assert_eq!(s.exists(&w, "/p/c", true), Err(ErrorCode::NoNode));
    assert_eq!(watch_children(&mut s, &w, "/p"), ErrorCode::Ok);
    s.create(&c, "/p/c", 0);
    let zxid = s.zxid();
    assert_eq!(
        s.events(&w),
        [
            (NodeCreated, "/p/c".to_owned(), zxid),
            (NodeChildrenChanged, "/p".to_owned(), zxid)
        ]
    );

    assert_eq!(watch_data(&mut s, &w, "/p/c"), ErrorCode::Ok);
    s.set_data(&c, "/p/c", b"y", -1);
    s.set_data(&c, "/p/c", b"z", -1);
    assert_eq!(kinds(&s.events(&w)), [(NodeDataChanged, "/p/c")], "once");

    watch_data(&mut s, &w, "/p/c");
    watch_children(&mut s, &w, "/p/c");
    assert!(s.exists(&w, "/p/c", true).is_ok());
    watch_children(&mut s, &w, "/p");
    s.delete(&c, "/p/c", -1);
    assert_eq!(
        kinds(&s.events(&w)),
        [(NodeDeleted, "/p/c"), (NodeChildrenChanged, "/p")]
    );
    assert_eq!(s.server.watch_count(), 0);
}

#[test]
fn reads_of_what_is_not_there_leave_a_watch_only_if_exists() {
    let mut s = Fixture::new();
    let c = s.client();
    assert_eq!(watch_data(&mut s, &c, "/no"), ErrorCode::NoNode);
    assert_eq!(watch_children(&mut s, &c, "/no"), ErrorCode::NoNode);
    assert_eq!(s.server.watch_count(), 0);
    assert_eq!(s.exists(&c, "/no", true), Err(ErrorCode::NoNode));
    assert_eq!(s.server.watch_count(), 1);
}

#[test]
fn the_writer_hears_its_event_before_its_reply() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/a", 0);
    watch_data(&mut s, &c, "/a");
    let header = RequestHeader {
        xid: Xid(3),
        op: OpCode::SetData.into(),
    };
    s.feed(c.conn, &(header, set_data("/a", b"", -1)));
    let xids: Vec<_> = s
        .inbox(&c)
        .frames
        .iter()
        .map(|f| Reply::read(f).xid)
        .collect();
    assert_eq!(xids, [Xid::NOTIFICATION, Xid(3)]);
}

#[test]
fn persistent_watches_stay_and_recursive_ones_reach_down() {
    let mut s = Fixture::new();
    let (c, p, r) = (s.client(), s.client(), s.client());
    let reply = add_watch(&mut s, &p, "/p", 0);
    assert_eq!((reply.err, &reply.body[..]), (ErrorCode::Ok, &[0; 4][..]));
    assert_eq!(add_watch(&mut s, &r, "/p", 1).err, ErrorCode::Ok);
    assert_eq!(
        add_watch(&mut s, &r, "/p", 2).err,
        ErrorCode::MarshallingError
    );
    for path in ["/p", "/p/c", "/p/c/d"] {
        s.create(&c, path, 0);
    }
    s.set_data(&c, "/p/c", b"", -1);
    for path in ["/p/c/d", "/p/c", "/p"] {
        s.delete(&c, path, -1);
    }
    assert_eq!(
        kinds(&s.events(&p)),
        [
            (NodeCreated, "/p"),
            (NodeChildrenChanged, "/p"),
            (NodeChildrenChanged, "/p"),
            (NodeDeleted, "/p"),
        ]
    );
    assert_eq!(
        kinds(&s.events(&r)),
        [
            (NodeCreated, "/p"),
            (NodeCreated, "/p/c"),
            (NodeCreated, "/p/c/d"),
            (NodeDataChanged, "/p/c"),
            (NodeDeleted, "/p/c/d"),
            (NodeDeleted, "/p/c"),
            (NodeDeleted, "/p"),
        ]
    );
}

#[test]
fn watches_are_checked_and_removed_by_type() {
    let mut s = Fixture::new();
    let (c, other) = (s.client(), s.client());
    s.create(&c, "/a", 0);
    watch_data(&mut s, &c, "/a");
    watch_children(&mut s, &c, "/a");
    add_watch(&mut s, &c, "/a", 0);
    add_watch(&mut s, &c, "/a", 1);
    for kind in [1, 2, 4, 5] {
        assert_eq!(check(&mut s, &other, "/a", kind), ErrorCode::NoWatcher);
        assert_eq!(check(&mut s, &c, "/a", kind), ErrorCode::Ok);
        assert_eq!(remove(&mut s, &c, "/a", kind), ErrorCode::Ok);
        assert_eq!(check(&mut s, &c, "/a", kind), ErrorCode::NoWatcher);
        assert_eq!(remove(&mut s, &c, "/a", kind), ErrorCode::NoWatcher);
    }
    assert_eq!(remove(&mut s, &c, "/a", 3), ErrorCode::NoWatcher);
    for wrong in [0, 6, -1] {
        assert_eq!(check(&mut s, &c, "/a", wrong), ErrorCode::MarshallingError);
        assert_eq!(remove(&mut s, &c, "/a", wrong), ErrorCode::MarshallingError);
    }
}

#[test]
fn set_watches_replays_what_was_missed_and_keeps_the_rest() {
    let mut s = Fixture::new();
    let c = s.client();
    for path in ["/old", "/changed", "/deleted", "/parent"] {
        s.create(&c, path, 0);
    }
    let seen = s.zxid();
    s.set_data(&c, "/changed", b"", -1);
    s.delete(&c, "/deleted", -1);
    s.create(&c, "/parent/child", 0);
    let request = SetWatches {
        relative_zxid: seen,
        data_watches: ["/old", "/changed", "/deleted"].map(Into::into).to_vec(),
        exist_watches: ["/changed", "/missing"].map(Into::into).to_vec(),
        child_watches: ["/old", "/parent", "/deleted"].map(Into::into).to_vec(),
    };
    let reply = s.call(&c, OpCode::SetWatches, &request);
    assert_eq!((reply.err, reply.body.len()), (ErrorCode::Ok, 0));
    let events = s.events(&c);
    assert_eq!(
        kinds(&events),
        [
            (NodeDataChanged, "/changed"),
            (NodeDeleted, "/deleted"),
            (NodeCreated, "/changed"),
            (NodeChildrenChanged, "/parent"),
            (NodeDeleted, "/deleted"),
        ]
    );
    assert!(events.iter().all(|event| event.2 == Zxid(-1)));
    assert_eq!(s.server.watch_count(), 3, "/old twice and /missing");
    s.create(&c, "/missing", 0);
    s.set_data(&c, "/old", b"", -1);
    assert_eq!(
        kinds(&s.events(&c)),
        [(NodeCreated, "/missing"), (NodeDataChanged, "/old")]
    );
}

#[test]
fn set_watches2_restores_persistent_watches_without_a_word() {
    let mut s = Fixture::new();
    let c = s.client();
    let request = SetWatches2 {
        relative_zxid: Zxid::ZERO,
        data_watches: vec![],
        exist_watches: vec![],
        child_watches: vec![],
        persistent_watches: vec!["/".into()],
        persistent_recursive_watches: vec!["/a".into()],
    };
    assert_eq!(s.call(&c, OpCode::SetWatches2, &request).err, ErrorCode::Ok);
    assert!(s.events(&c).is_empty());
    s.create(&c, "/a", 0);
    s.create(&c, "/a/b", 0);
    assert_eq!(
        kinds(&s.events(&c)),
        [
            (NodeCreated, "/a"),
            (NodeChildrenChanged, "/"),
            (NodeCreated, "/a/b")
        ]
    );
}

#[test]
fn a_null_list_of_watches_fails_after_what_came_before_it() {
    let mut s = Fixture::new();
    let c = s.client();
    let mut body = BytesMut::new();
    Zxid::ZERO.encode(&mut body);
    vec!["/zookeeper"].encode(&mut body);
    body.put_i32(-1);
    body.put_i32(0);
    let reply = s.call(&c, OpCode::SetWatches, &Raw(&body));
    assert_eq!(reply.err, ErrorCode::MarshallingError);
    assert_eq!(s.server.watch_count(), 1);
}

#[test]
fn a_multi_tells_of_each_of_its_changes_under_one_zxid() {
    let mut s = Fixture::new();
    let (c, w) = (s.client(), s.client());
    add_watch(&mut s, &w, "/m", 1);
    let ops = vec![
        MultiOp::Create(create("/m", 0)),
        MultiOp::SetData(set_data("/m", b"", 0)),
        MultiOp::Delete(delete("/m", 1)),
    ];
    assert_eq!(s.multi(&c, ops).err, ErrorCode::Ok);
    let events = s.events(&w);
    assert_eq!(
        kinds(&events),
        [
            (NodeCreated, "/m"),
            (NodeDataChanged, "/m"),
            (NodeDeleted, "/m")
        ]
    );
    assert!(events.iter().all(|event| event.2 == s.zxid()));
}

#[test]
fn events_come_only_to_those_who_may_read_but_use_up_the_watch() {
    let mut s = Fixture::new();
    let (owner, stranger) = (s.client(), s.client());
    s.auth(&owner, "digest", Some("own:er"));
    assert_eq!(s.exists(&owner, "/secret", true), Err(ErrorCode::NoNode));
    assert_eq!(s.exists(&stranger, "/secret", true), Err(ErrorCode::NoNode));
    let acl = vec![Acl::creator_all()];
    s.call(&owner, OpCode::Create, &create_with("/secret", 0, acl));
    assert_eq!(kinds(&s.events(&owner)), [(NodeCreated, "/secret")]);
    assert!(s.events(&stranger).is_empty());
    assert_eq!(s.server.watch_count(), 0);

    add_watch(&mut s, &stranger, "/secret", 0);
    s.set_data(&owner, "/secret", b"", -1);
    s.create(&owner, "/secret/child", 0);
    s.delete(&owner, "/secret/child", -1);
    s.delete(&owner, "/secret", -1);
    assert!(s.events(&stranger).is_empty());
    assert_eq!(s.server.watch_count(), 2, "a persistent watch stays");
}

#[test]
fn summaries_count_as_four_letter_words_do() {
    let mut s = Fixture::new();
    let (a, b) = (s.client(), s.client());
    for path in ["/", "/zookeeper"] {
        watch_data(&mut s, &a, path);
    }
    watch_data(&mut s, &b, "/");
    watch_children(&mut s, &b, "/");
    let summary = s.server.watch_summary();
    assert_eq!(
        (summary.connections, summary.paths, summary.watches),
        (2, 2, 3)
    );
    assert_eq!(s.server.watch_count(), 4);
    assert_eq!(
        s.server.watches_by_session(),
        [(a.session, vec!["/", "/zookeeper"]), (b.session, vec!["/"])]
    );
    assert_eq!(
        s.server.watches_by_path(),
        [
            ("/", vec![a.session, b.session]),
            ("/zookeeper", vec![a.session])
        ]
    );
}
