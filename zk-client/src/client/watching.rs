//! Watches that stay, and the removal of watches.

use zk_proto::data::AddWatchMode;
use zk_proto::record::{AddWatchRequest, CheckWatchesRequest, RemoveWatchesRequest};
use zk_proto::{OpCode, WatcherType};

use super::Client;
use crate::read;
use crate::reply::{Reply, attempt};
use crate::session::{PendingWatch, WatchKind};
use crate::watcher::Watcher;

impl Client {
    /// Leaves a watch that stays until it is removed, on a znode that need not
    /// exist. Since 3.6.0.
    ///
    /// What happens during a disconnection is lost (ZOOKEEPER-4698): after a reconnect
    /// the watcher receives an event of type `None` and state `SyncConnected`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) on older servers.
    pub fn add_watch(&self, path: &str, mode: AddWatchMode, watcher: &Watcher) -> Reply<()> {
        let kind = match mode {
            AddWatchMode::Persistent => WatchKind::Persistent,
            AddWatchMode::PersistentRecursive => WatchKind::Recursive,
        };
        attempt(|| {
            let record = AddWatchRequest {
                path: self.server_path(path)?,
                mode: mode.into(),
            };
            self.send(
                OpCode::AddWatch,
                path,
                self.watch(Some(watcher), kind, &record.path),
                &record,
                read::nothing,
            )
        })
    }

    /// Removes every watch of a kind from a path, for all watchers of this client;
    /// each gets a client-made event. To remove the watches of one watcher, drop it.
    ///
    /// # Errors
    ///
    /// `NoWatcher` if there was none.
    pub fn remove_watches(&self, path: &str, which: WatcherType) -> Reply<()> {
        attempt(|| {
            let record = RemoveWatchesRequest {
                path: self.server_path(path)?,
                watcher_type: which.into(),
            };
            let watch = PendingWatch {
                path: Box::from(&*record.path),
                kind: WatchKind::Remove(which),
                registration: None,
            };
            self.send(
                OpCode::RemoveWatches,
                path,
                Some(Box::new(watch)),
                &record,
                read::nothing,
            )
        })
    }

    /// Asks the server whether this connection has such a watch.
    ///
    /// # Errors
    ///
    /// `NoWatcher` if it has none.
    pub fn check_watches(&self, path: &str, which: WatcherType) -> Reply<()> {
        attempt(|| {
            let record = CheckWatchesRequest {
                path: self.server_path(path)?,
                watcher_type: which.into(),
            };
            self.send(OpCode::CheckWatches, path, None, &record, read::nothing)
        })
    }
}
