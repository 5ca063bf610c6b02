//! Operations on watches themselves.

use zk_proto::data::AddWatchMode;
use zk_proto::record::ErrorResponse;
use zk_proto::{ErrorCode, EventType, WatcherType, Zxid};

use super::read::{NULL, Reading, body};
use super::request::{PathNumber, PersistentWatches, SetWatches, Text, Texts};
use crate::conn::Request;
use crate::tree::WatchedEvent;

impl Reading<'_> {
    pub(super) fn set_watches(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let watches: SetWatches<'_> = body(&mut request)?;
        self.restore(&watches)?;
        self.ok(request.xid, &());
        Ok(())
    }

    pub(super) fn set_watches2(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let watches: SetWatches<'_> = body(&mut request)?;
        let PersistentWatches {
            persistent,
            recursive,
        } = body(&mut request)?;
        self.restore(&watches)?;
        // A null among these watches nothing, and harms nobody.
        for path in persistent.as_ref().ok_or(NULL)?.iter().flatten() {
            self.watches.add_persistent(path, self.conn);
        }
        for path in recursive.as_ref().ok_or(NULL)?.iter().flatten() {
            self.watches.add_recursive(path, self.conn);
        }
        self.ok(request.xid, &());
        Ok(())
    }

    /// Puts one-shot watches back, except where the client has missed something
    /// since `relative_zxid`: there it gets its event at once. As in Apache a null
    /// ends this half-way.
    fn restore(&mut self, watches: &SetWatches<'_>) -> Result<(), ErrorCode> {
        use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
        let seen = watches.relative_zxid;

        for path in paths(&watches.data) {
            let path = path?;
            match self.tree.node(path) {
                None => self.missed(NodeDeleted, path),
                Some(node) if node.stat.mzxid > seen => self.missed(NodeDataChanged, path),
                Some(_) => self.watches.add_data(path, self.conn),
            }
        }
        for path in paths(&watches.exist) {
            let path = path?;
            match self.tree.node(path) {
                None => self.watches.add_data(path, self.conn),
                Some(_) => self.missed(NodeCreated, path),
            }
        }
        for path in paths(&watches.child) {
            let path = path?;
            match self.tree.node(path) {
                None => self.missed(NodeDeleted, path),
                Some(node) if node.stat.pzxid > seen => self.missed(NodeChildrenChanged, path),
                Some(_) => self.watches.add_child(path, self.conn),
            }
        }
        Ok(())
    }

    /// As in Apache nobody asks whether the client may read the znode.
    fn missed(&mut self, event_type: EventType, path: &str) {
        self.connection.notify(WatchedEvent {
            event_type,
            path,
            zxid: Zxid(-1),
        });
    }

    /// The znode need not exist, and nobody asks for permission: events do that.
    pub(super) fn add_watch(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let PathNumber { path, number } = body(&mut request)?;
        let mode = AddWatchMode::try_from(number).map_err(|_| ErrorCode::MarshallingError)?;
        // A null path watches nothing.
        if let Some(path) = path {
            match mode {
                AddWatchMode::Persistent => self.watches.add_persistent(&path, self.conn),
                AddWatchMode::PersistentRecursive => self.watches.add_recursive(&path, self.conn),
            }
        }
        self.ok(request.xid, &ErrorResponse { err: 0 });
        Ok(())
    }

    pub(super) fn check_watches(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let (path, kind) = watcher(&mut request)?;
        if !path.is_some_and(|path| self.watches.contains(&path, kind, self.conn)) {
            return Err(ErrorCode::NoWatcher);
        }
        self.ok(request.xid, &());
        Ok(())
    }

    pub(super) fn remove_watches(&mut self, mut request: Request<'_>) -> Result<(), ErrorCode> {
        let (path, kind) = watcher(&mut request)?;
        if !path.is_some_and(|path| self.watches.remove(&path, kind, self.conn)) {
            return Err(ErrorCode::NoWatcher);
        }
        self.ok(request.xid, &());
        Ok(())
    }
}

fn watcher<'f>(request: &mut Request<'f>) -> Result<(Text<'f>, WatcherType), ErrorCode> {
    let PathNumber { path, number } = body(request)?;
    let kind = WatcherType::try_from(number).map_err(|_| ErrorCode::MarshallingError)?;
    Ok((path, kind))
}

/// The paths of a list; an error for a null, in it or instead of it.
fn paths<'t>(texts: &'t Texts<'_>) -> impl Iterator<Item = Result<&'t str, ErrorCode>> {
    let missing = texts.is_none().then_some(Err(NULL));
    let texts = texts.iter().flatten();
    missing
        .into_iter()
        .chain(texts.map(|text| text.as_deref().ok_or(NULL)))
}
