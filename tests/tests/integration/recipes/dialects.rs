//! Names of other libraries on the same path.

use zk_client::CreateMode;
use zk_proto::OpCode;
use zk_recipes::{Dialect, Mutex};
use zk_tests::wait::{eventually, within};
use zk_tests::{Tap, Target};

use super::*;

const H32: &str = "6f5902ac237e4b0b8ac61fb0d5f6a1e8";
const U36: &str = "6f5902ac-237e-4b0b-8ac6-1fb0d5f6a1e8";

/// The own znode's name, with ids and numbers taken out.
fn shape(name: &str) -> String {
    let mut shape = String::new();
    for part in name.split_inclusive(['-', '_']) {
        let (text, end) = part.split_at(part.trim_end_matches(['-', '_']).len());
        let is_hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit()) && text != "c";
        shape += if is_hex { "*" } else { text };
        shape += end;
    }
    shape
}

#[tokio::test]
async fn each_dialect_writes_its_librarys_names() {
    let target = Target::start().await;
    let client = target.client().await;
    for (dialect, expected) in [
        (Dialect::Curator, "_c_*-*-*-*-*-lock-*"),
        (Dialect::Any, "_c_*-*-*-*-*-lock-*"),
        (Dialect::GoZk, "_c_*-lock-*"),
        (Dialect::Kazoo, "*__lock__*"),
        (Dialect::ZkJava, "x-*-*-*"),
    ] {
        let lock = Mutex::builder(&client, LOCK)
            .dialect(dialect)
            .build()
            .unwrap();
        let guard = acquire(&lock).await;
        let name = guard.path().rsplit('/').next().unwrap();
        assert_eq!(shape(name), expected, "{dialect:?}: {name}");
        release(guard).await;
    }
}

/// kazoo, go-zookeeper and ZooKeeper's own recipes make a parent once and then take it for
/// granted: a container, reaped between two turns, would break them for good.
#[tokio::test]
async fn only_curators_parents_are_reaped() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    for (dialect, containers) in [
        (Dialect::Curator, 1),
        (Dialect::Any, 0),
        (Dialect::GoZk, 0),
        (Dialect::Kazoo, 0),
        (Dialect::ZkJava, 0),
    ] {
        let made = tap.count(OpCode::CreateContainer);
        let lock = Mutex::builder(&client, &format!("/{dialect:?}")).dialect(dialect);
        let lock = lock.build().unwrap();
        release(acquire(&lock).await).await;
        let made = tap.count(OpCode::CreateContainer) - made;
        assert_eq!(made, containers, "{dialect:?}");
    }
}

/// Which dialects wait for a contender of that name.
async fn waiting_for(client: &Client, name: &str) -> Vec<Dialect> {
    client
        .create_all(LOCK, b"", CreateMode::Persistent)
        .await
        .ok();
    let path = client.create(
        &format!("{LOCK}/{name}"),
        b"",
        CreateMode::EphemeralSequential,
    );
    let path = path.await.unwrap();
    let mut waiting = Vec::new();
    let all = [
        Dialect::Curator,
        Dialect::Kazoo,
        Dialect::GoZk,
        Dialect::ZkJava,
        Dialect::Any,
    ];
    for dialect in all {
        let lock = Mutex::builder(client, LOCK)
            .dialect(dialect)
            .build()
            .unwrap();
        match within("a try", lock.try_acquire()).await.unwrap() {
            Some(guard) => release(guard).await,
            None => waiting.push(dialect),
        }
    }
    client.delete(&path, None).await.unwrap();
    waiting
}

#[tokio::test]
async fn each_dialect_waits_for_the_names_it_respects() {
    use Dialect::{Any, Curator, GoZk, Kazoo, ZkJava};
    let target = Target::start().await;
    let client = target.client().await;
    for (name, expected) in [
        (format!("_c_{U36}-lock-"), vec![Curator, GoZk, ZkJava, Any]),
        (format!("_c_{H32}-lock-"), vec![Curator, GoZk, ZkJava, Any]),
        (format!("{H32}__lock__"), vec![Kazoo, GoZk, Any]),
        (format!("{H32}__rlock__"), vec![Kazoo, GoZk, Any]),
        ("x-72057594037927936-".into(), vec![ZkJava, Any]),
        (format!("_c_{U36}-latch-"), vec![ZkJava]),
        ("something".into(), vec![]),
    ] {
        assert_eq!(waiting_for(&client, &name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_lost_reply_is_recovered_in_every_dialect() {
    let target = Target::start().await;
    let proxy = zk_tests::Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    for dialect in [
        Dialect::Curator,
        Dialect::Kazoo,
        Dialect::GoZk,
        Dialect::ZkJava,
    ] {
        let lock = Mutex::builder(&client, LOCK)
            .dialect(dialect)
            .build()
            .unwrap();
        release(acquire(&lock).await).await;
        zk_tests::wait::until_connected(&client).await;
        // The create takes effect, its answer does not come.
        proxy.cut_after(zk_tests::Direction::ToClient, 2, zk_tests::Cut::Reset);
        let guard = acquire(&lock).await;
        assert_eq!(contenders(&observer).await.len(), 1, "{dialect:?}");
        drop(guard);
        eventually("the delete", async || {
            contenders(&observer).await.is_empty()
        })
        .await;
    }
}
