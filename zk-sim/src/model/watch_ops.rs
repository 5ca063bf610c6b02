//! Watches that are set, looked for and taken back by operations of their own.

use zk_proto::record::{
    CheckWatchesRequest, ErrorResponse, RemoveWatchesRequest, SetWatches, SetWatches2,
};
use zk_proto::{Decode, ErrorCode, EventType, OpCode, Reader, WatcherType, Zxid};

use super::error::{Refusal, ensure};
use super::request::Text;
use super::tree::canonical;
use super::watches::{Mode, Table};
use super::{Answer, Conn, Event, Model, Mutation};

const ONE_SHOT_CHILD: [(Table, Mode); 1] = [(Table::Child, Mode::OneShot)];
const ONE_SHOT_DATA: [(Table, Mode); 1] = [(Table::Data, Mode::OneShot)];
const PERSISTENT: [(Table, Mode); 2] = [
    (Table::Data, Mode::Persistent),
    (Table::Child, Mode::Persistent),
];
const RECURSIVE: [(Table, Mode); 1] = [(Table::Data, Mode::Recursive)];
const ANY: [(Table, Mode); 5] = [
    (Table::Data, Mode::OneShot),
    (Table::Data, Mode::Persistent),
    (Table::Data, Mode::Recursive),
    (Table::Child, Mode::OneShot),
    (Table::Child, Mode::Persistent),
];

fn meant(by: WatcherType) -> &'static [(Table, Mode)] {
    match by {
        WatcherType::Children => &ONE_SHOT_CHILD,
        WatcherType::Data => &ONE_SHOT_DATA,
        WatcherType::Any => &ANY,
        WatcherType::Persistent => &PERSISTENT,
        WatcherType::PersistentRecursive => &RECURSIVE,
    }
}

fn watcher_type(number: i32) -> Result<WatcherType, Refusal> {
    WatcherType::try_from(number).map_err(|_| Refusal(ErrorCode::MarshallingError))
}

impl Model {
    /// Neither existence nor permission is asked for.
    pub(super) fn add_watch(
        &mut self,
        conn: Conn,
        body: &mut Reader<'_>,
    ) -> Result<Answer, Refusal> {
        let (path, mode) = (Text::decode(body)?, i32::decode(body)?);
        ensure(matches!(mode, 0 | 1), ErrorCode::MarshallingError)?;
        if let Some(path) = path {
            self.watch_for_good(conn, &path, mode == 1);
        }
        Ok(Answer::of(&ErrorResponse { err: 0 }))
    }

    fn watch_for_good(&mut self, conn: Conn, path: &str, recursively: bool) {
        let places = if recursively {
            &RECURSIVE[..]
        } else if self.has(Mutation::PersistentWithoutChildren) {
            &PERSISTENT[..1]
        } else {
            &PERSISTENT[..]
        };
        for (table, mode) in places {
            self.watches.add(conn, path, *table, *mode);
        }
    }

    pub(super) fn check_watches(
        &mut self,
        conn: Conn,
        body: &mut Reader<'_>,
    ) -> Result<Answer, Refusal> {
        let CheckWatchesRequest {
            path,
            watcher_type: number,
        } = Decode::decode(body)?;
        let mut places = meant(watcher_type(number)?).iter();
        let has = places.any(|(table, mode)| self.watches.has(conn, &path, *table, *mode));
        ensure(has, ErrorCode::NoWatcher)?;
        Ok(Answer::empty())
    }

    pub(super) fn remove_watches(
        &mut self,
        conn: Conn,
        body: &mut Reader<'_>,
    ) -> Result<Answer, Refusal> {
        let RemoveWatchesRequest {
            path,
            watcher_type: number,
        } = Decode::decode(body)?;
        let mut removed = false;
        for (table, mode) in meant(watcher_type(number)?) {
            removed |= self.watches.remove(conn, &path, *table, *mode);
        }
        ensure(removed, ErrorCode::NoWatcher)?;
        Ok(Answer::empty())
    }

    /// Watches of an earlier connection, armed again or told at once what they missed.
    pub(super) fn set_watches(
        &mut self,
        conn: Conn,
        op: OpCode,
        body: &mut Reader<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Answer, Refusal> {
        let watches = if op == OpCode::SetWatches2 {
            SetWatches2::decode(body)?
        } else {
            with_persistent(SetWatches::decode(body)?)
        };
        let seen = watches.relative_zxid;
        for path in &watches.data_watches {
            let missed = self.missed(path, seen, EventType::NodeDataChanged);
            self.rearm(conn, path, Table::Data, missed, events);
        }
        for path in &watches.exist_watches {
            let is_there = self.tree.get(canonical(path)).is_some();
            let missed = is_there.then_some(EventType::NodeCreated);
            self.rearm(conn, path, Table::Data, missed, events);
        }
        for path in &watches.child_watches {
            let missed = self.missed(path, seen, EventType::NodeChildrenChanged);
            self.rearm(conn, path, Table::Child, missed, events);
        }
        for path in &watches.persistent_watches {
            self.watch_for_good(conn, path, false);
        }
        for path in &watches.persistent_recursive_watches {
            self.watch_for_good(conn, path, true);
        }
        Ok(Answer::empty())
    }

    /// What happened to `path` since `seen`, as far as it can be told from what is
    /// there now.
    fn missed(&self, path: &str, seen: Zxid, change: EventType) -> Option<EventType> {
        let Some(node) = self.tree.get(canonical(path)) else {
            return Some(EventType::NodeDeleted);
        };
        let changed = match change {
            EventType::NodeChildrenChanged => node.meta.pzxid,
            _ => node.meta.mzxid,
        };
        (changed > seen || self.has(Mutation::RelativeZxidIgnored)).then_some(change)
    }

    fn rearm(
        &mut self,
        conn: Conn,
        path: &str,
        table: Table,
        missed: Option<EventType>,
        events: &mut Vec<Event>,
    ) {
        match missed {
            Some(kind) => events.push(Event {
                conn,
                kind,
                path: path.to_owned(),
            }),
            None => self.watches.add(conn, path, table, Mode::OneShot),
        }
    }
}

fn with_persistent(watches: SetWatches<'_>) -> SetWatches2<'_> {
    SetWatches2 {
        relative_zxid: watches.relative_zxid,
        data_watches: watches.data_watches,
        exist_watches: watches.exist_watches,
        child_watches: watches.child_watches,
        persistent_watches: Vec::new(),
        persistent_recursive_watches: Vec::new(),
    }
}
