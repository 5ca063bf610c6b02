//! The two tables of watches and which change triggers what (protocol page §8.4).

use zk_proto::{Acl, EventType, WatcherType, Zxid, path};

use super::hashing::SeededState;
use super::watch_table::{WatchMode, WatchTable};
use crate::conn::ConnId;

/// An event on its way to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchedEvent<'a> {
    pub(crate) event_type: EventType,
    pub(crate) path: &'a str,
    /// The transaction behind it; −1 for those that setWatches makes up.
    pub(crate) zxid: Zxid,
}

/// Takes events to connections.
pub(crate) trait WatchSink {
    /// Delivers `event` to `conn`, if its identities may read under `acl`.
    fn deliver(&mut self, conn: ConnId, event: WatchedEvent<'_>, acl: &[Acl]);
}

/// Nobody watches: the tree catches up before anybody is connected.
#[derive(Debug)]
pub(crate) struct NoWatchers;

impl WatchSink for NoWatchers {
    fn deliver(&mut self, _: ConnId, _: WatchedEvent<'_>, _: &[Acl]) {}
}

/// Data watches and child watches of all connections of this server.
#[derive(Debug)]
pub(crate) struct Watches {
    data: WatchTable,
    child: WatchTable,
}

impl Watches {
    pub(crate) fn new(hashing: SeededState) -> Self {
        Self {
            data: WatchTable::new(hashing),
            child: WatchTable::new(hashing),
        }
    }

    /// The table of getData and exists.
    pub(crate) fn data(&self) -> &WatchTable {
        &self.data
    }

    /// How many watches there are, in both tables.
    pub(crate) fn len(&self) -> usize {
        self.data.len() + self.child.len()
    }

    /// A one-shot watch of getData or exists.
    pub(crate) fn add_data(&mut self, path: &str, conn: ConnId) {
        self.data.add(path, conn, WatchMode::Standard);
    }

    /// A one-shot watch of getChildren.
    pub(crate) fn add_child(&mut self, path: &str, conn: ConnId) {
        self.child.add(path, conn, WatchMode::Standard);
    }

    /// A persistent watch sits in both tables.
    pub(crate) fn add_persistent(&mut self, path: &str, conn: ConnId) {
        self.child.add(path, conn, WatchMode::Persistent);
        self.data.add(path, conn, WatchMode::Persistent);
    }

    /// A recursive watch hears no child events (ZOOKEEPER-4475), hence one table.
    pub(crate) fn add_recursive(&mut self, path: &str, conn: ConnId) {
        self.data.add(path, conn, WatchMode::PersistentRecursive);
    }

    /// Whether the connection has a watch of that type on the path.
    pub(crate) fn contains(&self, path: &str, kind: WatcherType, conn: ConnId) -> bool {
        use WatchMode::{Persistent, PersistentRecursive, Standard};
        match kind {
            WatcherType::Children => self.child.contains(path, conn, Some(Standard)),
            WatcherType::Data => self.data.contains(path, conn, Some(Standard)),
            WatcherType::Any => {
                self.child.contains(path, conn, None) || self.data.contains(path, conn, None)
            }
            WatcherType::Persistent => self.data.contains(path, conn, Some(Persistent)),
            WatcherType::PersistentRecursive => {
                self.data.contains(path, conn, Some(PersistentRecursive))
            }
        }
    }

    /// Removes the connection's watches of that type from the path; false if
    /// there were none.
    pub(crate) fn remove(&mut self, path: &str, kind: WatcherType, conn: ConnId) -> bool {
        let (child, data) = match kind {
            WatcherType::Children => (Some(Some(WatchMode::Standard)), None),
            WatcherType::Data => (None, Some(Some(WatchMode::Standard))),
            WatcherType::Any => (Some(None), Some(None)),
            WatcherType::Persistent => {
                let mode = Some(Some(WatchMode::Persistent));
                (mode, mode)
            }
            WatcherType::PersistentRecursive => (None, Some(Some(WatchMode::PersistentRecursive))),
        };
        let from_child = child.is_some_and(|mode| self.child.remove(path, conn, mode));
        let from_data = data.is_some_and(|mode| self.data.remove(path, conn, mode));
        from_child || from_data
    }

    /// The connection is gone.
    pub(crate) fn remove_conn(&mut self, conn: ConnId) {
        self.data.remove_conn(conn);
        self.child.remove_conn(conn);
    }

    /// A znode has been created.
    pub(crate) fn created(
        &mut self,
        path: &str,
        zxid: Zxid,
        acl: &[Acl],
        parent_acl: &[Acl],
        sink: &mut impl WatchSink,
    ) {
        let event = event(EventType::NodeCreated, path, zxid);
        deliver(&self.data.trigger(path), event, acl, sink);
        self.children_changed(path, zxid, parent_acl, sink);
    }

    /// A znode has been deleted; `acl` is its last one. Child watches hear of the
    /// deletion too, but nobody hears of it twice.
    pub(crate) fn deleted(
        &mut self,
        path: &str,
        zxid: Zxid,
        acl: &[Acl],
        parent_acl: &[Acl],
        sink: &mut impl WatchSink,
    ) {
        let event = event(EventType::NodeDeleted, path, zxid);
        let mut told = self.data.trigger(path);
        deliver(&told, event, acl, sink);
        let mut others = self.child.trigger(path);
        if !others.is_empty() {
            told.sort_unstable();
            others.retain(|conn| told.binary_search(conn).is_err());
        }
        deliver(&others, event, acl, sink);
        self.children_changed(path, zxid, parent_acl, sink);
    }

    /// A znode's data has been set.
    pub(crate) fn data_changed(
        &mut self,
        path: &str,
        zxid: Zxid,
        acl: &[Acl],
        sink: &mut impl WatchSink,
    ) {
        let event = event(EventType::NodeDataChanged, path, zxid);
        deliver(&self.data.trigger(path), event, acl, sink);
    }

    fn children_changed(
        &mut self,
        child: &str,
        zxid: Zxid,
        parent_acl: &[Acl],
        sink: &mut impl WatchSink,
    ) {
        let Some(parent) = path::parent(child) else {
            return;
        };
        let event = event(EventType::NodeChildrenChanged, parent, zxid);
        deliver(&self.child.trigger(parent), event, parent_acl, sink);
    }
}

const fn event(event_type: EventType, path: &str, zxid: Zxid) -> WatchedEvent<'_> {
    WatchedEvent {
        event_type,
        path,
        zxid,
    }
}

fn deliver(conns: &[ConnId], event: WatchedEvent<'_>, acl: &[Acl], sink: &mut impl WatchSink) {
    for conn in conns {
        sink.deliver(*conn, event, acl);
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

    use super::*;

    const ZXID: Zxid = Zxid(9);
    const NAMES: [(&str, ConnId); 5] = [
        ("data", ConnId(1)),
        ("child", ConnId(2)),
        ("persistent", ConnId(3)),
        ("recursive", ConnId(4)),
        ("all", ConnId(5)),
    ];

    #[derive(Default)]
    struct Heard(Vec<(&'static str, EventType, String)>);

    impl WatchSink for Heard {
        fn deliver(&mut self, conn: ConnId, event: WatchedEvent<'_>, _: &[Acl]) {
            assert_eq!(event.zxid, ZXID);
            let name = NAMES.iter().find(|(_, id)| *id == conn).unwrap().0;
            self.0.push((name, event.event_type, event.path.to_owned()));
        }
    }

    /// Each connection watches `/p/c` in its own way, the last one in every way.
    fn watches(path: &str) -> Watches {
        let mut watches = Watches::new(SeededState(3));
        let [data, child, persistent, recursive, all] = NAMES.map(|(_, id)| id);
        watches.add_data(path, data);
        watches.add_child(path, child);
        watches.add_persistent(path, persistent);
        watches.add_recursive(path, recursive);
        watches.add_data(path, all);
        watches.add_child(path, all);
        watches.add_persistent(path, all);
        watches.add_recursive(path, all);
        watches
    }

    /// What is heard, per trigger in the order of triggers, names sorted within one.
    fn heard(act: impl FnOnce(&mut Heard)) -> Vec<(&'static str, EventType, String)> {
        let mut heard = Heard::default();
        act(&mut heard);
        heard.0
    }

    fn names(heard: &[(&'static str, EventType, String)], event: EventType) -> Vec<&'static str> {
        let mut names: Vec<_> = heard.iter().filter(|h| h.1 == event).map(|h| h.0).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn data_changes_are_heard_by_the_data_table() {
        let mut watches = watches("/p/c");
        let events = heard(|sink| watches.data_changed("/p/c", ZXID, &[], sink));
        assert_eq!(
            names(&events, NodeDataChanged),
            ["all", "data", "persistent", "recursive"]
        );
        assert_eq!(events.len(), 4);
        let again = heard(|sink| watches.data_changed("/p/c", ZXID, &[], sink));
        assert_eq!(
            names(&again, NodeDataChanged),
            ["all", "persistent", "recursive"]
        );
    }

    #[test]
    fn a_deletion_is_heard_once_by_everybody() {
        let mut watches = watches("/p/c");
        let events = heard(|sink| watches.deleted("/p/c", ZXID, &[], &[], sink));
        assert_eq!(
            names(&events, NodeDeleted),
            ["all", "child", "data", "persistent", "recursive"]
        );
        assert_eq!(events.len(), 5);
    }

    #[test]
    fn children_are_heard_of_by_the_parent_except_by_recursive_watches() {
        let mut watches = watches("/p");
        let created = heard(|sink| watches.created("/p/c", ZXID, &[], &[], sink));
        assert_eq!(names(&created, NodeCreated), ["all", "recursive"]);
        assert_eq!(
            names(&created, NodeChildrenChanged),
            ["all", "child", "persistent"]
        );
        assert_eq!(created[0].1, NodeCreated, "the child's own event first");
        let deleted = heard(|sink| watches.deleted("/p/c", ZXID, &[], &[], sink));
        assert_eq!(names(&deleted, NodeDeleted), ["all", "recursive"]);
        assert_eq!(names(&deleted, NodeChildrenChanged), ["all", "persistent"]);
    }

    #[test]
    fn removal_by_type_leaves_the_other_types() {
        use WatcherType::{Any, Children, Data, Persistent, PersistentRecursive};
        let mut watches = watches("/p");
        let all = NAMES[4].1;
        for kind in [Children, Data, Persistent, PersistentRecursive] {
            assert!(watches.contains("/p", kind, all));
            assert!(watches.remove("/p", kind, all), "{kind:?}");
            assert!(!watches.remove("/p", kind, all), "{kind:?} twice");
            assert!(!watches.contains("/p", kind, all));
        }
        assert!(!watches.contains("/p", Any, all));
        for (name, conn) in NAMES.iter().take(4) {
            assert!(watches.remove("/p", Any, *conn), "{name}");
        }
        assert_eq!(watches.len(), 0);
    }
}
