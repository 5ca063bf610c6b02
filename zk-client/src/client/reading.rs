//! Operations that read.

use bytes::Bytes;
use zk_proto::record::{
    ClientInfo, ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest, GetChildren2Request,
    GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, SyncRequest,
};
use zk_proto::{Acl, OpCode, Stat};

use super::{CONFIG_PATH, Client};
use crate::multi_read::MultiRead;
use crate::read;
use crate::reply::{Reply, attempt};
use crate::session::WatchKind;
use crate::watcher::Watcher;

impl Client {
    /// A znode's `Stat`, or `None` if it is missing. A watch is left in either case.
    ///
    /// # Errors
    ///
    /// `NoAuth` since 3.8.4.
    pub fn exists<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<Option<Stat>> {
        let watch = watch.into();
        attempt(|| {
            let record = ExistsRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::Exists,
                path,
                self.watch(watch, WatchKind::Exists, &record.path),
                &record,
                read::found,
            )
        })
    }

    /// A znode's data and `Stat`; null data reads as empty. A watch is left if the
    /// znode exists.
    ///
    /// The bytes share the chunk they were received in, up to 64 KiB: copy what you
    /// keep.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_data<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<(Bytes, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetDataRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetData,
                path,
                self.watch(watch, WatchKind::Data, &record.path),
                &record,
                read::data,
            )
        })
    }

    /// The names of a znode's children, in no order. A watch is left if the znode
    /// exists.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_children<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<Vec<String>> {
        let watch = watch.into();
        attempt(|| {
            let record = GetChildrenRequest {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetChildren,
                path,
                self.watch(watch, WatchKind::Child, &record.path),
                &record,
                read::children,
            )
        })
    }

    /// As [`get_children`](Self::get_children), with the parent's `Stat`.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_children2<'w>(
        &self,
        path: &str,
        watch: impl Into<Option<&'w Watcher>>,
    ) -> Reply<(Vec<String>, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetChildren2Request {
                path: self.server_path(path)?,
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetChildren2,
                path,
                self.watch(watch, WatchKind::Child, &record.path),
                &record,
                read::children2,
            )
        })
    }

    /// How many descendants a znode has. Since 3.6.0.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`; [`Error::Unsupported`](crate::Error::Unsupported) on older servers.
    pub fn get_all_children_number(&self, path: &str) -> Reply<i32> {
        attempt(|| {
            let record = GetAllChildrenNumberRequest {
                path: self.server_path(path)?,
            };
            self.send(
                OpCode::GetAllChildrenNumber,
                path,
                None,
                &record,
                read::number,
            )
        })
    }

    /// The paths of this session's ephemerals that start with `prefix` (as text, not
    /// by components) and lie within the chroot. Since 3.6.0.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) on older servers.
    pub fn get_ephemerals(&self, prefix: &str) -> Reply<Vec<String>> {
        attempt(|| {
            let prefix_path = Some(self.chroot.to_server(prefix));
            let record = GetEphemeralsRequest { prefix_path };
            self.send(
                OpCode::GetEphemerals,
                prefix,
                None,
                &record,
                read::ephemerals,
            )
        })
    }

    /// A znode's ACL and `Stat`; digest ids are masked from those without ADMIN.
    ///
    /// # Errors
    ///
    /// `NoNode`, `NoAuth`.
    pub fn get_acl(&self, path: &str) -> Reply<(Vec<Acl>, Stat)> {
        attempt(|| {
            let record = GetAclRequest {
                path: self.server_path(path)?,
            };
            self.send(OpCode::GetAcl, path, None, &record, read::acl)
        })
    }

    /// Waits until the connected server has caught up with the leader. Reads called
    /// after it see everything committed before it; there is no need to await it
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`](crate::Error::ReadOnly) on a read-only server.
    pub fn sync(&self, path: &str) -> Reply<()> {
        attempt(|| {
            let record = SyncRequest {
                path: self.server_path(path)?,
            };
            self.send(OpCode::Sync, path, None, &record, read::nothing)
        })
    }

    /// A sync and a read in one round trip: the read is not older than the call.
    ///
    /// Its limit: Apache's sync is no quorum round. A leader that was deposed and has
    /// not noticed yet may answer it, so that for that moment the read can miss
    /// writes acknowledged elsewhere (ZOOKEEPER-1675).
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync) and [`get_data`](Self::get_data).
    pub fn read_linearizable(&self, path: &str) -> Reply<(Bytes, Stat)> {
        let sync = self.sync(path);
        self.get_data(path, None).after(sync)
    }

    /// Collects reads that travel as one request.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// The ensemble's configuration and its `Stat`, whatever the chroot; events of
    /// the watch carry the full path.
    ///
    /// # Errors
    ///
    /// `NoNode` before 3.5, `NoAuth`.
    pub fn get_config<'w>(&self, watch: impl Into<Option<&'w Watcher>>) -> Reply<(Bytes, Stat)> {
        let watch = watch.into();
        attempt(|| {
            let record = GetDataRequest {
                path: CONFIG_PATH.into(),
                watch: watch.is_some(),
            };
            self.send(
                OpCode::GetData,
                CONFIG_PATH,
                self.watch(watch, WatchKind::Data, &record.path),
                &record,
                read::data,
            )
        })
    }

    /// The identities the server knows this connection by. A server before 3.7 is
    /// not asked: then the answer is what this client presented.
    ///
    /// # Errors
    ///
    /// Connection and session errors only.
    pub fn who_am_i(&self) -> Reply<Vec<ClientInfo>> {
        attempt(|| self.send(OpCode::WhoAmI, "", None, &(), read::identities))
    }
}
