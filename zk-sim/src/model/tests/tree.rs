//! Znodes, their numbers and names, and what goes first among several things wrong.

use zk_proto::record::{CreateTtlRequest, GetAclRequest, GetAclResponse};
use zk_proto::record::{MultiOp, MultiRequest, MultiResponse, MultiResult, SetAclRequest};
use zk_proto::{Perms, record};

use super::*;

#[test]
fn a_fresh_server_has_the_built_in_znodes() {
    let mut server = Server::new();
    let root = server.stat("/");
    assert_eq!((root.cversion, root.num_children), (-1, 1));
    let zookeeper = server.stat("/zookeeper");
    assert_eq!((zookeeper.cversion, zookeeper.num_children), (-2, 2));
    assert_eq!(server.stat("/zookeeper/config").aversion, -1);
    assert_eq!(
        server.set_data("/zookeeper/config", -1).answer.err,
        ErrorCode::NoAuth
    );
    assert_eq!(
        server.delete("/zookeeper/quota").answer.err,
        ErrorCode::BadArguments
    );
}

#[test]
fn the_sequence_counts_creations_of_any_kind_and_nothing_else() {
    let mut server = Server::new();
    server.create("/p", 0);
    server.create("/p/plain", 0);
    server.delete("/p/plain");
    server.create("/p/plain/too/deep", 2);
    assert_eq!(name_of(&server.create("/p/s-", 2)), "/p/s-0000000001");
    assert_eq!(name_of(&server.create("/p/", 2)), "/p/0000000002");
    // Three creations and a deletion.
    assert_eq!(server.stat("/p").cversion, 4);
}

#[test]
fn children_move_pzxid_and_nothing_else_of_the_parent() {
    let mut server = Server::new();
    server.create("/p", 0);
    let fresh = server.stat("/p");
    server.create("/p/c", 0);
    server.set_data("/p/c", -1);
    let with_child = server.stat("/p");
    assert_eq!(with_child.pzxid, Zxid(3));
    server.delete("/p/c");
    let without = server.stat("/p");
    let expected = Stat {
        cversion: 2,
        pzxid: Zxid(5),
        ..fresh
    };
    assert_eq!(without, expected);
}

#[test]
fn what_is_wrong_is_named_in_order() {
    let mut server = Server::new();
    let mut bad_acl = create("/missing/x", 0, Vec::new());
    let err = |done: Done| done.answer.err;
    assert_eq!(
        err(server.write(OpCode::Create, &bad_acl)),
        ErrorCode::InvalidAcl
    );
    bad_acl.flags = 7;
    assert_eq!(
        err(server.write(OpCode::Create, &bad_acl)),
        ErrorCode::BadArguments
    );
    assert_eq!(err(server.create("/missing/", 0)), ErrorCode::NoNode);
    assert_eq!(err(server.create("/a/", 0)), ErrorCode::NoNode);
    assert_eq!(err(server.create("//", 0)), ErrorCode::BadArguments);
    server.create("/e", 1);
    assert_eq!(
        err(server.create("/e/c", 0)),
        ErrorCode::NoChildrenForEphemerals
    );
    server.create("/p", 0);
    server.create("/p/c", 0);
    let delete = DeleteRequest {
        path: "/p".into(),
        version: 5,
    };
    assert_eq!(
        err(server.write(OpCode::Delete, &delete)),
        ErrorCode::BadVersion
    );
    assert_eq!(err(server.delete("/p")), ErrorCode::NotEmpty);
}

#[test]
fn flags_have_to_fit_the_operation_unless_that_is_not_asked() {
    let container = create("/c", 4, vec![Acl::open()]);
    let err = |settings| {
        Server::with(settings)
            .write(OpCode::Create, &container)
            .answer
            .err
    };
    assert_eq!(err(Settings::default()), ErrorCode::BadArguments);
    let lax = Settings {
        strict_flags: false,
        ..Settings::default()
    };
    assert_eq!(err(lax), ErrorCode::Ok);
}

#[test]
fn a_time_to_live_has_to_be_allowed_and_in_range() {
    let ttl = |ttl_ms| CreateTtlRequest {
        path: "/t".into(),
        data: None,
        acl: Some(vec![Acl::open()]),
        flags: 5,
        ttl_ms,
    };
    let mut server = Server::new();
    for ttl_ms in [0, -1, 0x100_0000_0000] {
        let done = server.write(OpCode::CreateTtl, &ttl(ttl_ms));
        assert_eq!(done.answer.err, ErrorCode::BadArguments, "{ttl_ms}");
    }
    assert_eq!(
        server.write(OpCode::CreateTtl, &ttl(10)).answer.err,
        ErrorCode::Ok
    );
    assert!(!server.model.is_to_be_reaped("/t", server.time_ms + 10));
    assert_eq!(server.model.to_be_reaped(server.time_ms + 11), ["/t"]);
    let settings = Settings {
        extended_types: false,
        ..Settings::default()
    };
    let mut plain = Server::with(settings);
    assert_eq!(
        plain.write(OpCode::CreateTtl, &ttl(0)).answer.err,
        ErrorCode::Unimplemented
    );
}

#[test]
fn a_container_is_reaped_once_it_has_had_a_child() {
    let mut server = Server::new();
    server.write(OpCode::CreateContainer, &create("/c", 4, vec![Acl::open()]));
    assert!(!server.model.is_to_be_reaped("/c", i64::MAX));
    server.create("/c/x", 0);
    assert!(!server.model.is_to_be_reaped("/c", 0));
    server.delete("/c/x");
    assert!(server.model.is_to_be_reaped("/c", 0));
    let zxid = server.next();
    assert_eq!(server.model.reap("/c", zxid).answer.err, ErrorCode::Ok);
    assert_eq!(
        server.model.reap("/c", Zxid(zxid.0 + 1)).answer.err,
        ErrorCode::NoNode
    );
}

#[test]
fn a_multi_is_all_or_nothing() {
    let mut server = Server::new();
    server.create("/p", 0);
    let before = server.stat("/p");
    let ops = vec![
        MultiOp::Create2(create("/p/s-", 2, vec![Acl::open()])),
        MultiOp::Create(create("/p/e", 1, vec![Acl::open()])),
        MultiOp::Delete(DeleteRequest {
            path: "/missing".into(),
            version: -1,
        }),
        MultiOp::SetData(SetDataRequest {
            path: "/p".into(),
            data: None,
            version: -1,
        }),
    ];
    let done = server.write(OpCode::Multi, &MultiRequest { ops });
    let errors = [
        ErrorCode::Ok,
        ErrorCode::Ok,
        ErrorCode::NoNode,
        ErrorCode::RuntimeInconsistency,
    ];
    let results = errors.map(MultiResult::Error).to_vec();
    assert_eq!(done.answer.body, encoded(&MultiResponse { results }));
    assert_eq!(done.answer.err, ErrorCode::Ok);
    assert_eq!(server.stat("/p"), before);
    assert_eq!(name_of(&server.create("/p/s-", 2)), "/p/s-0000000000");
    let own = record::GetEphemeralsRequest { prefix_path: None };
    let ephemerals = Vec::new();
    let none = encoded(&record::GetEphemeralsResponse { ephemerals });
    assert_eq!(server.read(OpCode::GetEphemerals, &own).answer.body, none);
}

#[test]
fn an_acl_of_the_creator_holds_and_is_masked() {
    let mut server = Server::new();
    let ann = AclId::digest("ann", "secret");
    server.identities = vec![ann.clone()];
    let acl = vec![Acl::creator_all(), Acl::read_only()];
    server.write(OpCode::Create, &create("/a", 0, acl));
    server.identities.clear();
    assert_eq!(server.set_data("/a", -1).answer.err, ErrorCode::NoAuth);
    let path = "/a".into();
    let read = server.read(OpCode::GetAcl, &GetAclRequest { path });
    let reply = GetAclResponse::decode(&mut Reader::new(&read.answer.body)).unwrap();
    let masked = AclId::new("digest", "ann:x");
    assert_eq!(reply.acl[0], Acl::new(Perms::ALL, masked));
    server.identities = vec![ann];
    let open = SetAclRequest {
        path: "/a".into(),
        acl: Some(vec![Acl::open()]),
        version: 0,
    };
    assert_eq!(
        server.write(OpCode::SetAcl, &open).answer.err,
        ErrorCode::Ok
    );
    let stat = server.stat("/a");
    assert_eq!((stat.aversion, stat.mzxid, stat.version), (1, Zxid(2), 0));
}

#[test]
fn the_end_of_a_session_takes_its_ephemerals() {
    let mut server = Server::new();
    server.create("/e", 1);
    server.create("/stays", 0);
    assert_eq!(server.stat("/e").ephemeral_owner, SESSION);
    server.model.close_session(SESSION, Zxid(4));
    assert!(!server.model.is_open(SESSION));
    assert_eq!(server.stat("/").pzxid, Zxid(4));
    assert_eq!(server.model.node_count(), 5);
}
