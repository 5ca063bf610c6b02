//! What the operations answer when all is well, and what they leave in a `Stat`.

use zk_proto::record::{
    GetAclRequest, GetAllChildrenNumberRequest, GetChildren2Request, GetChildrenRequest,
    GetEphemeralsRequest, MultiHeader, MultiResponse, MultiResult, SetAclRequest, SetAclResponse,
    SetDataResponse, SyncRequest, WhoAmIResponse,
};

use super::*;

const PERSISTENT_SEQUENTIAL: i32 = 2;
const CONTAINER: i32 = 4;

#[test]
fn a_fresh_tree_is_apaches() {
    let mut s = Fixture::new();
    let c = s.client();
    assert_eq!(s.server.node_count(), 5);
    let root = s.exists(&c, "/", false).unwrap();
    assert_eq!(
        (root.cversion, root.num_children, root.aversion),
        (-1, 1, 0)
    );
    assert_eq!((root.czxid, root.ctime), (Zxid(0), 0));
    let proc = s.exists(&c, "/zookeeper", false).unwrap();
    assert_eq!((proc.cversion, proc.num_children), (-2, 2));
    let config = s.exists(&c, "/zookeeper/config", false).unwrap();
    assert_eq!((config.aversion, config.data_length), (-1, 0));
    let count = |s: &mut Fixture, path: &str| -> i32 {
        let path = path.into();
        s.call(
            &c,
            OpCode::GetAllChildrenNumber,
            &GetAllChildrenNumberRequest { path },
        )
        .body()
    };
    assert_eq!(count(&mut s, "/"), 3);
    assert_eq!(
        count(&mut s, ""),
        4,
        "the root counted under its other name"
    );
    assert_eq!(count(&mut s, "/zookeeper"), 2);
}

#[test]
fn stats_follow_creates_deletes_and_sets() {
    let mut s = Fixture::new();
    let c = s.client();
    let (_, parent) = s.create2(&c, "/p", 0);
    let created = s.zxid();
    assert_eq!(parent.czxid, created);
    assert_eq!((parent.mzxid, parent.pzxid), (created, created));
    assert_eq!((parent.ctime, parent.mtime), (s.wall_ms, s.wall_ms));

    s.advance(Duration::from_millis(5));
    s.create(&c, "/p/a", 0);
    s.create(&c, "/p/b", 0);
    let born = s.zxid();
    assert_eq!(s.delete(&c, "/p/a", 0), ErrorCode::Ok);
    let deleted = s.zxid();
    let stat = s.exists(&c, "/p", false).unwrap();
    assert_eq!(
        (stat.cversion, stat.num_children),
        (3, 1),
        "creates plus deletes"
    );
    assert_eq!((stat.pzxid, stat.mzxid), (deleted, created));
    assert_eq!(stat.mtime, parent.mtime);
    assert!(born < deleted);

    let set = s.set_data(&c, "/p", b"longer", 0).body::<SetDataResponse>();
    assert_eq!(set.stat.version, 1);
    assert_eq!((set.stat.mzxid, set.stat.mtime), (s.zxid(), s.wall_ms));
    assert_eq!((set.stat.czxid, set.stat.pzxid), (created, deleted));
    assert_eq!(set.stat.data_length, 6);

    let request = SetAclRequest {
        path: "/p".into(),
        acl: Some(open_acl()),
        version: 0,
    };
    let acl = s
        .call(&c, OpCode::SetAcl, &request)
        .body::<SetAclResponse>();
    assert_eq!((acl.stat.aversion, acl.stat.version), (1, 1));
    assert_eq!(acl.stat.mzxid, set.stat.mzxid, "not moved by setACL");
}

#[test]
fn every_reply_carries_the_last_zxid_and_failures_cost_one() {
    let mut s = Fixture::new();
    let c = s.client();
    assert_eq!(s.zxid(), Zxid(1), "the session took the first");
    let failed = s.call(&c, OpCode::Create, &create("/no/parent", 0));
    assert_eq!((failed.err, failed.zxid), (ErrorCode::NoNode, Zxid(2)));
    assert!(failed.body.is_empty());
    let read = s.call(&c, OpCode::Ping, &());
    assert_eq!((read.xid, read.zxid), (Xid::PING, Zxid(2)));
    let half = s.call(&c, OpCode::Create, &Raw(b"\0\0\0\x02/"));
    assert_eq!(half.err, ErrorCode::MarshallingError);
    assert_eq!(half.zxid, Zxid(2), "what cannot be read costs nothing");
}

#[test]
fn sequence_suffixes_count_creations_of_any_kind() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/q", 0);
    assert_eq!(s.create(&c, "/q/", PERSISTENT_SEQUENTIAL), "/q/0000000000");
    s.create(&c, "/q/plain", 0);
    assert_eq!(s.delete(&c, "/q/plain", -1), ErrorCode::Ok);
    let failed = s.call(&c, OpCode::Create, &create("/q/0000000000", 0));
    assert_eq!(failed.err, ErrorCode::NodeExists);
    assert_eq!(
        s.create(&c, "/q/n-", PERSISTENT_SEQUENTIAL),
        "/q/n-0000000002"
    );
    assert_eq!(s.create(&c, "/", PERSISTENT_SEQUENTIAL), "/0000000001");
}

#[test]
fn null_and_empty_data_are_distinct() {
    let mut s = Fixture::new();
    let c = s.client();
    for (path, data) in [("/null", None), ("/empty", Some(b"".as_slice()))] {
        let request = CreateRequest {
            data: data.map(Into::into),
            ..create(path, 0)
        };
        assert_eq!(s.call(&c, OpCode::Create, &request).err, ErrorCode::Ok);
        assert_eq!(s.get_data(&c, path), Ok(data.map(<[u8]>::to_vec)));
        assert_eq!(s.exists(&c, path, false).unwrap().data_length, 0);
    }
}

#[test]
fn children_are_listed_with_and_without_stat() {
    let mut s = Fixture::new();
    let c = s.client();
    for path in ["/p", "/p/b", "/p/a", "/p/a/deep"] {
        s.create(&c, path, 0);
    }
    let request = GetChildrenRequest {
        path: "/p".into(),
        watch: false,
    };
    let names: Vec<String> = s.call(&c, OpCode::GetChildren, &request).body();
    assert_eq!(names, ["a", "b"]);
    let request = GetChildren2Request {
        path: "/p".into(),
        watch: false,
    };
    let reply = s.call(&c, OpCode::GetChildren2, &request);
    let mut reader = Reader::new(&reply.body);
    assert_eq!(Vec::<String>::decode(&mut reader).unwrap(), ["a", "b"]);
    assert_eq!(Stat::decode(&mut reader).unwrap().num_children, 2);
    let path = "/p".into();
    let total: i32 = s
        .call(
            &c,
            OpCode::GetAllChildrenNumber,
            &GetAllChildrenNumberRequest { path },
        )
        .body();
    assert_eq!(total, 3);
}

#[test]
fn ephemerals_belong_to_their_session_and_have_no_children() {
    let mut s = Fixture::new();
    let (a, b) = (s.client(), s.client());
    let (_, stat) = s.create2(&a, "/e", 1);
    assert_eq!(stat.ephemeral_owner, a.session);
    s.create(&a, "/f", 1);
    s.create(&b, "/g", 1);
    let child = s.call(&a, OpCode::Create, &create("/e/c", 0));
    assert_eq!(child.err, ErrorCode::NoChildrenForEphemerals);
    let list = |s: &mut Fixture, prefix: Option<&'static str>| -> Vec<String> {
        let prefix_path = prefix.map(Into::into);
        s.call(
            &a,
            OpCode::GetEphemerals,
            &GetEphemeralsRequest { prefix_path },
        )
        .body()
    };
    for all in [None, Some(""), Some(" / ")] {
        assert_eq!(list(&mut s, all), ["/e", "/f"], "{all:?}");
    }
    assert_eq!(list(&mut s, Some("/e")), ["/e"]);
    assert_eq!(list(&mut s, Some("/nothing")), [""; 0]);
}

#[test]
fn containers_and_ttl_znodes_look_persistent() {
    let mut s = Fixture::new();
    let c = s.client();
    let container = s.call(&c, OpCode::CreateContainer, &create("/c", CONTAINER));
    let ttl = s.call(&c, OpCode::CreateTtl, &create_ttl("/t-", 6, 5));
    for (reply, path) in [(container, "/c"), (ttl, "/t-0000000001")] {
        let mut reader = Reader::new(&reply.body);
        let created = Create2Response::decode(&mut reader).unwrap();
        assert_eq!(created.path, path);
        assert_eq!(created.stat.ephemeral_owner, SessionId::NONE);
    }
    s.create(&c, "/c/child", 0);
}

#[test]
fn the_reaper_takes_used_containers_and_idle_ttl_znodes() {
    let mut s = Fixture::with(
        config()
            .max_session_timeout(Duration::from_secs(600))
            .container_check_interval(Duration::from_secs(2)),
    );
    let conn = s.accept();
    let long = ConnectRequest {
        timeout_ms: 600_000,
        ..new_session()
    };
    let response = s.handshake(conn, &long).unwrap();
    let c = Client {
        conn,
        session: response.session_id,
        password: response.password,
    };
    for path in ["/used", "/unused", "/full"] {
        s.call(&c, OpCode::CreateContainer, &create(path, CONTAINER));
    }
    s.create(&c, "/used/child", 0);
    s.create(&c, "/full/child", 0);
    s.call(&c, OpCode::CreateTtl, &create_ttl("/ttl", 5, 3000));
    s.call(&c, OpCode::CreateTtl, &create_ttl("/kept", 5, 3000));
    s.create(&c, "/kept/child", 0);
    assert_eq!(s.delete(&c, "/used/child", -1), ErrorCode::Ok);
    assert!(s.exists(&c, "/used", true).is_ok());

    s.advance(Duration::from_secs(3));
    let events = s.events(&c);
    assert_eq!(
        events,
        [(EventType::NodeDeleted, "/used".to_owned(), s.zxid())]
    );
    assert!(s.exists(&c, "/ttl", false).is_ok(), "too young");
    s.advance(Duration::from_secs(3));
    assert_eq!(s.exists(&c, "/ttl", false), Err(ErrorCode::NoNode));
    for path in ["/unused", "/full", "/kept"] {
        assert!(s.exists(&c, path, false).is_ok(), "{path}");
    }
}

#[test]
fn a_change_of_data_keeps_a_ttl_znode_alive() {
    let mut s = Fixture::with(config().container_check_interval(Duration::from_millis(500)));
    let c = s.client();
    s.call(&c, OpCode::CreateTtl, &create_ttl("/ttl", 5, 1500));
    for _ in 0..4 {
        s.advance(Duration::from_secs(1));
        assert_eq!(s.set_data(&c, "/ttl", b"again", -1).err, ErrorCode::Ok);
    }
    s.advance(Duration::from_secs(2));
    assert_eq!(s.exists(&c, "/ttl", false), Err(ErrorCode::NoNode));
}

/// Apache deletes it all the same (found by zk-sim, seed 588 with 53 s of faults).
#[test]
fn a_change_of_data_saves_a_ttl_znode_that_was_to_go() {
    let mut s = Fixture::with(
        config()
            .container_check_interval(Duration::from_secs(1))
            .container_max_per_minute(120),
    );
    let c = s.client();
    for path in ["/1", "/2", "/3"] {
        s.call(&c, OpCode::CreateTtl, &create_ttl(path, 5, 1500));
    }
    // Seen after 1 s, due after 3 s, and then one every half second.
    s.advance(Duration::from_millis(3100));
    assert_eq!(s.exists(&c, "/1", false), Err(ErrorCode::NoNode));
    assert_eq!(s.set_data(&c, "/2", b"again", -1).err, ErrorCode::Ok);
    s.advance(Duration::from_millis(500));
    assert_eq!(s.exists(&c, "/3", false), Err(ErrorCode::NoNode));
    assert!(s.exists(&c, "/2", false).is_ok(), "changed before its turn");
    s.advance(Duration::from_secs(3));
    assert_eq!(s.exists(&c, "/2", false), Err(ErrorCode::NoNode));
}

#[test]
fn sync_echoes_anything_and_who_am_i_tells_all() {
    let mut s = Fixture::new();
    let c = s.client();
    let path = "no path at all".into();
    let echoed: String = s.call(&c, OpCode::Sync, &SyncRequest { path }).body();
    assert_eq!(echoed, "no path at all");
    let null = s.call(&c, OpCode::Sync, &Raw(&[0xff; 4]));
    assert_eq!((null.err, &null.body[..]), (ErrorCode::Ok, &[0xff; 4][..]));
    assert_eq!(s.auth(&c, "digest", Some("super:admin")).err, ErrorCode::Ok);
    let who: WhoAmIResponse = s.call(&c, OpCode::WhoAmI, &()).body();
    let mut users: Vec<_> = who
        .client_info
        .iter()
        .map(|info| (&*info.auth_scheme, &*info.user))
        .collect();
    users.sort_unstable();
    assert_eq!(
        users,
        [("digest", "super"), ("ip", "127.0.0.1"), ("super", "")]
    );
}

#[test]
fn multi_read_answers_each_operation_for_itself() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/a", 0);
    let get = |path: &'static str| {
        MultiOp::GetData(GetDataRequest {
            path: path.into(),
            watch: true,
        })
    };
    let children = MultiOp::GetChildren(GetChildrenRequest {
        path: "/".into(),
        watch: true,
    });
    let ops = vec![get("/a"), get("/missing"), children];
    let before = s.zxid();
    let reply = s.call(&c, OpCode::MultiRead, &MultiRequest { ops });
    let results = reply.body::<MultiResponse>().results;
    let MultiResult::GetData(data) = &results[0] else {
        panic!("{results:?}");
    };
    assert_eq!(data.data.as_deref(), Some(b"x".as_slice()));
    assert_eq!(results[1], MultiResult::Error(ErrorCode::NoNode));
    let MultiResult::GetChildren(names) = &results[2] else {
        panic!("{results:?}");
    };
    assert_eq!(names.children, ["a", "zookeeper"]);
    assert_eq!(s.zxid(), before);
    assert_eq!(s.server.watch_count(), 0, "watch flags do not count");
}

#[test]
fn a_multi_read_cannot_ask_for_more_than_fits() {
    let mut s = Fixture::with(config().outbox_limits(1000, 100_000));
    let c = s.client();
    s.create(&c, "/big", 0);
    s.set_data(&c, "/big", &[0; 60_000], -1);
    let get = || {
        MultiOp::GetData(GetDataRequest {
            path: "/big".into(),
            watch: false,
        })
    };
    let one = MultiRequest { ops: vec![get()] };
    assert_eq!(s.call(&c, OpCode::MultiRead, &one).err, ErrorCode::Ok);
    let two = MultiRequest {
        ops: vec![get(), get()],
    };
    assert_eq!(
        s.call(&c, OpCode::MultiRead, &two).err,
        ErrorCode::MarshallingError
    );
}

#[test]
fn the_version_wraps_and_its_checks_hold() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/v", 0);
    assert_eq!(s.set_data(&c, "/v", b"", 1).err, ErrorCode::BadVersion);
    assert_eq!(s.set_data(&c, "/v", b"", -1).err, ErrorCode::Ok);
    assert_eq!(s.set_data(&c, "/v", b"", 1).err, ErrorCode::Ok);
    assert_eq!(s.delete(&c, "/v", 1), ErrorCode::BadVersion);
    assert_eq!(s.delete(&c, "/v", 2), ErrorCode::Ok);
    let request = GetAclRequest { path: "/v".into() };
    assert_eq!(s.call(&c, OpCode::GetAcl, &request).err, ErrorCode::NoNode);
}

#[test]
fn a_multi_read_that_makes_no_sense_is_refused_with_what_was_read() {
    let mut s = Fixture::new();
    let c = s.client();
    let ops = vec![MultiOp::Delete(delete("/a", -1))];
    let writes = s.call(&c, OpCode::MultiRead, &MultiRequest { ops });
    assert_eq!(writes.err, ErrorCode::MarshallingError);
    let body = MultiResponse::decode(&mut Reader::new(&writes.body)).unwrap();
    assert!(body.results.is_empty());

    let mut half_null = BytesMut::new();
    for path in [Some("/"), None] {
        let header = MultiHeader {
            op: OpCode::GetChildren.into(),
            done: false,
            err: -1,
        };
        (header, (path.map(str::to_owned), false)).encode(&mut half_null);
    }
    MultiHeader::END.encode(&mut half_null);
    let null = s.call(&c, OpCode::MultiRead, &Raw(&half_null));
    assert_eq!(null.err, ErrorCode::MarshallingError);
    let body = MultiResponse::decode(&mut Reader::new(&null.body)).unwrap();
    assert_eq!(body.results.len(), 1);
}

#[test]
fn a_wall_clock_that_is_set_forward_ends_no_ttl_znode() {
    let mut s = Fixture::with(config().container_check_interval(Duration::from_millis(500)));
    let c = s.client();
    s.call(&c, OpCode::CreateTtl, &create_ttl("/t", 5, 60_000));
    s.advance(Duration::from_secs(1));
    s.wall_ms += 3_600_000;
    for _ in 0..5 {
        s.advance(Duration::from_secs(3));
        s.call(&c, OpCode::Ping, &());
    }
    assert!(s.exists(&c, "/t", false).is_ok());
    s.wall_ms -= 7_200_000;
    for _ in 0..20 {
        s.advance(Duration::from_secs(3));
        s.call(&c, OpCode::Ping, &());
    }
    assert_eq!(
        s.exists(&c, "/t", false),
        Err(ErrorCode::NoNode),
        "an hour back"
    );
}
