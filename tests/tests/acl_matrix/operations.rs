//! Every operation, on a znode that has the ACL in question and a child with an open one.

use zk_proto::data::open_acl;
use zk_proto::record::{
    AddWatchRequest, CheckVersionRequest, CheckWatchesRequest, CreateRequest, CreateTtlRequest,
    DeleteRequest, ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest, GetChildren2Request,
    GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, MultiOp, MultiRequest,
    ReconfigRequest, RemoveWatchesRequest, SetAclRequest, SetDataRequest, SetWatches, SetWatches2,
    SyncRequest,
};
use zk_proto::{OpCode, Zxid};

use super::asking::Body;

/// What is asked.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) op: OpCode,
    pub(crate) body: fn(&str) -> Body,
    pub(crate) watch: Watch,
}

/// What it has to do with watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    No,
    /// It leaves one: the znode is changed behind it, and events are looked for.
    Leaves,
    /// It needs one.
    Needs,
}

const fn plain(name: &'static str, op: OpCode, body: fn(&str) -> Body) -> Operation {
    let watch = Watch::No;
    Operation {
        name,
        op,
        body,
        watch,
    }
}

const fn watching(name: &'static str, op: OpCode, body: fn(&str) -> Body) -> Operation {
    let watch = Watch::Leaves;
    Operation {
        name,
        op,
        body,
        watch,
    }
}

const fn unwatching(name: &'static str, op: OpCode, body: fn(&str) -> Body) -> Operation {
    let watch = Watch::Needs;
    Operation {
        name,
        op,
        body,
        watch,
    }
}

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const CONTAINER: i32 = 4;
const TTL: i32 = 5;
const ANY_WATCHER: i32 = 3;

fn create(node: &str, flags: i32) -> CreateRequest<'static> {
    CreateRequest {
        path: format!("{node}/new").into(),
        data: None,
        acl: Some(open_acl()),
        flags,
    }
}

fn create_ttl(node: &str) -> CreateTtlRequest<'static> {
    CreateTtlRequest {
        path: format!("{node}/new").into(),
        data: None,
        acl: Some(open_acl()),
        flags: TTL,
        ttl_ms: 1 << 30,
    }
}

fn delete(node: &str) -> DeleteRequest<'static> {
    DeleteRequest {
        path: format!("{node}/child").into(),
        version: -1,
    }
}

fn set_data(node: &str) -> SetDataRequest<'_> {
    SetDataRequest {
        path: node.into(),
        data: None,
        version: -1,
    }
}

fn check(node: &str) -> CheckVersionRequest<'_> {
    CheckVersionRequest {
        path: node.into(),
        version: -1,
    }
}

fn get_data(node: &str, watch: bool) -> GetDataRequest<'_> {
    let path = node.into();
    GetDataRequest { path, watch }
}

fn exists(node: &str, watch: bool) -> ExistsRequest<'_> {
    let path = node.into();
    ExistsRequest { path, watch }
}

fn children(node: &str, watch: bool) -> GetChildrenRequest<'_> {
    let path = node.into();
    GetChildrenRequest { path, watch }
}

fn children2(node: &str, watch: bool) -> GetChildren2Request<'_> {
    let path = node.into();
    GetChildren2Request { path, watch }
}

/// Between two that need nothing of the znode: order and codes of the results show.
fn multi(op: MultiOp<'_>) -> Body {
    let ops = vec![MultiOp::Check(check("/")), op, MultiOp::Check(check("/"))];
    Body::of(&MultiRequest { ops })
}

fn multi_read(op: MultiOp<'_>) -> Body {
    let around = || MultiOp::GetData(get_data("/", false));
    let ops = vec![around(), op, around()];
    Body::of(&MultiRequest { ops })
}

fn add_watch(node: &str, mode: i32) -> Body {
    let path = node.into();
    Body::of(&AddWatchRequest { path, mode })
}

/// A persistent one.
pub(crate) fn persistent_watch(node: &str) -> Body {
    add_watch(node, 0)
}

/// `seen` is the zxid the client claims to have seen.
fn set_watches(node: &str, seen: Zxid) -> Body {
    Body::of(&SetWatches {
        relative_zxid: seen,
        data_watches: vec![node.into()],
        exist_watches: Vec::new(),
        child_watches: vec![node.into()],
    })
}

fn set_watches2(node: &str, seen: Zxid) -> Body {
    Body::of(&SetWatches2 {
        relative_zxid: seen,
        data_watches: vec![node.into()],
        exist_watches: Vec::new(),
        child_watches: vec![node.into()],
        persistent_watches: vec![node.into()],
        persistent_recursive_watches: Vec::new(),
    })
}

const ALL_SEEN: Zxid = Zxid(i64::MAX);

pub(crate) const OPERATIONS: &[Operation] = &[
    plain("create", OpCode::Create, |n| Body::of(&create(n, 0))),
    plain("create-ephemeral", OpCode::Create, |n| {
        Body::of(&create(n, EPHEMERAL))
    }),
    plain("create-sequential", OpCode::Create, |n| {
        Body::of(&create(n, SEQUENTIAL))
    }),
    plain("create2", OpCode::Create2, |n| Body::of(&create(n, 0))),
    plain("createContainer", OpCode::CreateContainer, |n| {
        Body::of(&create(n, CONTAINER))
    }),
    plain("createTTL", OpCode::CreateTtl, |n| Body::of(&create_ttl(n))),
    plain("delete", OpCode::Delete, |n| Body::of(&delete(n))),
    plain("exists", OpCode::Exists, |n| Body::of(&exists(n, false))),
    plain("getData", OpCode::GetData, |n| {
        Body::of(&get_data(n, false))
    }),
    plain("setData", OpCode::SetData, |n| Body::of(&set_data(n))),
    plain("getACL", OpCode::GetAcl, |n| {
        Body::of(&GetAclRequest { path: n.into() })
    }),
    plain("setACL", OpCode::SetAcl, |n| {
        let acl = Some(open_acl());
        Body::of(&SetAclRequest {
            path: n.into(),
            acl,
            version: -1,
        })
    }),
    plain("getChildren", OpCode::GetChildren, |n| {
        Body::of(&children(n, false))
    }),
    plain("getChildren2", OpCode::GetChildren2, |n| {
        Body::of(&children2(n, false))
    }),
    plain("getEphemerals", OpCode::GetEphemerals, |n| {
        Body::of(&GetEphemeralsRequest {
            prefix_path: Some(n.into()),
        })
    }),
    plain("getAllChildrenNumber", OpCode::GetAllChildrenNumber, |n| {
        Body::of(&GetAllChildrenNumberRequest { path: n.into() })
    }),
    plain("sync", OpCode::Sync, |n| {
        Body::of(&SyncRequest { path: n.into() })
    }),
    plain("check", OpCode::Check, |n| Body::of(&check(n))),
    plain("whoAmI", OpCode::WhoAmI, |_| Body::of(&())),
    plain("reconfig", OpCode::Reconfig, |_| {
        Body::of(&ReconfigRequest {
            joining_servers: None,
            leaving_servers: Some("9".into()),
            new_members: None,
            config_id: -1,
        })
    }),
    plain("multi-create", OpCode::Multi, |n| {
        multi(MultiOp::Create(create(n, 0)))
    }),
    plain("multi-create2", OpCode::Multi, |n| {
        multi(MultiOp::Create2(create(n, 0)))
    }),
    plain("multi-createContainer", OpCode::Multi, |n| {
        multi(MultiOp::CreateContainer(create(n, CONTAINER)))
    }),
    plain("multi-createTTL", OpCode::Multi, |n| {
        multi(MultiOp::CreateTtl(create_ttl(n)))
    }),
    plain("multi-delete", OpCode::Multi, |n| {
        multi(MultiOp::Delete(delete(n)))
    }),
    plain("multi-setData", OpCode::Multi, |n| {
        multi(MultiOp::SetData(set_data(n)))
    }),
    plain("multi-check", OpCode::Multi, |n| {
        multi(MultiOp::Check(check(n)))
    }),
    plain("multiRead-getData", OpCode::MultiRead, |n| {
        multi_read(MultiOp::GetData(get_data(n, false)))
    }),
    plain("multiRead-getChildren", OpCode::MultiRead, |n| {
        multi_read(MultiOp::GetChildren(children(n, false)))
    }),
    watching("exists-watch", OpCode::Exists, |n| {
        Body::of(&exists(n, true))
    }),
    watching("getData-watch", OpCode::GetData, |n| {
        Body::of(&get_data(n, true))
    }),
    watching("getChildren-watch", OpCode::GetChildren, |n| {
        Body::of(&children(n, true))
    }),
    watching("addWatch-persistent", OpCode::AddWatch, |n| add_watch(n, 0)),
    watching("addWatch-recursive", OpCode::AddWatch, |n| add_watch(n, 1)),
    watching("setWatches", OpCode::SetWatches, |n| {
        set_watches(n, ALL_SEEN)
    }),
    watching("setWatches-missed", OpCode::SetWatches, |n| {
        set_watches(n, Zxid::ZERO)
    }),
    watching("setWatches2", OpCode::SetWatches2, |n| {
        set_watches2(n, ALL_SEEN)
    }),
    watching("setWatches2-missed", OpCode::SetWatches2, |n| {
        set_watches2(n, Zxid::ZERO)
    }),
    unwatching("checkWatches", OpCode::CheckWatches, |n| {
        let path = n.into();
        Body::of(&CheckWatchesRequest {
            path,
            watcher_type: ANY_WATCHER,
        })
    }),
    unwatching("removeWatches", OpCode::RemoveWatches, |n| {
        let path = n.into();
        Body::of(&RemoveWatchesRequest {
            path,
            watcher_type: ANY_WATCHER,
        })
    }),
];
