//! Hostile clients: whatever they send, nothing panics, and a session that shares
//! no permission with them notices nothing.

use proptest::collection::vec;
use proptest::prelude::*;
use zk_proto::record::{
    AddWatchRequest, CheckVersionRequest, GetChildrenRequest, SetAclRequest, SetWatches2,
};
use zk_proto::{AclId, Perms};

use super::*;

/// One frame of the attacker, or something that happens meanwhile.
#[derive(Clone, Debug)]
enum Attack {
    Frame(Vec<u8>),
    Reconnect,
    Wait(u16),
}

fn path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "/",
        "",
        "/open",
        "/open/a",
        "/open/a/b",
        "/open/",
        "/secret",
        "/secret/a",
        "/zookeeper",
        "/zookeeper/quota",
        "/zookeeper/quota/open",
        "/zookeeper/quota/open/zookeeper_limits",
        "/zookeeper/quota/open/zookeeper_stats",
        "/zookeeper/quota/zookeeper_limits",
        "/zookeeper/config",
        "no slash",
        "//",
        "/open/../secret",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    let id = prop::sample::select(vec![
        ("world", "anyone"),
        ("auth", ""),
        ("digest", "u:h"),
        ("ip", "127.0.0.1/8"),
        ("ip", "::1"),
        ("sasl", "bob"),
        ("", ""),
    ]);
    let entry = (-1..40i32, id)
        .prop_map(|(perms, (scheme, id))| Acl::new(Perms(perms), AclId::new(scheme, id)));
    prop_oneof![3 => Just(open_acl()), 1 => vec(entry, 0..3)]
}

fn multi_op() -> impl Strategy<Value = MultiOp<'static>> {
    let data = || Some(b"data".as_slice().into());
    prop_oneof![
        (path(), acl(), -1..8i32).prop_map(move |(path, acl, flags)| {
            MultiOp::Create(CreateRequest {
                path: path.into(),
                data: data(),
                acl: Some(acl),
                flags,
            })
        }),
        (path(), -1..3i32).prop_map(|(path, version)| {
            MultiOp::Delete(DeleteRequest {
                path: path.into(),
                version,
            })
        }),
        (path(), -1..3i32).prop_map(move |(path, version)| {
            MultiOp::SetData(SetDataRequest {
                path: path.into(),
                data: data(),
                version,
            })
        }),
        (path(), -1..3i32).prop_map(|(path, version)| {
            MultiOp::Check(CheckVersionRequest {
                path: path.into(),
                version,
            })
        }),
        path().prop_map(|path| {
            MultiOp::GetData(GetDataRequest {
                path: path.into(),
                watch: true,
            })
        }),
        path().prop_map(|path| {
            MultiOp::GetChildren(GetChildrenRequest {
                path: path.into(),
                watch: true,
            })
        }),
    ]
}

fn encoded(body: &impl Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    body.encode(&mut out);
    out.to_vec()
}

/// Bodies that are whole requests of some operation, or nothing of the kind.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        (path(), any::<bool>()).prop_map(|(path, watch)| encoded(&(path, watch))),
        (path(), -1..6i32).prop_map(|(path, number)| encoded(&(path, number))),
        (path(), acl(), -1..8i32, any::<i64>()).prop_map(|(path, acl, flags, ttl_ms)| {
            encoded(&CreateTtlRequest {
                path: path.into(),
                data: None,
                acl: Some(acl),
                flags,
                ttl_ms,
            })
        }),
        (path(), vec(any::<u8>(), 0..9), -1..3i32)
            .prop_map(|(path, data, version)| encoded(&set_data(&path, &data, version))),
        (path(), acl(), -1..3i32).prop_map(|(path, acl, version)| {
            encoded(&SetAclRequest {
                path: path.into(),
                acl: Some(acl),
                version,
            })
        }),
        (path(), 0..2i32).prop_map(|(path, mode)| {
            encoded(&AddWatchRequest {
                path: path.into(),
                mode,
            })
        }),
        vec(vec(path().prop_map(Into::into), 0..3), 5).prop_map(|lists| {
            let [data, exist, child, persistent, recursive] = lists.try_into().unwrap();
            encoded(&SetWatches2 {
                relative_zxid: Zxid(3),
                data_watches: data,
                exist_watches: exist,
                child_watches: child,
                persistent_watches: persistent,
                persistent_recursive_watches: recursive,
            })
        }),
        vec(multi_op(), 0..4).prop_map(|ops| encoded(&MultiRequest { ops })),
        "[a-z:]{0,8}".prop_map(|auth| {
            encoded(&AuthPacket {
                kind: 0,
                scheme: "digest".into(),
                auth: Credential(Some(auth.into_bytes().into())),
            })
        }),
    ]
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let codes: Vec<i32> = OpCode::ALL.iter().map(|op| i32::from(*op)).collect();
    let op = prop_oneof![20 => prop::sample::select(codes), 1 => any::<i32>()];
    let request = (any::<i32>(), op, body())
        .prop_map(|(xid, op, body)| encoded(&(RequestHeader { xid: Xid(xid), op }, Raw(&body))))
        .boxed();
    let broken = (request.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut frame, at, byte)| {
            let at = at.index(frame.len());
            frame[at] = byte;
            if byte % 2 == 0 {
                frame.truncate(at);
            }
            frame
        },
    );
    prop_oneof![6 => request, 1 => broken, 1 => vec(any::<u8>(), 0..30)]
}

fn attack() -> impl Strategy<Value = Attack> {
    prop_oneof![
        12 => frame().prop_map(Attack::Frame),
        1 => Just(Attack::Reconnect),
        1 => (0..3000u16).prop_map(Attack::Wait),
    ]
}

/// What the witness sees of its own subtree.
fn view(s: &mut Fixture, witness: &Client) -> Vec<(String, Stat, Option<Vec<u8>>)> {
    ["/secret", "/secret/a", "/secret/e"]
        .into_iter()
        .map(|path| {
            let stat = s.exists(witness, path, false).unwrap();
            (path.to_owned(), stat, s.get_data(witness, path).unwrap())
        })
        .collect()
}

/// Every znode, found by walking from the root.
fn walk(s: &mut Fixture, witness: &Client) -> usize {
    let (mut waiting, mut found) = (vec!["/".to_owned()], 0);
    while let Some(path) = waiting.pop() {
        found += 1;
        let request = GetChildrenRequest {
            path: path.as_str().into(),
            watch: false,
        };
        let names: Vec<String> = s.call(witness, OpCode::GetChildren, &request).body();
        waiting.extend(names.iter().map(|name| zk_proto::path::join(&path, name)));
    }
    found
}

proptest! {
    #[test]
    fn hostile_frames_disturb_nobody(attacks in vec(attack(), 1..60)) {
        let mut s = Fixture::with(config().container_check_interval(Duration::from_secs(1)));
        let witness = s.client();
        s.auth(&witness, "digest", Some("super:admin"));
        s.create(&witness, "/open", 0);
        let acl = vec![Acl::creator_all()];
        for (path, flags) in [("/secret", 0), ("/secret/a", 0), ("/secret/e", 1)] {
            s.call(&witness, OpCode::Create, &create_with(path, flags, acl.clone()));
        }
        // Nobody else may delete /secret or create beside it.
        let root = SetAclRequest { path: "/".into(), acl: Some(acl), version: -1 };
        prop_assert_eq!(s.call(&witness, OpCode::SetAcl, &root).err, ErrorCode::Ok);
        let before = view(&mut s, &witness);

        let mut attacker = s.client();
        for attack in attacks {
            match attack {
                Attack::Frame(frame) => s.feed(attacker.conn, &Raw(&frame)),
                Attack::Reconnect => drop(s.reconnect(&mut attacker)),
                Attack::Wait(ms) => s.advance(Duration::from_millis(ms.into())),
            }
            if s.is_closed(&attacker) {
                attacker = s.client();
            }
            prop_assert!(s.inbox(&witness).frames.is_empty());
            s.call(&witness, OpCode::Ping, &());
        }
        prop_assert!(!s.is_closed(&witness));
        prop_assert_eq!(view(&mut s, &witness), before);
        prop_assert_eq!(walk(&mut s, &witness) + 1, s.server.node_count());

        // When all are gone nothing of them is left.
        let conns: Vec<_> = s.inboxes.keys().copied().collect();
        for conn in conns {
            s.server.handle_closed(conn);
        }
        s.advance(Duration::from_secs(60));
        prop_assert_eq!(s.server.watch_count(), 0);
        prop_assert_eq!(s.server.session_count(), 0);
        prop_assert_eq!(s.server.ephemerals_count(), 0);
        prop_assert_eq!(s.server.queued_bytes(), 0);
    }

    #[test]
    fn hostile_handshakes_open_nothing(frame in vec(any::<u8>(), 0..60)) {
        let mut s = Fixture::new();
        let conn = s.accept();
        s.feed(conn, &Raw(&frame));
        // Zero is a plausible session id to find in noise: then a session begins.
        let inbox = &s.inboxes[&conn];
        prop_assert!(inbox.is_closed || s.server.session_count() == 1);
    }
}
