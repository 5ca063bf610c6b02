//! Who is to be told of what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zk_proto::path::ancestors;
use zk_proto::{Acl, EventType, Perms};

use super::acl::allows;
use super::{Conn, Event, Model, Mutation};

/// How a connection watches a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    OneShot,
    Persistent,
    Recursive,
}

/// Of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Of the znode and its data.
    Data,
    /// Of its list of children.
    Child,
}

/// Every way in which one connection watches one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modes {
    one_shot: bool,
    persistent: bool,
    recursive: bool,
}

impl Modes {
    fn of(&mut self, mode: Mode) -> &mut bool {
        match mode {
            Mode::OneShot => &mut self.one_shot,
            Mode::Persistent => &mut self.persistent,
            Mode::Recursive => &mut self.recursive,
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

type Watchers = BTreeMap<String, BTreeMap<Conn, Modes>>;

#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    data: Watchers,
    child: Watchers,
    /// The paths that a connection watches, or has watched.
    paths: BTreeMap<Conn, BTreeSet<String>>,
}

impl Watches {
    fn table(&mut self, table: Table) -> &mut Watchers {
        match table {
            Table::Data => &mut self.data,
            Table::Child => &mut self.child,
        }
    }

    pub(super) fn add(&mut self, conn: Conn, path: &str, table: Table, mode: Mode) {
        let watchers = self.table(table).entry(path.to_owned()).or_default();
        *watchers.entry(conn).or_default().of(mode) = true;
        let paths = self.paths.entry(conn).or_default();
        if !paths.contains(path) {
            paths.insert(path.to_owned());
        }
    }

    pub(super) fn has(&mut self, conn: Conn, path: &str, table: Table, mode: Mode) -> bool {
        let watchers = self.table(table).get_mut(path);
        let modes = watchers.and_then(|watchers| watchers.get_mut(&conn));
        modes.is_some_and(|modes| *modes.of(mode))
    }

    /// False if there was none.
    pub(super) fn remove(&mut self, conn: Conn, path: &str, table: Table, mode: Mode) -> bool {
        let Some(watchers) = self.table(table).get_mut(path) else {
            return false;
        };
        let Some(modes) = watchers.get_mut(&conn) else {
            return false;
        };
        let was = std::mem::take(modes.of(mode));
        if modes.is_none() {
            watchers.remove(&conn);
        }
        if watchers.is_empty() {
            self.table(table).remove(path);
        }
        was
    }

    pub(super) fn forget(&mut self, conn: Conn) {
        for path in self.paths.remove(&conn).into_iter().flatten() {
            for watchers in [&mut self.data, &mut self.child] {
                if let Some(of_path) = watchers.get_mut(&path) {
                    of_path.remove(&conn);
                    if of_path.is_empty() {
                        watchers.remove(&path);
                    }
                }
            }
        }
    }

    /// The connections to be told of something at `path`, each once. Their one-shot
    /// watches are used up.
    fn trigger(&mut self, table: Table, path: &str, broken: Option<Mutation>) -> BTreeSet<Conn> {
        let mut told = BTreeSet::new();
        if table == Table::Data || broken == Some(Mutation::RecursiveHearsChildren) {
            let levels = match broken {
                Some(Mutation::RecursiveIsShallow) => 2,
                Some(_) | None => usize::MAX,
            };
            for above in ancestors(path).take(levels) {
                let watchers = self.data.get(above).into_iter().flatten();
                told.extend(
                    watchers
                        .filter(|(_, modes)| modes.recursive)
                        .map(|(conn, _)| conn),
                );
            }
        }
        let keeps = broken == Some(Mutation::WatchFiresTwice);
        let Some(watchers) = self.table(table).get_mut(path) else {
            return told;
        };
        watchers.retain(|conn, modes| {
            if modes.one_shot || modes.persistent {
                told.insert(*conn);
            }
            modes.one_shot &= keeps;
            !modes.is_none()
        });
        if watchers.is_empty() {
            self.table(table).remove(path);
        }
        told
    }
}

/// What somebody may have to be told of.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    pub(super) path: String,
    /// Who may read the znode.
    pub(super) acl: Arc<[Acl]>,
    /// Its parent, and who may read that.
    pub(super) parent: Option<(String, Arc<[Acl]>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Created,
    Deleted,
    DataChanged,
}

impl Model {
    /// Appends the events that `change` causes.
    pub(super) fn announce(&mut self, change: &Change, events: &mut Vec<Event>) {
        let broken = self.settings.mutation;
        let path = &*change.path;
        let kind = match change.kind {
            ChangeKind::Created => EventType::NodeCreated,
            ChangeKind::Deleted => EventType::NodeDeleted,
            ChangeKind::DataChanged => EventType::NodeDataChanged,
        };
        let told = self.watches.trigger(Table::Data, path, broken);
        self.tell(&told, kind, path, &change.acl, events);
        if change.kind == ChangeKind::Deleted {
            let of_children = self.watches.trigger(Table::Child, path, broken);
            let not_yet = of_children.difference(&told).copied().collect();
            if !self.has(Mutation::NoDeletedForChildWatches) {
                self.tell(&not_yet, kind, path, &change.acl, events);
            }
        }
        let is_mute =
            change.kind == ChangeKind::Created && self.has(Mutation::NoChildEventOnCreate);
        if let Some((parent, acl)) = &change.parent
            && !is_mute
        {
            let told = self.watches.trigger(Table::Child, parent, broken);
            self.tell(&told, EventType::NodeChildrenChanged, parent, acl, events);
        }
    }

    /// Those who may not read hear nothing, though their watch is used up.
    fn tell(
        &self,
        conns: &BTreeSet<Conn>,
        kind: EventType,
        path: &str,
        acl: &[Acl],
        events: &mut Vec<Event>,
    ) {
        let is_open = self.has(Mutation::EventsUnfiltered);
        let may_know = |conn: &&Conn| is_open || allows(acl, Perms::READ, self.identities(**conn));
        events.extend(conns.iter().filter(may_know).map(|conn| Event {
            conn: *conn,
            kind,
            path: path.to_owned(),
        }));
    }
}
