//! Permissions: who needs which for what, and what is shown of them.

use zk_proto::record::{
    CheckVersionRequest, GetAclRequest, GetAclResponse, GetAllChildrenNumberRequest,
    GetChildren2Request, GetChildrenRequest, MultiResponse, MultiResult, SetAclRequest,
};
use zk_proto::{AclId, Perms};

use super::*;

const ALL_OPS: [&str; 13] = [
    "create",
    "delete",
    "set_data",
    "set_acl",
    "check",
    "exists",
    "get_data",
    "get_children",
    "get_children2",
    "get_all_children_number",
    "get_acl",
    "multi_read",
    "sync",
];

/// Everything one can do to `/n`, whose child is `/n/c`; the verdict.
fn attempt(s: &mut Fixture, c: &Client, what: &str) -> ErrorCode {
    let path = || "/n".into();
    let watch = false;
    let first = |reply: Reply| match &reply.body::<MultiResponse>().results[0] {
        MultiResult::Error(error) => *error,
        _ => ErrorCode::Ok,
    };
    match what {
        "create" => s.call(c, OpCode::Create, &create("/n/new", 0)).err,
        "delete" => s.delete(c, "/n/c", -1),
        "set_data" => s.set_data(c, "/n", b"", -1).err,
        "set_acl" => {
            let request = SetAclRequest {
                path: path(),
                acl: Some(open_acl()),
                version: -1,
            };
            s.call(c, OpCode::SetAcl, &request).err
        }
        "check" => {
            let check = CheckVersionRequest {
                path: path(),
                version: -1,
            };
            first(s.multi(c, vec![MultiOp::Check(check)]))
        }
        "exists" => s.exists(c, "/n", false).err().unwrap_or(ErrorCode::Ok),
        "get_data" => s.get_data(c, "/n").err().unwrap_or(ErrorCode::Ok),
        "get_children" => {
            let request = GetChildrenRequest {
                path: path(),
                watch,
            };
            s.call(c, OpCode::GetChildren, &request).err
        }
        "get_children2" => {
            let request = GetChildren2Request {
                path: path(),
                watch,
            };
            s.call(c, OpCode::GetChildren2, &request).err
        }
        "get_all_children_number" => {
            let request = GetAllChildrenNumberRequest { path: path() };
            s.call(c, OpCode::GetAllChildrenNumber, &request).err
        }
        "get_acl" => {
            let request = GetAclRequest { path: path() };
            s.call(c, OpCode::GetAcl, &request).err
        }
        "multi_read" => {
            let ops = vec![MultiOp::GetData(GetDataRequest {
                path: path(),
                watch,
            })];
            first(s.call(c, OpCode::MultiRead, &MultiRequest { ops }))
        }
        "sync" => s.call(c, OpCode::Sync, &"/n").err,
        other => unreachable!("{other}"),
    }
}

/// What is allowed under one permission.
fn allowed(perms: Perms, credentials: Option<&str>) -> Vec<&'static str> {
    ALL_OPS
        .into_iter()
        .filter(|what| {
            let mut s = Fixture::new();
            let c = s.client();
            s.create(&c, "/n", 0);
            s.create(&c, "/n/c", 0);
            let acl = Some(vec![Acl::new(perms, AclId::anyone())]);
            let request = SetAclRequest {
                path: "/n".into(),
                acl,
                version: -1,
            };
            assert_eq!(s.call(&c, OpCode::SetAcl, &request).err, ErrorCode::Ok);
            if let Some(credentials) = credentials {
                s.auth(&c, "digest", Some(credentials));
            }
            match attempt(&mut s, &c, what) {
                ErrorCode::Ok => true,
                ErrorCode::NoAuth => false,
                other => panic!("{what}: {other:?}"),
            }
        })
        .collect()
}

#[test]
fn each_permission_opens_its_own_operations() {
    assert_eq!(allowed(Perms::NONE, None), ["sync"]);
    assert_eq!(
        allowed(Perms::READ, None),
        [
            "check",
            "exists",
            "get_data",
            "get_children",
            "get_children2",
            "get_all_children_number",
            "get_acl",
            "multi_read",
            "sync"
        ]
    );
    assert_eq!(allowed(Perms::WRITE, None), ["set_data", "sync"]);
    assert_eq!(allowed(Perms::CREATE, None), ["create", "sync"]);
    assert_eq!(allowed(Perms::DELETE, None), ["delete", "sync"]);
    assert_eq!(allowed(Perms::ADMIN, None), ["set_acl", "get_acl", "sync"]);
    assert_eq!(allowed(Perms::NONE, Some("super:admin")), ALL_OPS);
}

#[test]
fn without_admin_digests_are_masked() {
    let mut s = Fixture::new();
    let (owner, reader) = (s.client(), s.client());
    s.auth(&owner, "digest", Some("own:er"));
    let acl = vec![Acl::creator_all(), Acl::read_only()];
    s.call(&owner, OpCode::Create, &create_with("/a", 0, acl));
    let ids = |s: &mut Fixture, c: &Client| -> Vec<String> {
        let request = GetAclRequest { path: "/a".into() };
        let reply: GetAclResponse = s.call(c, OpCode::GetAcl, &request).body();
        reply.acl.into_iter().map(|entry| entry.id.id).collect()
    };
    assert_eq!(
        ids(&mut s, &owner),
        ["own:WB9qmW9kBoTSnXyoit3HXD1EF4E=", "anyone"]
    );
    assert_eq!(ids(&mut s, &reader), ["own:x", "anyone"]);
}

#[test]
fn the_configuration_znode_is_for_reading() {
    let mut s = Fixture::new();
    let c = s.client();
    let path = "/zookeeper/config";
    assert_eq!(s.set_data(&c, path, b"", -1).err, ErrorCode::NoAuth);
    assert_eq!(s.get_data(&c, path), Ok(Some(vec![])));
    s.auth(&c, "digest", Some("super:admin"));
    assert_eq!(s.set_data(&c, path, b"", -1).err, ErrorCode::Ok);
}

#[test]
fn credentials_count_from_the_next_request_on() {
    let mut s = Fixture::new();
    let (owner, other) = (s.client(), s.client());
    s.auth(&owner, "digest", Some("own:er"));
    let acl = vec![Acl::creator_all()];
    s.call(&owner, OpCode::Create, &create_with("/mine", 0, acl));
    assert_eq!(s.get_data(&other, "/mine"), Err(ErrorCode::NoAuth));
    s.auth(&other, "digest", Some("own:wrong"));
    assert_eq!(s.get_data(&other, "/mine"), Err(ErrorCode::NoAuth));
    let reply = s.auth(&other, "digest", Some("own:er"));
    assert_eq!(
        (reply.xid, reply.zxid, reply.err),
        (Xid::AUTH, Zxid::ZERO, ErrorCode::Ok)
    );
    assert!(s.get_data(&other, "/mine").is_ok());
}

#[test]
fn identities_die_with_the_connection() {
    let mut s = Fixture::new();
    let mut c = s.client();
    s.auth(&c, "digest", Some("own:er"));
    let acl = vec![Acl::creator_all()];
    s.call(&c, OpCode::Create, &create_with("/mine", 0, acl));
    s.reconnect(&mut c);
    assert_eq!(s.get_data(&c, "/mine"), Err(ErrorCode::NoAuth));
}

#[test]
fn refused_credentials_close_the_connection_but_not_the_session() {
    let mut s = Fixture::new();
    for (scheme, auth) in [("nobody", Some("x")), ("digest", None), ("sasl", Some("x"))] {
        let mut c = s.client();
        let reply = s.auth(&c, scheme, auth);
        assert_eq!((reply.zxid, reply.err), (Zxid::ZERO, ErrorCode::AuthFailed));
        assert!(s.is_closed(&c), "{scheme}");
        assert_eq!(s.reconnect(&mut c).session_id, c.session);
    }
}

#[test]
fn enforced_authentication_refuses_everything_else() {
    let mut s = Fixture::with(config().enforce_auth_schemes(vec!["digest".to_owned()]));
    let c = s.client();
    s.auth(&c, "digest", Some("any:one"));
    assert_eq!(s.call(&c, OpCode::Ping, &()).err, ErrorCode::Ok);
    let stranger = s.client();
    let reply = s.call(&stranger, OpCode::Ping, &());
    assert_eq!(
        (reply.xid, reply.zxid, reply.err),
        (Xid(7), Zxid::ZERO, ErrorCode::SessionClosedRequireSaslAuth)
    );
    assert!(s.is_closed(&stranger));
}
