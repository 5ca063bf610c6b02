//! The order of checks (protocol page §4), and what a transaction holds.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_env::Mono;
use zk_proto::data::open_acl;
use zk_proto::record::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, MultiOp, MultiRequest,
    SetAclRequest, SetDataRequest,
};
use zk_proto::{Acl, AclId, Encode};

use super::*;
use crate::conn::ConnId;
use crate::pipeline::apply;
use crate::tree::{EphemeralType, WatchSink, WatchedEvent, Watches};
use crate::txn::Change;

const OWNER: SessionId = SessionId(1);
const CLOSING: SessionId = SessionId(2);
const UNKNOWN: SessionId = SessionId(3);

struct Fixture {
    prep: Prep,
    tree: DataTree,
    sessions: Sessions,
    schemes: Schemes,
}

struct Nobody;

impl WatchSink for Nobody {
    fn deliver(&mut self, _: ConnId, _: WatchedEvent<'_>, _: &[Acl]) {}
}

fn fixture(extended_types: bool) -> Fixture {
    let config = ServerConfig::builder()
        .extended_types(extended_types)
        .build()
        .unwrap();
    let hashing = SeededState(1);
    let mut sessions = Sessions::new(Duration::from_secs(1));
    for session in [OWNER, CLOSING] {
        sessions.add(session, 4000, ConnId(1), Mono::ZERO);
    }
    sessions.set_closing(CLOSING);
    let mut fixture = Fixture {
        prep: Prep::new(&config, hashing, Zxid::ZERO),
        tree: DataTree::new(hashing),
        sessions,
        schemes: Schemes::new(&config),
    };
    let nobody = vec![Acl::new(Perms::NONE, AclId::anyone())];
    fixture.done(OpCode::Create, &create("/node", 0));
    fixture.done(OpCode::Create, &create("/node/child", 0));
    fixture.done(OpCode::Create, &create("/ephemeral", 1));
    fixture.done(OpCode::Create, &create("/closed", 0));
    fixture.done(OpCode::Create, &create("/closed/child", 0));
    for path in ["/closed", "/closed/child"] {
        let acl = Some(nobody.clone());
        fixture.done(OpCode::SetAcl, &set_acl(path, acl, -1));
    }
    fixture
}

impl Fixture {
    fn prepare(&mut self, session: SessionId, op: OpCode, body: &impl Encode) -> Prepared {
        let mut bytes = BytesMut::new();
        body.encode(&mut bytes);
        let bytes: Bytes = bytes.freeze();
        let who = Requester::anonymous(session, Xid(1));
        let world = World {
            tree: &self.tree,
            sessions: &self.sessions,
            schemes: &self.schemes,
            time_ms: 77,
        };
        self.prep.write(op, Reader::new(&bytes), who, world)
    }

    fn txn(&mut self, op: OpCode, body: &impl Encode) -> Txn {
        match self.prepare(OWNER, op, body) {
            Prepared::Txn(txn) => txn,
            Prepared::Undecodable => panic!("undecodable"),
        }
    }

    fn error_of(&mut self, session: SessionId, op: OpCode, body: &impl Encode) -> ErrorCode {
        match self.prepare(session, op, body) {
            Prepared::Txn(Txn {
                body: TxnBody::Error(error),
                ..
            }) => error,
            Prepared::Txn(Txn {
                body: TxnBody::FailedMulti { prepared, errors },
                ..
            }) => {
                assert!(prepared.is_empty());
                errors[0]
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refuses(&mut self, op: OpCode, body: &impl Encode, expected: ErrorCode) {
        assert_eq!(self.error_of(OWNER, op, body), expected);
    }

    fn apply(&mut self, txn: Txn) {
        let zxid = txn.header.zxid;
        let mut watches = Watches::new(SeededState(1));
        apply(txn, &mut self.tree, &mut watches, &mut Nobody);
        self.prep.applied(zxid);
    }

    fn done(&mut self, op: OpCode, body: &impl Encode) {
        let txn = self.txn(op, body);
        assert!(!matches!(txn.body, TxnBody::Error(_)), "{txn:?}");
        self.apply(txn);
    }
}

fn create(path: &str, flags: i32) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: None,
        acl: Some(open_acl()),
        flags,
    }
}

fn without_acl(path: &str, flags: i32) -> CreateRequest<'_> {
    CreateRequest {
        acl: None,
        ..create(path, flags)
    }
}

fn create_ttl(path: &str, flags: i32, ttl_ms: i64) -> CreateTtlRequest<'_> {
    CreateTtlRequest {
        path: path.into(),
        data: None,
        acl: None,
        flags,
        ttl_ms,
    }
}

fn delete(path: &str, version: i32) -> DeleteRequest<'_> {
    DeleteRequest {
        path: path.into(),
        version,
    }
}

fn set_data(path: &str, version: i32) -> SetDataRequest<'_> {
    SetDataRequest {
        path: path.into(),
        data: None,
        version,
    }
}

fn set_acl(path: &str, acl: Option<Vec<Acl>>, version: i32) -> SetAclRequest<'_> {
    SetAclRequest {
        path: path.into(),
        acl,
        version,
    }
}

fn check(path: &str, version: i32) -> MultiRequest<'_> {
    let path = path.into();
    MultiRequest {
        ops: vec![MultiOp::Check(CheckVersionRequest { path, version })],
    }
}

#[test]
fn create_checks_in_the_order_of_apache() {
    use ErrorCode::{
        BadArguments, InvalidAcl, NoAuth, NoChildrenForEphemerals, NoNode, NodeExists,
    };
    let mut f = fixture(true);
    let op = OpCode::Create;
    // Each request has every later fault too, as far as they go together.
    f.refuses(op, &without_acl("no slash", 7), BadArguments);
    f.refuses(op, &without_acl("no slash", 0), BadArguments);
    f.refuses(op, &without_acl("/missing/\0", 0), BadArguments);
    f.refuses(op, &without_acl("/missing/", 0), InvalidAcl);
    f.refuses(op, &create("/missing/", 0), NoNode);
    f.refuses(op, &create("/missing/..", 0), NoNode);
    f.refuses(op, &create("/closed/", 0), NoAuth);
    f.refuses(op, &create("/closed/child", 0), NoAuth);
    f.refuses(op, &create("/ephemeral/", 0), BadArguments);
    f.refuses(op, &create("//node", 0), BadArguments);
    f.refuses(op, &create("/node/child", 0), NodeExists);
    f.refuses(op, &create("/ephemeral/c", 0), NoChildrenForEphemerals);
    f.refuses(op, &create("/", 0), NodeExists);
    f.refuses(op, &create("", 0), BadArguments);
}

#[test]
fn flags_operation_and_time_to_live_have_to_agree() {
    use ErrorCode::{BadArguments, InvalidAcl, Unimplemented};
    let mut f = fixture(true);
    for (op, flags) in [
        (OpCode::Create, vec![4, 5, 6, 7, -1]),
        (OpCode::Create2, vec![4, 5, 6, 7, -1]),
        (OpCode::CreateContainer, vec![0, 1, 2, 3, 5, 6, 7]),
    ] {
        for flags in flags {
            f.refuses(op, &without_acl("/x", flags), BadArguments);
        }
    }
    for (flags, ttl) in [
        (0, -1),
        (0, 1),
        (4, -1),
        (5, 0),
        (5, -1),
        (5, 0xff_ffff_ffff + 1),
        (6, i64::MIN),
        (7, 1),
    ] {
        f.refuses(
            OpCode::CreateTtl,
            &create_ttl("/x", flags, ttl),
            BadArguments,
        );
    }
    f.refuses(
        OpCode::CreateTtl,
        &create_ttl("/x", 6, 0xff_ffff_ffff),
        InvalidAcl,
    );
    let mut plain = fixture(false);
    plain.refuses(OpCode::CreateTtl, &create_ttl("/x", 5, 0), Unimplemented);
    plain.refuses(OpCode::Create, &create("/x", 6), Unimplemented);
    plain.refuses(OpCode::CreateTtl, &create_ttl("/x", 0, 1), BadArguments);
}

#[test]
fn changes_check_in_the_order_of_apache() {
    use ErrorCode::{BadArguments, BadVersion, InvalidAcl, NoAuth, NoNode, NotEmpty};
    let mut f = fixture(true);
    let op = OpCode::Delete;
    for special in [
        "/",
        "/zookeeper",
        "/zookeeper/quota",
        "/zookeeper/config",
        "",
        "x",
        "/\0",
    ] {
        f.refuses(op, &delete(special, 9), BadArguments);
    }
    f.refuses(op, &delete("/missing/x", 9), NoNode);
    f.refuses(op, &delete("/closed/missing", 9), NoAuth);
    f.refuses(op, &delete("/missing", 9), NoNode);
    f.refuses(op, &delete("/node/", 9), NoNode);
    f.refuses(op, &delete("/node", 9), BadVersion);
    f.refuses(op, &delete("/node", -1), NotEmpty);

    let op = OpCode::SetData;
    f.refuses(op, &set_data("/missing/", 9), BadArguments);
    f.refuses(op, &set_data("", 9), BadArguments);
    f.refuses(op, &set_data("/missing", 9), NoNode);
    f.refuses(op, &set_data("/closed", 9), NoAuth);
    f.refuses(op, &set_data("/node", 9), BadVersion);

    let op = OpCode::SetAcl;
    f.refuses(op, &set_acl("/missing/", None, 9), BadArguments);
    f.refuses(op, &set_acl("/missing", None, 9), InvalidAcl);
    f.refuses(op, &set_acl("/missing", Some(open_acl()), 9), NoNode);
    f.refuses(op, &set_acl("/closed", Some(open_acl()), 9), NoAuth);
    f.refuses(op, &set_acl("/node", Some(open_acl()), 9), BadVersion);

    let op = OpCode::Multi;
    f.refuses(op, &check("/missing/", 9), BadArguments);
    f.refuses(op, &check("/missing", 9), NoNode);
    f.refuses(op, &check("/closed", 9), NoAuth);
    f.refuses(op, &check("/node", 9), BadVersion);
}

#[test]
fn a_session_that_ends_beats_all_but_flags() {
    let mut f = fixture(true);
    for (session, plain, ephemeral) in [
        (
            CLOSING,
            ErrorCode::SessionExpired,
            ErrorCode::SessionExpired,
        ),
        (
            UNKNOWN,
            ErrorCode::UnknownSession,
            ErrorCode::SessionExpired,
        ),
    ] {
        for (op, body) in [
            (OpCode::Create, &without_acl("no slash", 0) as &dyn Body),
            (OpCode::Delete, &delete("no slash", 0)),
            (OpCode::SetData, &set_data("no slash", 0)),
            (OpCode::SetAcl, &set_acl("no slash", None, 0)),
            (OpCode::Multi, &check("no slash", 0)),
        ] {
            assert_eq!(f.error_of(session, op, &Dyn(body)), plain, "{op:?}");
        }
        let error = f.error_of(session, OpCode::Create, &create("no slash", 3));
        assert_eq!(error, ephemeral);
        let flags = f.error_of(session, OpCode::Create, &create("no slash", 7));
        assert_eq!(flags, ErrorCode::BadArguments);
    }
}

/// `Encode` behind a reference.
trait Body {
    fn encode_body(&self, out: &mut BytesMut);
}

impl<T: Encode> Body for T {
    fn encode_body(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

struct Dyn<'a>(&'a dyn Body);

impl Encode for Dyn<'_> {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode_body(out);
    }
}

#[test]
fn requests_see_what_is_under_way() {
    let mut f = fixture(true);
    let created = f.txn(OpCode::Create, &create("/new", 0));
    let set = f.txn(OpCode::SetData, &set_data("/new", 0));
    f.refuses(OpCode::Create, &create("/new", 0), ErrorCode::NodeExists);
    f.refuses(OpCode::SetData, &set_data("/new", 0), ErrorCode::BadVersion);
    let child = f.txn(OpCode::Create, &create("/new/s-", 2));
    f.refuses(OpCode::Delete, &delete("/new", -1), ErrorCode::NotEmpty);
    let gone = f.txn(OpCode::Delete, &delete("/new/s-0000000000", 0));
    let again = f.txn(OpCode::Create, &create("/new/s-", 2));
    for txn in [created, set, child, gone, again] {
        f.apply(txn);
    }
    let node = f.tree.node("/new").unwrap();
    assert_eq!(Vec::from_iter(&node.children), [&"s-0000000001".into()]);
    assert_eq!((node.stat.version, node.stat.cversion), (1, 2));
}

#[test]
fn a_failed_multi_leaves_what_was_under_way_before_it() {
    let mut f = fixture(true);
    let first = f.txn(OpCode::Create, &create("/node/n-", 2));
    let ops = vec![
        MultiOp::Create(create("/node/n-", 2)),
        MultiOp::Delete(delete("/missing", -1)),
    ];
    let failed = f.txn(OpCode::Multi, &MultiRequest { ops });
    let TxnBody::FailedMulti { prepared, errors } = failed.body else {
        panic!("{failed:?}");
    };
    assert!(
        matches!(&prepared[..], [Change::Create(create)] if *create.path == *"/node/n-0000000002")
    );
    assert_eq!(errors, [ErrorCode::NoNode]);
    let second = f.txn(OpCode::Create, &create("/node/n-", 2));
    let paths: Vec<_> = [first, second]
        .into_iter()
        .map(|txn| match txn.body {
            TxnBody::Change(Change::Create(create)) => create.path.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["/node/n-0000000001", "/node/n-0000000002"]);
}

#[test]
fn the_end_of_a_session_takes_ephemerals_under_way() {
    let mut f = fixture(true);
    let coming = f.txn(OpCode::Create, &create("/coming", 1));
    let going = f.txn(OpCode::Delete, &delete("/ephemeral", -1));
    let world = World {
        tree: &f.tree,
        sessions: &f.sessions,
        schemes: &f.schemes,
        time_ms: 78,
    };
    let who = Requester::anonymous(OWNER, Xid(9));
    let close = f.prep.close_session(who, world);
    let TxnBody::CloseSession { paths } = &close.body else {
        panic!("{close:?}");
    };
    assert_eq!(&paths[..], [Arc::from("/coming")]);
    for txn in [coming, going, close] {
        f.apply(txn);
    }
    assert_eq!(f.tree.ephemerals().count(), 0);
}

#[test]
fn the_reaper_may_not_delete_what_has_changed_meanwhile() {
    let mut f = fixture(true);
    f.done(OpCode::CreateContainer, &create("/container", 4));
    let reap = |f: &mut Fixture, path: &str| {
        let world = World {
            tree: &f.tree,
            sessions: &f.sessions,
            schemes: &f.schemes,
            time_ms: 78,
        };
        f.prep.delete_container(path, world).body
    };
    let error = |code| TxnBody::Error(code);
    assert_eq!(reap(&mut f, "/missing"), error(ErrorCode::NoNode));
    assert_eq!(reap(&mut f, "/zookeeper"), error(ErrorCode::BadArguments));
    assert_eq!(reap(&mut f, "/node"), error(ErrorCode::NotEmpty));
    assert_eq!(reap(&mut f, "/ephemeral"), error(ErrorCode::BadVersion));
    assert_eq!(reap(&mut f, "/node/child"), error(ErrorCode::BadVersion));
    let coming = f.txn(OpCode::Create, &create("/container/c", 0));
    assert_eq!(reap(&mut f, "/container"), error(ErrorCode::NotEmpty));
    f.apply(coming);
    f.done(OpCode::Delete, &delete("/container/c", -1));
    let delete = TxnBody::Change(Change::Delete {
        path: "/container".into(),
        by_reaper: true,
    });
    assert_eq!(reap(&mut f, "/container"), delete);
}

#[test]
fn a_transaction_holds_all_that_replicas_must_agree_on() {
    let mut f = fixture(true);
    let before = f.prep.last_zxid;
    let txn = f.txn(
        OpCode::CreateTtl,
        &CreateTtlRequest {
            acl: Some(open_acl()),
            ..create_ttl("/node/t-", 6, 5)
        },
    );
    assert_eq!(
        txn.header,
        TxnHeader {
            client: OWNER,
            cxid: Xid(1),
            zxid: Zxid(before.0 + 1),
            time_ms: 77,
        }
    );
    let TxnBody::Change(Change::Create(create)) = txn.body else {
        panic!("{txn:?}");
    };
    assert_eq!(&*create.path, "/node/t-0000000001");
    assert_eq!(create.ephemeral, EphemeralType::Ttl { ttl_ms: 5 });
    assert_eq!((create.parent_cversion, create.reply_stat), (2, true));
}
