//! One table of watches (Apache's `WatchManager`), keyed by path and connection.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use zk_proto::path::ancestors;

use super::hashing::SeededState;
use crate::conn::ConnId;

/// How long a watch lasts and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchMode {
    /// One event, for the path itself.
    Standard = 1,
    /// All events of the path itself.
    Persistent = 2,
    /// All events of the path and of everything below it.
    PersistentRecursive = 4,
}

/// The modes in which one connection watches one path; never empty in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const NONE: Self = Self(0);

    const fn with(self, mode: WatchMode) -> Self {
        Self(self.0 | mode as u8)
    }

    const fn without(self, mode: WatchMode) -> Self {
        Self(self.0 & !(mode as u8))
    }

    const fn has(self, mode: WatchMode) -> bool {
        self.0 & mode as u8 != 0
    }
}

/// Watches as `wchs` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchSummary {
    /// Connections that have, or have had, a watch.
    pub(crate) connections: usize,
    /// Paths that are watched.
    pub(crate) paths: usize,
    /// Pairs of the two.
    pub(crate) watches: usize,
}

/// Who watches what. Paths are any text: a client may watch what can never exist.
#[derive(Debug)]
pub(crate) struct WatchTable {
    hashing: SeededState,
    by_path: HashMap<Arc<str>, Vec<ConnId>, SeededState>,
    /// A connection stays here when its last watch has fired, as in Apache,
    /// where `wchs` counts it until it closes.
    by_conn: FxHashMap<ConnId, HashMap<Arc<str>, Modes, SeededState>>,
    /// Recursive watches; without any, a trigger need not look at ancestors.
    recursive: usize,
}

impl WatchTable {
    pub(crate) fn new(hashing: SeededState) -> Self {
        Self {
            hashing,
            by_path: HashMap::with_hasher(hashing),
            by_conn: FxHashMap::default(),
            recursive: 0,
        }
    }

    /// Adds a watch, or a mode to one that is there.
    pub(crate) fn add(&mut self, path: &str, conn: ConnId, mode: WatchMode) {
        let paths = self
            .by_conn
            .entry(conn)
            .or_insert_with(|| HashMap::with_hasher(self.hashing));
        let before = if let Some(modes) = paths.get_mut(path) {
            let before = *modes;
            *modes = before.with(mode);
            before
        } else {
            let path = match self.by_path.get_key_value(path) {
                Some((path, _)) => Arc::clone(path),
                None => Arc::from(path),
            };
            paths.insert(Arc::clone(&path), Modes::NONE.with(mode));
            self.by_path.entry(path).or_default().push(conn);
            Modes::NONE
        };
        if mode == WatchMode::PersistentRecursive && !before.has(mode) {
            self.recursive += 1;
        }
    }

    /// Whether the connection watches the path, in this mode or, with `None`, in any.
    pub(crate) fn contains(&self, path: &str, conn: ConnId, mode: Option<WatchMode>) -> bool {
        let modes = self.by_conn.get(&conn).and_then(|paths| paths.get(path));
        modes.is_some_and(|modes| mode.is_none_or(|mode| modes.has(mode)))
    }

    /// Removes one mode of a watch or, with `None`, the watch. False if there was none.
    pub(crate) fn remove(&mut self, path: &str, conn: ConnId, mode: Option<WatchMode>) -> bool {
        let Some(modes) = self
            .by_conn
            .get_mut(&conn)
            .and_then(|paths| paths.get_mut(path))
        else {
            return false;
        };
        let before = *modes;
        let after = mode.map_or(Modes::NONE, |mode| before.without(mode));
        *modes = after;
        if after == Modes::NONE {
            self.forget(path, conn);
        }
        self.uncount_recursive(before, after);
        before != after
    }

    /// Drops an entry from both maps, and the connection with its last one.
    fn forget(&mut self, path: &str, conn: ConnId) {
        if let Some(paths) = self.by_conn.get_mut(&conn) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_conn.remove(&conn);
            }
        }
        self.forget_path(path, conn);
    }

    fn forget_path(&mut self, path: &str, conn: ConnId) {
        let Some(conns) = self.by_path.get_mut(path) else {
            return;
        };
        if let Some(at) = conns.iter().position(|other| *other == conn) {
            conns.swap_remove(at);
        }
        if conns.is_empty() {
            self.by_path.remove(path);
        }
    }

    fn uncount_recursive(&mut self, before: Modes, after: Modes) {
        const RECURSIVE: WatchMode = WatchMode::PersistentRecursive;
        if before.has(RECURSIVE) && !after.has(RECURSIVE) {
            self.recursive -= 1;
        }
    }

    /// The connection is gone.
    pub(crate) fn remove_conn(&mut self, conn: ConnId) {
        for (path, modes) in self.by_conn.remove(&conn).into_iter().flatten() {
            self.forget_path(&path, conn);
            self.uncount_recursive(modes, Modes::NONE);
        }
    }

    /// Something happened at `path`: takes its one-shot watches out, and returns
    /// every connection that is to hear of it, once each.
    pub(crate) fn trigger(&mut self, path: &str) -> Vec<ConnId> {
        let mut hearers = self.take_standard(path);
        if self.recursive > 0 {
            for ancestor in ancestors(path).skip(1) {
                self.add_recursive(ancestor, &mut hearers);
            }
            hearers.sort_unstable();
            hearers.dedup();
        }
        hearers
    }

    fn take_standard(&mut self, path: &str) -> Vec<ConnId> {
        let Some(conns) = self.by_path.get_mut(path) else {
            return Vec::new();
        };
        let hearers = conns.clone();
        conns.retain(|conn| {
            // Both maps hold the same pairs.
            let Some(paths) = self.by_conn.get_mut(conn) else {
                return false;
            };
            let Some(modes) = paths.get_mut(path) else {
                return false;
            };
            *modes = modes.without(WatchMode::Standard);
            let stays = *modes != Modes::NONE;
            if !stays {
                paths.remove(path);
            }
            stays
        });
        if conns.is_empty() {
            self.by_path.remove(path);
        }
        hearers
    }

    fn add_recursive(&self, path: &str, hearers: &mut Vec<ConnId>) {
        let watching = self.by_path.get(path).into_iter().flatten();
        hearers.extend(
            watching
                .filter(|conn| self.contains(path, **conn, Some(WatchMode::PersistentRecursive))),
        );
    }

    /// Pairs of connection and path.
    pub(crate) fn len(&self) -> usize {
        self.by_path.values().map(Vec::len).sum()
    }

    pub(crate) fn summary(&self) -> WatchSummary {
        WatchSummary {
            connections: self.by_conn.len(),
            paths: self.by_path.len(),
            watches: self.len(),
        }
    }

    /// Every connection with its paths, in order.
    pub(crate) fn by_conn(&self) -> Vec<(ConnId, Vec<&str>)> {
        let mut all: Vec<_> = self
            .by_conn
            .iter()
            .map(|(conn, paths)| {
                let mut paths: Vec<_> = paths.keys().map(|path| &**path).collect();
                paths.sort_unstable();
                (*conn, paths)
            })
            .collect();
        all.sort_unstable_by_key(|(conn, _)| *conn);
        all
    }

    /// Every path with its connections, in order.
    pub(crate) fn by_path(&self) -> Vec<(&str, Vec<ConnId>)> {
        let mut all: Vec<_> = self
            .by_path
            .iter()
            .map(|(path, conns)| {
                let mut conns = conns.clone();
                conns.sort_unstable();
                (&**path, conns)
            })
            .collect();
        all.sort_unstable_by_key(|(path, _)| *path);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::WatchMode::{Persistent, PersistentRecursive, Standard};
    use super::*;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn table() -> WatchTable {
        WatchTable::new(SeededState(7))
    }

    #[test]
    fn a_one_shot_watch_fires_once() {
        let mut table = table();
        table.add("/a", A, Standard);
        table.add("/a", A, Standard);
        table.add("/a", B, Standard);
        assert_eq!(table.len(), 2);
        assert_eq!(table.trigger("/a"), [A, B]);
        assert!(table.trigger("/a").is_empty());
        assert_eq!(table.summary().connections, 2, "until they close");
        table.remove_conn(A);
        assert_eq!(table.summary().connections, 1);
    }

    #[test]
    fn a_connection_hears_once_however_many_modes_match() {
        let mut table = table();
        for mode in [Standard, Persistent, PersistentRecursive] {
            table.add("/a", A, mode);
        }
        table.add("/", A, PersistentRecursive);
        assert_eq!(table.trigger("/a"), [A]);
        assert!(!table.contains("/a", A, Some(Standard)));
        assert!(table.contains("/a", A, Some(Persistent)));
        assert_eq!(table.trigger("/a"), [A]);
    }

    #[test]
    fn recursive_watches_hear_of_descendants_and_others_do_not() {
        let mut table = table();
        table.add("/", A, PersistentRecursive);
        table.add("/a", B, Persistent);
        assert_eq!(table.trigger("/a/b/c"), [A]);
        assert_eq!(table.trigger("/a"), [A, B]);
        assert!(table.remove("/", A, Some(PersistentRecursive)));
        assert_eq!(table.recursive, 0);
        assert!(table.trigger("/a/b/c").is_empty());
    }

    #[test]
    fn removal_is_by_mode_and_tells_whether_there_was_one() {
        let mut table = table();
        table.add("/a", A, Standard);
        table.add("/a", A, Persistent);
        assert!(!table.remove("/a", A, Some(PersistentRecursive)));
        assert!(table.remove("/a", A, Some(Standard)));
        assert!(!table.remove("/a", A, Some(Standard)));
        assert!(!table.remove("/a", B, None));
        assert!(table.remove("/a", A, None));
        assert!(!table.remove("/a", A, None));
        assert_eq!(table.summary().connections, 0);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let mut table = table();
        for path in ["/a", "/b", "not a path"] {
            table.add(path, A, PersistentRecursive);
            table.add(path, B, Standard);
        }
        table.remove_conn(A);
        assert_eq!(table.recursive, 0);
        assert_eq!(
            table.by_path(),
            [("/a", vec![B]), ("/b", vec![B]), ("not a path", vec![B])]
        );
        table.remove_conn(B);
        assert!(table.by_path.is_empty() && table.by_conn.is_empty());
    }
}
