//! Single operations and what they answer.

use zk_client::{CreateMode, Error, ErrorCode, Reconfig};
use zk_tests::{Feature, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn what_was_written_is_read() {
    let target = Target::start().await;
    let client = target.client().await;
    assert_eq!(client.create("/a", b"one", PERSISTENT).await.unwrap(), "/a");
    let (data, created) = client.get_data("/a", None).await.unwrap();
    assert_eq!(&data[..], b"one");
    let stat = client.set_data("/a", b"three", 0).await.unwrap();
    assert_eq!((stat.version, stat.data_length), (1, 5));
    assert_eq!(stat.czxid, created.czxid);
    assert!(stat.mzxid > created.mzxid);
    assert_eq!(
        client.get_data("/a", None).await.unwrap(),
        (b"three"[..].into(), stat)
    );
    assert_eq!(client.exists("/a", None).await.unwrap(), Some(stat));
    client.delete("/a", 1).await.unwrap();
    assert_eq!(client.exists("/a", None).await.unwrap(), None);
}

#[tokio::test]
async fn create2_answers_with_the_stat() {
    let target = Target::start().await;
    let client = target.client().await;
    let (path, stat) = client
        .create2("/a-", b"xy", CreateMode::PersistentSequential)
        .await
        .unwrap();
    assert!(path.starts_with("/a-0"));
    assert_eq!(
        (stat.version, stat.data_length, stat.czxid),
        (0, 2, stat.mzxid)
    );
    assert_eq!(client.exists(&path, None).await.unwrap(), Some(stat));
}

#[tokio::test]
async fn no_data_reads_as_empty() {
    let target = Target::start().await;
    let client = target.client().await;
    // The test's root was created with null data.
    assert!(client.get_data("/", None).await.unwrap().0.is_empty());
    client.create("/a", b"", PERSISTENT).await.unwrap();
    let (data, stat) = client.get_data("/a", None).await.unwrap();
    assert!(data.is_empty());
    assert_eq!(stat.data_length, 0);
}

#[tokio::test]
async fn refusals_carry_the_servers_code_and_the_callers_path() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    client.create("/a/b", b"", PERSISTENT).await.unwrap();
    client
        .create("/e", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let refusals = [
        (
            client.create("/a", b"", PERSISTENT).await.unwrap_err(),
            ErrorCode::NodeExists,
            "/a",
        ),
        (
            client.create("/x/y", b"", PERSISTENT).await.unwrap_err(),
            ErrorCode::NoNode,
            "/x/y",
        ),
        (
            client.create("/e/c", b"", PERSISTENT).await.unwrap_err(),
            ErrorCode::NoChildrenForEphemerals,
            "/e/c",
        ),
        (
            client.set_data("/a", b"", 7).await.unwrap_err(),
            ErrorCode::BadVersion,
            "/a",
        ),
        (
            client.delete("/a", 7).await.unwrap_err(),
            ErrorCode::BadVersion,
            "/a",
        ),
        (
            client.delete("/a", None).await.unwrap_err(),
            ErrorCode::NotEmpty,
            "/a",
        ),
        (
            client.delete("/x", None).await.unwrap_err(),
            ErrorCode::NoNode,
            "/x",
        ),
        (
            client.get_data("/x", None).await.unwrap_err(),
            ErrorCode::NoNode,
            "/x",
        ),
        (
            client.get_children("/x", None).await.unwrap_err(),
            ErrorCode::NoNode,
            "/x",
        ),
        (
            client.get_acl("/x").await.unwrap_err(),
            ErrorCode::NoNode,
            "/x",
        ),
        (
            client.check("/a", 7).await.unwrap_err(),
            ErrorCode::BadVersion,
            "/a",
        ),
        (
            client.check("/x", None).await.unwrap_err(),
            ErrorCode::NoNode,
            "/x",
        ),
    ];
    for (error, code, path) in refusals {
        assert_eq!(error.code(), Some(code), "{error:?}");
        assert!(error.to_string().contains(path), "{error}");
        assert!(!error.is_retryable() && !error.is_session_over());
    }
}

#[tokio::test]
async fn children_are_listed_with_and_without_the_stat() {
    let target = Target::start().await;
    let client = target.client().await;
    for path in ["/c", "/a", "/b", "/b/deep"] {
        client.create(path, b"", PERSISTENT).await.unwrap();
    }
    let mut children = client.get_children("/", None).await.unwrap();
    children.sort();
    assert_eq!(children, ["a", "b", "c"]);
    let (mut children, stat) = client.get_children2("/", None).await.unwrap();
    children.sort();
    assert_eq!(children, ["a", "b", "c"]);
    assert_eq!((stat.num_children, stat.cversion), (3, 3));
    assert!(client.get_children("/a", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn descendants_are_counted() {
    let target = Target::start().await;
    let client = target.client().await;
    for path in ["/a", "/a/b", "/a/b/c", "/ab"] {
        client.create(path, b"", PERSISTENT).await.unwrap();
    }
    let counted = client.get_all_children_number("/a").await;
    if target.has(Feature::ReadExtensions) {
        assert_eq!(counted.unwrap(), 2);
        assert_eq!(client.get_all_children_number("/").await.unwrap(), 4);
    } else {
        assert!(
            matches!(counted, Err(Error::Unsupported { .. })),
            "{counted:?}"
        );
    }
}

#[tokio::test]
async fn a_sessions_ephemerals_are_listed() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    for path in ["/e1", "/e2", "/f"] {
        client
            .create(path, b"", CreateMode::Ephemeral)
            .await
            .unwrap();
    }
    other
        .create("/e3", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let listed = client.get_ephemerals("/e").await;
    if target.has(Feature::ReadExtensions) {
        let mut listed = listed.unwrap();
        listed.sort();
        assert_eq!(listed, ["/e1", "/e2"]);
        assert_eq!(client.get_ephemerals("/").await.unwrap().len(), 3);
    } else {
        assert!(
            matches!(listed, Err(Error::Unsupported { .. })),
            "{listed:?}"
        );
    }
}

#[tokio::test]
async fn a_check_alone_passes_on_the_right_version() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    client.check("/a", 0).await.unwrap();
    client.check("/a", None).await.unwrap();
    // An error of a check is the server's verdict on that path, not a transaction's.
    let error = client.check("/a", 1).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Server {
                code: ErrorCode::BadVersion,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn reads_can_be_made_to_see_every_write_before_them() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    for n in 0..20 {
        other.set_data("/", n.to_string(), None).await.unwrap();
        let (data, _) = client.read_linearizable("/").await.unwrap();
        assert_eq!(&data[..], n.to_string().as_bytes());
    }
    client.sync("/").await.unwrap();
    assert_eq!(
        client.read_linearizable("/x").await.unwrap_err().code(),
        Some(ErrorCode::NoNode)
    );
}

#[tokio::test]
async fn the_configuration_can_be_read_and_a_standalone_server_keeps_it() {
    let target = Target::start().await;
    let client = target.client().await;
    let (_, stat) = client.get_config(None).await.unwrap();
    assert_eq!(stat.ephemeral_owner.0, 0);
    let change = Reconfig::Whole(vec!["server.1=a:1:2;3".into()]);
    // Refused by the default configuration, before anything else is looked at.
    let error = client.reconfig(&change, None).await.unwrap_err();
    let refusals = [ErrorCode::ReconfigDisabled, ErrorCode::Unimplemented];
    assert!(
        error.code().is_some_and(|code| refusals.contains(&code)),
        "{error:?}"
    );
    client.get_data("/", None).await.unwrap();
}

#[tokio::test]
async fn names_of_every_legal_kind_can_be_used() {
    let target = Target::start().await;
    let client = target.client().await;
    let longest = format!("/{}", "x".repeat(60_000));
    for path in [
        "/ ",
        "/...",
        "/.a",
        "/a..b",
        "/ünïcödé",
        "/漢字",
        "/%2F:,",
        &longest,
    ] {
        client
            .create(path, path.as_bytes(), PERSISTENT)
            .await
            .unwrap();
        assert_eq!(
            &client.get_data(path, None).await.unwrap().0[..],
            path.as_bytes()
        );
    }
    assert_eq!(client.get_children("/", None).await.unwrap().len(), 8);
}
