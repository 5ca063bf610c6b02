//! Who hears what.

use zk_proto::record::{AddWatchRequest, GetChildrenRequest, SetWatches2};
use zk_proto::{Perms, record};

use super::*;

const CREATED: EventType = EventType::NodeCreated;
const DELETED: EventType = EventType::NodeDeleted;
const CHANGED: EventType = EventType::NodeDataChanged;
const CHILDREN: EventType = EventType::NodeChildrenChanged;

impl Server {
    fn watch_children(&mut self, path: &str) {
        let (path, watch) = (path.into(), true);
        self.read(OpCode::GetChildren, &GetChildrenRequest { path, watch });
    }

    fn add_watch(&mut self, path: &str, mode: i32) {
        let path = path.into();
        self.read(OpCode::AddWatch, &AddWatchRequest { path, mode });
    }
}

#[test]
fn a_watch_of_a_missing_znode_hears_of_it_once() {
    let mut server = Server::new();
    assert_eq!(server.watch("/a").err, ErrorCode::NoNode);
    assert_eq!(server.create("/a", 0).events, [event(CREATED, "/a")]);
    assert_eq!(server.set_data("/a", -1).events, []);
}

#[test]
fn one_event_is_enough_for_all_watches_of_a_connection() {
    let mut server = Server::new();
    server.create("/a", 0);
    server.watch("/a");
    server.watch_children("/a");
    server.watch_children("/");
    let heard = [event(DELETED, "/a"), event(CHILDREN, "/")];
    assert_eq!(server.delete("/a").events, heard);
}

#[test]
fn persistent_watches_hear_of_children_and_recursive_ones_of_descendants() {
    let mut server = Server::new();
    server.add_watch("/a", 0);
    assert_eq!(server.create("/a", 0).events, [event(CREATED, "/a")]);
    assert_eq!(server.create("/a/b", 0).events, [event(CHILDREN, "/a")]);
    assert_eq!(server.create("/a/b/c", 0).events, []);
    server.add_watch("/a", 1);
    assert_eq!(
        server.set_data("/a/b/c", -1).events,
        [event(CHANGED, "/a/b/c")]
    );
    assert_eq!(server.delete("/a/b/c").events, [event(DELETED, "/a/b/c")]);
    let both = [event(DELETED, "/a/b"), event(CHILDREN, "/a")];
    assert_eq!(server.delete("/a/b").events, both);
}

#[test]
fn who_may_not_read_hears_nothing_and_loses_the_watch() {
    let mut server = Server::new();
    server.watch("/a");
    let hidden = vec![Acl::new(Perms::WRITE, AclId::anyone())];
    let done = server.write(OpCode::Create, &create("/a", 0, hidden));
    assert_eq!(done.events, []);
    let nobody = record::CheckWatchesRequest {
        path: "/a".into(),
        watcher_type: 3,
    };
    assert_eq!(
        server.read(OpCode::CheckWatches, &nobody).answer.err,
        ErrorCode::NoWatcher
    );
}

#[test]
fn watches_go_with_their_connection() {
    let mut server = Server::new();
    server.watch("/a");
    server.model.disconnect(CONN);
    server.model.connect(CONN, "10.0.0.1");
    assert_eq!(server.create("/a", 0).events, []);
}

#[test]
fn watches_that_are_set_again_hear_what_they_missed() {
    let mut server = Server::new();
    for path in ["/old", "/new", "/there"] {
        server.create(path, 0);
    }
    let seen = server.model.last_zxid();
    server.set_data("/new", -1);
    server.create("/new/child", 0);
    let watches = SetWatches2 {
        relative_zxid: seen,
        data_watches: vec!["/old".into(), "/new".into(), "/gone".into()],
        exist_watches: vec!["/gone".into(), "/there".into()],
        child_watches: vec!["/new".into(), "/old".into()],
        persistent_watches: vec!["/there".into()],
        persistent_recursive_watches: Vec::new(),
    };
    let heard = [
        event(CHANGED, "/new"),
        event(DELETED, "/gone"),
        event(CREATED, "/there"),
        event(CHILDREN, "/new"),
    ];
    assert_eq!(server.read(OpCode::SetWatches2, &watches).events, heard);
    assert_eq!(server.set_data("/old", -1).events, [event(CHANGED, "/old")]);
    assert_eq!(server.create("/gone", 0).events, [event(CREATED, "/gone")]);
    assert_eq!(
        server.set_data("/there", -1).events,
        [event(CHANGED, "/there")]
    );
    assert_eq!(
        server.set_data("/there", -1).events,
        [event(CHANGED, "/there")]
    );
}
