//! The client's side: calls, watchers.

use bytes::Bytes;
use zk_proto::data::AddWatchMode;
use zk_proto::record::{
    AddWatchRequest, AuthPacket, CreateRequest, Credential, DeleteRequest, ExistsRequest,
    GetChildrenRequest, GetDataRequest, MultiOp, MultiRequest, RemoveWatchesRequest,
    SetDataRequest, SyncRequest,
};
use zk_proto::{Acl, Chroot, Encode, OpCode, WatcherType};

use super::{CallId, Pair, Waiting};
use crate::error::Error;
use crate::session::{AuthInfo, Call, PendingWatch, Registration, WatchKind};
use crate::watcher::Watcher;

impl Pair {
    pub(in crate::session::tests) fn try_call(
        &mut self,
        op: OpCode,
        path: &str,
        watch: Option<PendingWatch>,
        record: &impl Encode,
    ) -> Result<CallId, Error> {
        let call = Call {
            op,
            watch: watch.map(Box::new),
            deadline: self.deadline,
        };
        let answer = self.session.submit(self.mono(), call, path, record)?;
        self.settle_call(answer)
    }

    fn settle_call(
        &mut self,
        answer: tokio::sync::oneshot::Receiver<crate::reply::RawResult>,
    ) -> Result<CallId, Error> {
        self.calls.push(Waiting {
            answer,
            result: None,
        });
        let id = CallId(self.calls.len() - 1);
        self.settle();
        Ok(id)
    }

    #[track_caller]
    pub(in crate::session::tests) fn call(
        &mut self,
        op: OpCode,
        path: &str,
        record: &impl Encode,
    ) -> CallId {
        self.try_call(op, path, None, record).unwrap()
    }

    // --- Reads -----------------------------------------------------------------------

    #[track_caller]
    pub(in crate::session::tests) fn get(&mut self, path: &str) -> CallId {
        self.try_get(path).unwrap()
    }

    pub(in crate::session::tests) fn try_get(&mut self, path: &str) -> Result<CallId, Error> {
        let record = GetDataRequest {
            path: path.into(),
            watch: false,
        };
        self.try_call(OpCode::GetData, path, None, &record)
    }

    #[track_caller]
    pub(in crate::session::tests) fn sync(&mut self, path: &str) -> CallId {
        self.call(OpCode::Sync, path, &SyncRequest { path: path.into() })
    }

    #[track_caller]
    pub(in crate::session::tests) fn who_am_i(&mut self) -> CallId {
        self.call(OpCode::WhoAmI, "", &())
    }

    /// A multiRead of the data of `paths`.
    #[track_caller]
    pub(in crate::session::tests) fn multi_read(&mut self, paths: &[&str]) -> CallId {
        let read = |path: &&str| {
            MultiOp::GetData(GetDataRequest {
                path: path.to_string().into(),
                watch: false,
            })
        };
        let ops = paths.iter().map(read).collect();
        self.call(OpCode::MultiRead, "", &MultiRequest { ops })
    }

    // --- Writes ----------------------------------------------------------------------

    fn create_as(&mut self, op: OpCode, path: &str) -> CallId {
        let record = CreateRequest {
            path: path.into(),
            data: Some(b"data"[..].into()),
            acl: Some(vec![Acl::open()]),
            flags: 0,
        };
        self.call(op, path, &record)
    }

    #[track_caller]
    pub(in crate::session::tests) fn create(&mut self, path: &str) -> CallId {
        self.create_as(OpCode::Create, path)
    }

    #[track_caller]
    pub(in crate::session::tests) fn create2(&mut self, path: &str) -> CallId {
        self.create_as(OpCode::Create2, path)
    }

    #[track_caller]
    pub(in crate::session::tests) fn set(&mut self, path: &str, data: &[u8]) -> CallId {
        self.try_set(path, data).unwrap()
    }

    pub(in crate::session::tests) fn try_set(
        &mut self,
        path: &str,
        data: &[u8],
    ) -> Result<CallId, Error> {
        let record = SetDataRequest {
            path: path.into(),
            data: Some(data.into()),
            version: -1,
        };
        self.try_call(OpCode::SetData, path, None, &record)
    }

    #[track_caller]
    pub(in crate::session::tests) fn delete(&mut self, path: &str) -> CallId {
        let record = DeleteRequest {
            path: path.into(),
            version: -1,
        };
        self.call(OpCode::Delete, path, &record)
    }

    // --- Watches ---------------------------------------------------------------------

    /// A registration of `watcher` under `chroot`, as a handle makes it.
    pub(in crate::session::tests) fn watch(
        &mut self,
        path: &str,
        kind: WatchKind,
        watcher: &Watcher,
        chroot: &Chroot,
    ) -> PendingWatch {
        let queue = watcher.queue();
        if !self.attached.contains(&queue.id()) {
            self.attached.push(queue.id());
            let home = std::sync::Arc::downgrade(&self.home);
            assert!(watcher.attach(&home), "a watcher belongs to one pair");
            self.session.attach(queue);
        }
        PendingWatch {
            path: chroot.to_server(path).into(),
            kind,
            registration: Some(Registration {
                watcher: std::sync::Arc::clone(queue),
                chroot: chroot.clone(),
            }),
        }
    }

    /// The read or addWatch that leaves a watch of this kind.
    #[track_caller]
    pub(in crate::session::tests) fn watched(
        &mut self,
        kind: WatchKind,
        path: &str,
        watcher: &Watcher,
    ) -> CallId {
        self.watched_under(&Chroot::none(), kind, path, watcher)
    }

    #[track_caller]
    pub(in crate::session::tests) fn watched_under(
        &mut self,
        chroot: &Chroot,
        kind: WatchKind,
        path: &str,
        watcher: &Watcher,
    ) -> CallId {
        let pending = Some(self.watch(path, kind, watcher, chroot));
        let server_path = chroot.to_server(path);
        let add = |mode: AddWatchMode| AddWatchRequest {
            path: server_path.clone(),
            mode: mode.into(),
        };
        let called = match kind {
            WatchKind::Data => {
                let record = GetDataRequest {
                    path: server_path.clone(),
                    watch: true,
                };
                self.try_call(OpCode::GetData, path, pending, &record)
            }
            WatchKind::Exists => {
                let record = ExistsRequest {
                    path: server_path.clone(),
                    watch: true,
                };
                self.try_call(OpCode::Exists, path, pending, &record)
            }
            WatchKind::Child => {
                let record = GetChildrenRequest {
                    path: server_path.clone(),
                    watch: true,
                };
                self.try_call(OpCode::GetChildren, path, pending, &record)
            }
            WatchKind::Persistent => {
                let record = add(AddWatchMode::Persistent);
                self.try_call(OpCode::AddWatch, path, pending, &record)
            }
            WatchKind::Recursive => {
                let record = add(AddWatchMode::PersistentRecursive);
                self.try_call(OpCode::AddWatch, path, pending, &record)
            }
            WatchKind::Remove(_) => panic!("a removal has no watcher"),
        };
        called.unwrap()
    }

    #[track_caller]
    pub(in crate::session::tests) fn remove_watches(
        &mut self,
        path: &str,
        which: WatcherType,
    ) -> CallId {
        let record = RemoveWatchesRequest {
            path: path.into(),
            watcher_type: which.into(),
        };
        let pending = PendingWatch {
            path: path.into(),
            kind: WatchKind::Remove(which),
            registration: None,
        };
        self.try_call(OpCode::RemoveWatches, path, Some(pending), &record)
            .unwrap()
    }

    pub(in crate::session::tests) fn drop_watcher(&mut self, watcher: Watcher) {
        self.session.forget(watcher.queue().id());
        self.settle();
    }

    // --- The session -----------------------------------------------------------------

    pub(in crate::session::tests) fn add_auth(&mut self, scheme: &str, auth: &str) -> CallId {
        let record = AuthPacket {
            kind: 0,
            scheme: scheme.into(),
            auth: Credential(Some(auth.as_bytes().into())),
        };
        let answer = self
            .session
            .submit_auth(
                self.mono(),
                credentials(scheme, auth),
                self.deadline,
                &record,
            )
            .unwrap();
        self.settle_call(answer).unwrap()
    }

    pub(in crate::session::tests) fn close(&mut self) -> CallId {
        let answer = self.session.close(self.mono());
        self.settle_call(answer).unwrap()
    }
}

pub(in crate::session::tests) fn credentials(scheme: &str, auth: &str) -> AuthInfo {
    AuthInfo {
        scheme: scheme.to_owned(),
        auth: Bytes::copy_from_slice(auth.as_bytes()),
    }
}
