//! multi: commit, abort, and what may be in one.

use zk_proto::record::{CheckVersionRequest, MultiHeader, MultiResponse, MultiResult};

use super::*;

fn check(path: &str, version: i32) -> MultiOp<'_> {
    MultiOp::Check(CheckVersionRequest {
        path: path.into(),
        version,
    })
}

fn results(reply: &Reply) -> Vec<MultiResult> {
    reply.body::<MultiResponse>().results
}

/// An operation's code, and what writes its body.
type Part<'a> = (i32, &'a dyn Fn(&mut BytesMut));

/// A multi from parts that need not fit.
fn raw_multi(parts: &[Part<'_>]) -> BytesMut {
    let mut body = BytesMut::new();
    for (op, encode) in parts {
        let header = MultiHeader {
            op: *op,
            done: false,
            err: -1,
        };
        header.encode(&mut body);
        encode(&mut body);
    }
    MultiHeader::END.encode(&mut body);
    body
}

#[test]
fn later_operations_see_earlier_ones_and_all_share_a_zxid() {
    let mut s = Fixture::new();
    let c = s.client();
    let before = s.zxid();
    let ops = vec![
        MultiOp::Create(create("/a", 0)),
        check("/a", 0),
        MultiOp::SetData(set_data("/a", b"12", 0)),
        MultiOp::Create2(create("/a/s-", 2)),
        MultiOp::Create(create("/a/s-", 2)),
        MultiOp::CreateContainer(create("/a/c", 4)),
        MultiOp::CreateTtl(create_ttl("/a/t", 5, 60_000)),
        MultiOp::Delete(delete("/a/s-0000000000", 0)),
    ];
    let reply = s.multi(&c, ops);
    assert_eq!(s.zxid().0, before.0 + 1);
    let results = results(&reply);
    let MultiResult::Create(created) = &results[0] else {
        panic!("{results:?}");
    };
    assert_eq!(created.path, "/a");
    assert_eq!(results[1], MultiResult::Check);
    let MultiResult::SetData(set) = &results[2] else {
        panic!("{results:?}");
    };
    assert_eq!((set.stat.version, set.stat.num_children), (1, 0));
    let paths: Vec<_> = results[3..7]
        .iter()
        .map(|result| match result {
            MultiResult::Create(created) => (&*created.path, false),
            MultiResult::Create2(created) => (&*created.path, created.stat.czxid == s.zxid()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        paths,
        [
            ("/a/s-0000000000", true),
            ("/a/s-0000000001", false),
            ("/a/c", true),
            ("/a/t", true)
        ]
    );
    assert_eq!(results[7], MultiResult::Delete);
    let stat = s.exists(&c, "/a", false).unwrap();
    assert_eq!((stat.num_children, stat.cversion), (3, 5));
}

#[test]
fn an_abort_names_the_culprit_and_changes_nothing_but_the_zxid() {
    let mut s = Fixture::new();
    let c = s.client();
    s.create(&c, "/a", 0);
    let before = s.zxid();
    let ops = || {
        vec![
            MultiOp::Create(create("/a/n-", 2)),
            MultiOp::SetData(set_data("/a", b"", 0)),
            MultiOp::Delete(delete("/missing", -1)),
            check("/a", 0),
        ]
    };
    let reply = s.multi(&c, ops());
    assert_eq!((reply.err, reply.zxid.0), (ErrorCode::Ok, before.0 + 1));
    assert_eq!(
        results(&reply),
        [
            ErrorCode::Ok,
            ErrorCode::Ok,
            ErrorCode::NoNode,
            ErrorCode::RuntimeInconsistency
        ]
        .map(MultiResult::Error)
    );
    let stat = s.exists(&c, "/a", false).unwrap();
    assert_eq!((stat.version, stat.cversion), (0, 0));
    assert_eq!(
        s.create(&c, "/a/n-", 2),
        "/a/n-0000000000",
        "the counter was rolled back (ZOOKEEPER-1624)"
    );
}

#[test]
fn every_place_of_failure_is_reported() {
    let mut s = Fixture::new();
    let c = s.client();
    for at in 0..4 {
        let ops = (0..4)
            .map(|n| check("/", if n == at { 7 } else { -1 }))
            .collect();
        let expected: Vec<_> = (0..4)
            .map(|n| match n {
                n if n < at => ErrorCode::Ok,
                n if n == at => ErrorCode::BadVersion,
                _ => ErrorCode::RuntimeInconsistency,
            })
            .map(MultiResult::Error)
            .collect();
        let reply = s.multi(&c, ops);
        assert_eq!(results(&reply), expected);
    }
}

#[test]
fn an_empty_multi_succeeds() {
    let mut s = Fixture::new();
    let c = s.client();
    let before = s.zxid();
    let reply = s.multi(&c, vec![]);
    assert!(results(&reply).is_empty());
    assert_eq!(reply.zxid.0, before.0 + 1);
}

#[test]
fn what_is_no_multi_costs_a_zxid() {
    let mut s = Fixture::new();
    let c = s.client();
    let get = || {
        MultiOp::GetData(GetDataRequest {
            path: "/".into(),
            watch: false,
        })
    };
    let refused = |s: &mut Fixture, body: &dyn Fn(&mut BytesMut), cost: i64| {
        let (mut bytes, before) = (BytesMut::new(), s.zxid());
        body(&mut bytes);
        let reply = s.call(&c, OpCode::Multi, &Raw(&bytes));
        assert_eq!(reply.err, ErrorCode::MarshallingError);
        assert_eq!(s.zxid().0 - before.0, cost);
        assert!(!s.is_closed(&c));
    };
    // Reads, reads among writes, an unknown operation, half a multi.
    let reads = MultiRequest { ops: vec![get()] };
    refused(&mut s, &|out| reads.encode(out), 1);
    let mixed = MultiRequest {
        ops: vec![check("/", -1), get()],
    };
    refused(&mut s, &|out| mixed.encode(out), 1);
    let unknown = raw_multi(&[(OpCode::SetAcl.into(), &|out| "/".encode(out))]);
    refused(&mut s, &|out| out.put_slice(&unknown), 1);
    refused(&mut s, &|out| out.put_slice(&unknown[..5]), 1);
    // Flags that a multi cannot have, a path that is null.
    for flags in [5, 6, 7, -1] {
        let bad = raw_multi(&[(1, &|out| create("/a", flags).encode(out))]);
        refused(&mut s, &|out| out.put_slice(&bad), 1);
    }
    let null_path = raw_multi(&[
        (13, &|out| (&"/none", 5).encode(out)),
        (2, &|out| (-1, -1).encode(out)),
    ]);
    refused(&mut s, &|out| out.put_slice(&null_path), 1);
    // A create without ACL: the one exception.
    let no_acl = CreateRequest {
        acl: None,
        ..create("/a", 0)
    };
    let null_acl = raw_multi(&[(1, &|out| no_acl.encode(out))]);
    refused(&mut s, &|out| out.put_slice(&null_acl), 0);
}

#[test]
fn inside_a_multi_flags_decide_the_kind_of_create() {
    let mut s = Fixture::new();
    let c = s.client();
    let container = s.multi(&c, vec![MultiOp::Create(create("/c", 4))]);
    assert!(matches!(
        &results(&container)[..],
        [MultiResult::Create2(_)]
    ));
    let plain = s.multi(&c, vec![MultiOp::CreateTtl(create_ttl("/p", 0, 5))]);
    assert!(matches!(&results(&plain)[..], [MultiResult::Create(_)]));
    for misfit in [
        MultiOp::CreateContainer(create("/x", 0)),
        MultiOp::CreateTtl(create_ttl("/x", 99, 5)),
    ] {
        let reply = s.multi(&c, vec![misfit]);
        assert_eq!(
            results(&reply),
            [MultiResult::Error(ErrorCode::BadArguments)]
        );
    }
}
