//! Random requests over a few paths, so that they get in each other's way.

use bytes::{Bytes, BytesMut};
use zk_env::EnvRng;
use zk_proto::record::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateRequest,
    CreateTtlRequest, Credential, DeleteRequest, ExistsRequest, GetAclRequest,
    GetAllChildrenNumberRequest, GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, MultiOp,
    MultiRequest, RemoveWatchesRequest, SetAclRequest, SetDataRequest, SetWatches2, SyncRequest,
};
use zk_proto::{Acl, AclId, Encode, OpCode, Perms, Zxid};

const NAMES: [&str; 5] = ["/a", "/b", "/c", "/a/x", "/b/y"];
const USERS: [&str; 2] = ["ann", "bob"];

/// A request without its header.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) op: i32,
    pub(super) body: Bytes,
}

fn asked(op: OpCode, body: &impl Encode) -> Asked {
    let mut bytes = BytesMut::new();
    body.encode(&mut bytes);
    Asked {
        op: op.into(),
        body: bytes.freeze(),
    }
}

fn pick<'a>(rng: &mut EnvRng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len() as u64) as usize]
}

fn path(rng: &mut EnvRng) -> String {
    let mut path = pick(rng, &NAMES).to_owned();
    match rng.below(12) {
        0 => path.push_str("/deep"),
        1 => path.push_str("/deep/er"),
        2 => path = "/".to_owned(),
        3 => {
            path = pick(
                rng,
                &[
                    "/a/",
                    "",
                    "a",
                    "/zookeeper",
                    "//",
                    "/zookeeper/config",
                    "/\u{1}",
                ],
            )
            .to_owned()
        }
        _ => {}
    }
    path
}

fn acl(rng: &mut EnvRng) -> Option<Vec<Acl>> {
    let user = pick(rng, &USERS);
    let digest = AclId::digest(user, "secret");
    Some(match rng.below(20) {
        0 => vec![Acl::new(Perms::ALL, digest)],
        1 => vec![Acl::new(Perms::ALL, digest), Acl::read_only()],
        2 => vec![Acl::creator_all()],
        3 => vec![Acl::new(Perms(1 + rng.below(31) as i32), AclId::anyone())],
        4 => vec![Acl::new(Perms::ALL, AclId::new("ip", "10.0.0.0/16"))],
        5 => vec![Acl::new(Perms::ALL, AclId::new("digest", "ann"))],
        6 => Vec::new(),
        7 => vec![Acl::open(), Acl::open(), Acl::new(Perms::READ, digest)],
        8 => return None,
        _ => vec![Acl::open()],
    })
}

fn version(rng: &mut EnvRng) -> i32 {
    match rng.below(4) {
        0 => rng.below(3) as i32,
        _ => -1,
    }
}

fn data(rng: &mut EnvRng) -> Option<Vec<u8>> {
    let len = rng.below(9) as usize;
    (len > 0).then(|| vec![b'd'; len - 1])
}

fn create(rng: &mut EnvRng) -> MultiOp<'static> {
    let flags = match rng.below(60) {
        0 => 9,
        1 => 4,
        _ => rng.below(4) as i32,
    };
    let (path, data, acl) = (path(rng).into(), data(rng).map(Into::into), acl(rng));
    let create = CreateRequest {
        path,
        data,
        acl,
        flags,
    };
    match rng.below(8) {
        0 => MultiOp::CreateContainer(CreateRequest { flags: 4, ..create }),
        1 => MultiOp::CreateTtl(CreateTtlRequest {
            path: create.path,
            data: create.data,
            acl: create.acl,
            flags: 5 + rng.below(2) as i32,
            ttl_ms: rng.below(4000) as i64,
        }),
        2 | 3 => MultiOp::Create2(create),
        _ => MultiOp::Create(create),
    }
}

fn write(rng: &mut EnvRng) -> MultiOp<'static> {
    let (path, version) = (path(rng).into(), version(rng));
    match rng.below(6) {
        0 => MultiOp::Delete(DeleteRequest { path, version }),
        1 => MultiOp::Check(CheckVersionRequest { path, version }),
        2 => {
            let data = data(rng).map(Into::into);
            MultiOp::SetData(SetDataRequest {
                path,
                data,
                version,
            })
        }
        _ => create(rng),
    }
}

fn single(op: MultiOp<'_>) -> Asked {
    let code = op.op_code();
    match &op {
        MultiOp::Create(body) | MultiOp::Create2(body) | MultiOp::CreateContainer(body) => {
            asked(code, body)
        }
        MultiOp::CreateTtl(body) => asked(code, body),
        MultiOp::Delete(body) => asked(code, body),
        MultiOp::SetData(body) => asked(code, body),
        MultiOp::Check(body) => asked(code, body),
        MultiOp::GetData(body) => asked(code, body),
        MultiOp::GetChildren(body) => asked(code, body),
    }
}

fn multi(rng: &mut EnvRng) -> Asked {
    let mut ops: Vec<_> = (0..rng.below(5)).map(|_| write(rng)).collect();
    if rng.below(20) == 0 {
        ops.push(MultiOp::GetData(get_data(rng)));
    }
    asked(OpCode::Multi, &MultiRequest { ops })
}

fn get_data(rng: &mut EnvRng) -> GetDataRequest<'static> {
    GetDataRequest {
        path: path(rng).into(),
        watch: rng.below(2) == 0,
    }
}

fn multi_read(rng: &mut EnvRng) -> Asked {
    let mut ops = Vec::new();
    for _ in 0..rng.below(4) {
        let GetDataRequest { path, watch } = get_data(rng);
        ops.push(match rng.below(2) {
            0 => MultiOp::GetData(GetDataRequest { path, watch }),
            _ => MultiOp::GetChildren(GetChildrenRequest { path, watch }),
        });
    }
    if rng.below(20) == 0 {
        ops.push(write(rng));
    }
    asked(OpCode::MultiRead, &MultiRequest { ops })
}

fn read(rng: &mut EnvRng) -> Asked {
    let (path, watch) = (path(rng).into(), rng.below(2) == 0);
    match rng.below(11) {
        0 | 1 => asked(OpCode::Exists, &ExistsRequest { path, watch }),
        2 | 3 => asked(OpCode::GetData, &GetDataRequest { path, watch }),
        4 => asked(OpCode::GetChildren, &GetChildrenRequest { path, watch }),
        5 | 6 => asked(OpCode::GetChildren2, &GetChildrenRequest { path, watch }),
        7 => asked(OpCode::GetAcl, &GetAclRequest { path }),
        8 => asked(
            OpCode::GetAllChildrenNumber,
            &GetAllChildrenNumberRequest { path },
        ),
        9 => {
            let prefix_path = Some(path).filter(|_| watch);
            asked(OpCode::GetEphemerals, &GetEphemeralsRequest { prefix_path })
        }
        _ => multi_read(rng),
    }
}

fn around(rng: &mut EnvRng) -> Asked {
    let path = path(rng).into();
    let watcher_type = 1 + rng.below(6) as i32;
    match rng.below(8) {
        0 => asked(OpCode::Sync, &SyncRequest { path }),
        1 | 2 => {
            let mode = rng.below(20).min(2) as i32 % 3;
            asked(OpCode::AddWatch, &AddWatchRequest { path, mode })
        }
        3 => {
            let mode = rng.below(2) as i32;
            asked(OpCode::AddWatch, &AddWatchRequest { path, mode })
        }
        4 => asked(
            OpCode::RemoveWatches,
            &RemoveWatchesRequest { path, watcher_type },
        ),
        5 => asked(
            OpCode::CheckWatches,
            &CheckWatchesRequest { path, watcher_type },
        ),
        6 => asked(OpCode::WhoAmI, &()),
        _ => auth(rng),
    }
}

fn auth(rng: &mut EnvRng) -> Asked {
    let secret = format!("{}:secret", pick(rng, &USERS));
    let packet = AuthPacket {
        kind: 0,
        scheme: "digest".into(),
        auth: Credential(Some(secret.into_bytes().into())),
    };
    asked(OpCode::Auth, &packet)
}

/// The next request of a client that has seen `seen`.
pub(super) fn next(rng: &mut EnvRng, seen: Zxid) -> Asked {
    match rng.below(100) {
        0..40 => single(loop {
            let write = write(rng);
            if write.op_code() != OpCode::Check {
                break write;
            }
        }),
        40..48 => multi(rng),
        48..53 => {
            let (path, acl) = (path(rng).into(), acl(rng));
            let version = version(rng);
            asked(OpCode::SetAcl, &SetAclRequest { path, acl, version })
        }
        53..85 => read(rng),
        85..97 => around(rng),
        97 => asked(OpCode::Ping, &()),
        98 => {
            let seen = Zxid(seen.0 - rng.below(20) as i64);
            set_watches(rng, seen)
        }
        _ => Asked {
            op: pick_odd(rng),
            body: Bytes::from_static(b"\0\0\0\x02"),
        },
    }
}

/// An operation with a body that cannot be read.
fn pick_odd(rng: &mut EnvRng) -> i32 {
    let ops = [
        OpCode::Create,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::Exists,
        OpCode::GetData,
        OpCode::Multi,
        OpCode::MultiRead,
        OpCode::SetWatches,
    ];
    ops[rng.below(ops.len() as u64) as usize].into()
}

/// What a client asks for that has come back.
pub(super) fn set_watches(rng: &mut EnvRng, seen: Zxid) -> Asked {
    let mut some = || (0..rng.below(4)).map(|_| path(rng).into()).collect();
    let watches = SetWatches2 {
        relative_zxid: seen,
        data_watches: some(),
        exist_watches: some(),
        child_watches: some(),
        persistent_watches: some(),
        persistent_recursive_watches: some(),
    };
    asked(OpCode::SetWatches2, &watches)
}
