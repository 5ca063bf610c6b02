//! The kinds of znode.

use std::time::Duration;

use zk_client::{CreateMode, ErrorCode, Watcher};
use zk_proto::SessionId;
use zk_proto::path::sequence;
use zk_tests::wait::next_event;
use zk_tests::{Target, bundled_only};

const TTL: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn every_mode_makes_its_kind_of_znode() {
    let target = Target::start().await;
    let client = target.client().await;
    let modes = [
        CreateMode::Persistent,
        CreateMode::Ephemeral,
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
        CreateMode::Container,
        CreateMode::PersistentWithTtl(TTL),
        CreateMode::PersistentSequentialWithTtl(TTL),
    ];
    for mode in modes {
        let asked = format!("/{}-", mode.flags());
        let path = client.create(&asked, b"x", mode).await.unwrap();
        assert_eq!(sequence(&path).is_some(), mode.is_sequential(), "{path}");
        assert!(path.starts_with(&asked));
        let asked = format!("/{}b-", mode.flags());
        let (path, stat) = client.create2(&asked, b"x", mode).await.unwrap();
        let owner = if mode.is_ephemeral() {
            client.session_id()
        } else {
            SessionId::NONE
        };
        assert_eq!(stat.ephemeral_owner, owner);
        assert_eq!(client.exists(&path, None).await.unwrap(), Some(stat));
    }
}

#[tokio::test]
async fn sequential_names_rise() {
    let target = Target::start().await;
    let client = target.client().await;
    let mode = CreateMode::EphemeralSequential;
    let mut last = None;
    for _ in 0..20 {
        let path = client.create("/n-", b"", mode).await.unwrap();
        let number = sequence(&path);
        assert!(number > last, "{path}");
        last = number;
    }
    // Below a parent given with its slash the name is the number alone.
    let path = client.create("/", b"", mode).await.unwrap();
    assert_eq!(path.len(), 11);
}

#[tokio::test]
async fn ephemerals_have_no_children_and_containers_do() {
    let target = Target::start().await;
    let client = target.client().await;
    client
        .create("/e", b"", CreateMode::Ephemeral)
        .await
        .unwrap();
    let error = client
        .create("/e/c", b"", CreateMode::Persistent)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoChildrenForEphemerals));
    client
        .create("/c", b"", CreateMode::Container)
        .await
        .unwrap();
    client
        .create("/c/c", b"", CreateMode::Persistent)
        .await
        .unwrap();
}

#[tokio::test]
async fn containers_and_ttl_znodes_are_reaped() {
    bundled_only!("data::modes::containers_and_ttl_znodes_are_reaped");
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    let ttl = CreateMode::PersistentWithTtl(Duration::from_millis(200));
    client.create("/ttl", b"", ttl).await.unwrap();
    client
        .create("/container", b"", CreateMode::Container)
        .await
        .unwrap();
    client
        .create("/container/child", b"", CreateMode::Persistent)
        .await
        .unwrap();
    client.delete("/container/child", None).await.unwrap();
    let mut reaped = Vec::new();
    for path in ["/ttl", "/container"] {
        match client.exists(path, &watcher).await.unwrap() {
            Some(_) => reaped.push(next_event(&watcher).await.path),
            None => reaped.push(path.to_owned()),
        }
    }
    reaped.sort();
    assert_eq!(reaped, ["/container", "/ttl"]);
}
