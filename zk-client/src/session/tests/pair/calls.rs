//! The client's side: calls, watchers.

use bytes::Bytes;
use zk_proto::data::AddWatchMode;
use zk_proto::record::{
    AuthPacket, CreateRequest, Credential, DeleteRequest, GetDataRequest, MultiOp, MultiRequest,
    RemoveWatchesRequest, SetDataRequest, SyncRequest,
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
        let answer = self.session.submit(self.mono(), call, path, record)?.answer;
        Ok(self.settle_call(answer))
    }

    /// The caller drops the future.
    pub(in crate::session::tests) fn cancel(&mut self, call: CallId) {
        self.calls[call.0].answer.close();
    }

    fn settle_call(
        &mut self,
        answer: tokio::sync::oneshot::Receiver<crate::reply::RawResult>,
    ) -> CallId {
        self.calls.push(Waiting {
            answer,
            result: None,
        });
        let id = CallId(self.calls.len() - 1);
        self.settle();
        self.note_answers();
        id
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

    pub(in crate::session::tests) fn try_get(&mut self, path: &str) -> Result<CallId, Error> {
        let record = GetDataRequest {
            path: path.into(),
            watch: false,
        };
        self.try_call(OpCode::GetData, path, None, &record)
    }

    pub(in crate::session::tests) fn try_sync(&mut self, path: &str) -> Result<CallId, Error> {
        let record = SyncRequest { path: path.into() };
        self.try_call(OpCode::Sync, path, None, &record)
    }

    pub(in crate::session::tests) fn try_who_am_i(&mut self) -> Result<CallId, Error> {
        self.try_call(OpCode::WhoAmI, "", None, &())
    }

    /// A multiRead of the data of `paths`.
    pub(in crate::session::tests) fn try_multi_read(
        &mut self,
        paths: &[&str],
    ) -> Result<CallId, Error> {
        let read = |path: &&str| {
            MultiOp::GetData(GetDataRequest {
                path: path.to_string().into(),
                watch: false,
            })
        };
        let ops = paths.iter().map(read).collect();
        self.try_call(OpCode::MultiRead, "", None, &MultiRequest { ops })
    }

    // --- Writes ----------------------------------------------------------------------

    fn try_create_as(&mut self, op: OpCode, path: &str) -> Result<CallId, Error> {
        let record = CreateRequest {
            path: path.into(),
            data: Some(b"data"[..].into()),
            acl: Some(vec![Acl::open()]),
            flags: 0,
        };
        self.try_call(op, path, None, &record)
    }

    pub(in crate::session::tests) fn try_create(&mut self, path: &str) -> Result<CallId, Error> {
        self.try_create_as(OpCode::Create, path)
    }

    pub(in crate::session::tests) fn try_create2(&mut self, path: &str) -> Result<CallId, Error> {
        self.try_create_as(OpCode::Create2, path)
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

    pub(in crate::session::tests) fn try_delete(&mut self, path: &str) -> Result<CallId, Error> {
        let record = DeleteRequest {
            path: path.into(),
            version: -1,
        };
        self.try_call(OpCode::Delete, path, None, &record)
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
    pub(in crate::session::tests) fn try_watched(
        &mut self,
        chroot: &Chroot,
        kind: WatchKind,
        path: &str,
        watcher: &Watcher,
    ) -> Result<CallId, Error> {
        let pending = Some(self.watch(path, kind, watcher, chroot));
        let server_path = chroot.to_server(path);
        let op = match kind {
            WatchKind::Data => OpCode::GetData,
            WatchKind::Exists => OpCode::Exists,
            WatchKind::Child => OpCode::GetChildren,
            WatchKind::Persistent | WatchKind::Recursive => OpCode::AddWatch,
            WatchKind::Remove(_) => panic!("a removal has no watcher"),
        };
        let mode = match kind {
            WatchKind::Persistent => AddWatchMode::Persistent,
            _ => AddWatchMode::PersistentRecursive,
        };
        if op == OpCode::AddWatch {
            self.try_call(op, path, pending, &(server_path, i32::from(mode)))
        } else {
            self.try_call(op, path, pending, &(server_path, true))
        }
    }

    #[track_caller]
    pub(in crate::session::tests) fn watched(
        &mut self,
        kind: WatchKind,
        path: &str,
        watcher: &Watcher,
    ) -> CallId {
        self.try_watched(&Chroot::none(), kind, path, watcher)
            .unwrap()
    }

    pub(in crate::session::tests) fn try_remove_watches(
        &mut self,
        path: &str,
        which: WatcherType,
    ) -> Result<CallId, Error> {
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
    }

    pub(in crate::session::tests) fn drop_watcher(&mut self, watcher: Watcher) {
        self.session.forget(watcher.queue().id());
        self.settle();
    }

    // --- The session -----------------------------------------------------------------

    pub(in crate::session::tests) fn try_add_auth(
        &mut self,
        scheme: &str,
        auth: &str,
    ) -> Result<CallId, Error> {
        let record = AuthPacket {
            kind: 0,
            scheme: scheme.into(),
            auth: Credential(Some(auth.as_bytes().into())),
        };
        let info = credentials(scheme, auth);
        let answer = self
            .session
            .submit_auth(self.mono(), info, self.deadline, &record)?
            .answer;
        Ok(self.settle_call(answer))
    }

    pub(in crate::session::tests) fn close(&mut self) -> CallId {
        let answer = self.session.close(self.mono(), self.deadline);
        self.settle_call(answer)
    }
}

/// The same calls where they must be taken.
macro_rules! taken {
    ($($name:ident = $try_name:ident($($argument:ident: $type:ty),*);)*) => {
        impl Pair {
            $(
                #[track_caller]
                pub(in crate::session::tests) fn $name(&mut self $(, $argument: $type)*) -> CallId {
                    self.$try_name($($argument),*).unwrap()
                }
            )*
        }
    };
}

taken! {
    get = try_get(path: &str);
    sync = try_sync(path: &str);
    who_am_i = try_who_am_i();
    multi_read = try_multi_read(paths: &[&str]);
    create = try_create(path: &str);
    create2 = try_create2(path: &str);
    set = try_set(path: &str, data: &[u8]);
    delete = try_delete(path: &str);
    remove_watches = try_remove_watches(path: &str, which: WatcherType);
    add_auth = try_add_auth(scheme: &str, auth: &str);
}

pub(in crate::session::tests) fn credentials(scheme: &str, auth: &str) -> AuthInfo {
    AuthInfo {
        scheme: scheme.to_owned(),
        auth: Bytes::copy_from_slice(auth.as_bytes()),
    }
}
