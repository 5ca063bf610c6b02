//! Arguments that no server would take: refused with the field's name, before
//! anything is sent.

use std::time::Duration;

use zk_client::{Acl, AclId, Client, ConnectError, CreateMode, Error, Perms, Watcher, WatcherType};
use zk_proto::OpCode;
use zk_tests::wait::within;
use zk_tests::{Tap, Target};

const BAD_PATHS: [&str; 12] = [
    "",
    "a",
    "a/b",
    "//",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/a/./b",
    "/a\0b",
    "/\u{1f600}",
    "/\u{e000}",
];

#[tokio::test]
async fn a_bad_path_is_refused_by_every_operation() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let watcher = Watcher::new();
    for path in BAD_PATHS {
        let refusals = [
            client.create(path, b"", CreateMode::Persistent).await.err(),
            client.create2(path, b"", CreateMode::Ephemeral).await.err(),
            client
                .create_all(path, b"", CreateMode::Persistent)
                .await
                .err(),
            client.delete(path, None).await.err(),
            client.delete_all(path).await.err(),
            client.exists(path, None).await.err(),
            client.get_data(path, &watcher).await.err(),
            client.set_data(path, b"", None).await.err(),
            client.get_children(path, None).await.err(),
            client.get_children2(path, None).await.err(),
            client.get_all_children_number(path).await.err(),
            client.get_acl(path).await.err(),
            client.set_acl(path, vec![Acl::open()], None).await.err(),
            client.sync(path).await.err(),
            client.check(path, None).await.err(),
            client.read_linearizable(path).await.err(),
            client.remove_watches(path, WatcherType::Any).await.err(),
            client.transaction().delete(path, None).commit().await.err(),
            client.multi_read().get_children(path).send().await.err(),
            client.chroot(path).err(),
        ];
        for (operation, error) in refusals.into_iter().enumerate() {
            let Some(Error::InvalidPath(error)) = error else {
                panic!("operation {operation} with {path:?}: {error:?}");
            };
            assert_eq!(error.path, path);
        }
    }
    client.get_data("/", None).await.unwrap();
    assert_eq!(tap.seen().len(), 2, "the handshake and the last read alone");
}

#[tokio::test]
async fn a_sequential_name_may_be_empty_but_not_bad() {
    let target = Target::start().await;
    let client = target.client().await;
    let mode = CreateMode::PersistentSequential;
    assert_eq!(client.create("/", b"", mode).await.unwrap(), "/0000000000");
    for path in ["", "a", "//", "/a//"] {
        let error = client.create(path, b"", mode).await.unwrap_err();
        assert!(
            matches!(error, Error::InvalidPath(_)),
            "{path:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_bad_connect_string_is_refused_at_once() {
    let bad = [
        "",
        " ",
        ",",
        "/chroot",
        "host:0",
        "host:65536",
        "host:port",
        "[::1",
        "[::1]x:1",
        "::1:2181",
        "host:1/chroot/",
        "host:1//",
        "host:1/a/../b",
        "ho st:1",
    ];
    for text in bad {
        let refused = within("an answer", Client::connect(text)).await;
        let Err(ConnectError::Invalid(Error::InvalidConnectString(error))) = refused else {
            panic!("{text:?}: {refused:?}");
        };
        assert!(!error.to_string().is_empty());
    }
}

#[tokio::test]
async fn a_bad_acl_or_ttl_is_refused_and_named() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let acl = |scheme: &str, id: &str| vec![Acl::new(Perms::ALL, AclId::new(scheme, id))];
    for bad in [vec![], acl("world", "somebody"), acl("", "x")] {
        let create = client
            .create("/a", b"", CreateMode::Persistent.with_acl(bad.clone()))
            .await;
        let set = client.set_acl("/a", bad, None).await.map(drop);
        for error in [create.unwrap_err(), set.unwrap_err()] {
            assert!(
                matches!(
                    error,
                    Error::InvalidArgument {
                        argument: "acl",
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }
    for ttl in [
        Duration::ZERO,
        Duration::from_micros(999),
        Duration::from_millis(1 << 40),
    ] {
        let mode = CreateMode::PersistentWithTtl(ttl);
        let error = client.create("/a", b"", mode).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidArgument {
                    argument: "ttl",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    client.get_data("/", None).await.unwrap();
    assert_eq!(
        tap.count(OpCode::Create) + tap.count(OpCode::SetAcl) + tap.count(OpCode::CreateTtl),
        0
    );
}

#[tokio::test]
async fn a_bad_setting_is_refused_and_named() {
    let builder = || Client::builder("127.0.0.1:1");
    let bad = [
        ("session_timeout", builder().session_timeout(Duration::ZERO)),
        (
            "session_timeout",
            builder().session_timeout(Duration::from_secs(1 << 32)),
        ),
        ("max_in_flight", builder().max_in_flight(0)),
        ("queue_limits", builder().queue_limits(0, 1)),
        ("queue_limits", builder().queue_limits(1, 0)),
        (
            "reconnect_backoff",
            builder().reconnect_backoff(Duration::ZERO, Duration::ZERO),
        ),
        ("auth scheme", builder().auth("world", b"anyone")),
    ];
    for (name, builder) in bad {
        let error = within("an answer", builder.connect()).await.unwrap_err();
        let ConnectError::Invalid(Error::InvalidArgument { argument, .. }) = error else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(argument, name);
    }
}
