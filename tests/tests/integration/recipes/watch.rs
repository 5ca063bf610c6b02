//! Subscriptions and caches.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use zk_client::CreateMode;
use zk_recipes::{Cache, Change, Depth, Error, Subscription, Update, Znode};
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Proxy, Target};

use super::*;

const ROOT: &str = "/watched";

/// To what others have written so far.
async fn subscribe(client: &Client, depth: Depth) -> Subscription {
    client.sync(ROOT).await.unwrap();
    let builder = Subscription::builder(client, ROOT).depth(depth);
    builder.build().unwrap()
}

async fn create(client: &Client, path: &str, data: &str) {
    let created = client.create(path, data, CreateMode::Persistent).await;
    created.unwrap();
}

async fn snapshot(subscription: &mut Subscription) -> BTreeMap<String, Arc<Znode>> {
    match within("a snapshot", subscription.next()).await.unwrap() {
        Update::Snapshot { znodes, .. } => znodes,
        Update::Change { change, .. } => panic!("{change:?}"),
    }
}

async fn change(subscription: &mut Subscription) -> Change {
    match within("a change", subscription.next()).await.unwrap() {
        Update::Change { change, .. } => change,
        Update::Snapshot { znodes, .. } => panic!("{znodes:?}"),
    }
}

/// The path, and the data it has now.
fn told(change: &Change) -> (&str, Option<&[u8]>) {
    let data = change.after.as_ref().map(|znode| &*znode.data);
    (&change.path, data)
}

/// What the server has, asked by somebody else.
async fn server_has(observer: &Client, path: &str) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![path.to_owned()];
    observer.sync("/").await.unwrap();
    while let Some(path) = todo.pop() {
        let Ok(children) = observer.get_children(&path, None).await else {
            continue;
        };
        let stat = observer.exists(&path, None).await.unwrap().unwrap();
        todo.extend(children.into_iter().map(|name| format!("{path}/{name}")));
        all.insert(path, (stat.czxid.0, stat.mzxid.0));
    }
    all
}

fn cache_has(cache: &Cache) -> BTreeMap<String, (i64, i64)> {
    let all = cache.snapshot().into_iter();
    all.map(|(path, znode)| (path, (znode.stat.czxid.0, znode.stat.mzxid.0)))
        .collect()
}

async fn until_equal(cache: &Cache, observer: &Client) {
    eventually("the cache equals the server", async || {
        cache_has(cache) == server_has(observer, ROOT).await
    })
    .await;
}

#[tokio::test]
async fn a_subtree_is_told_first_whole_then_change_by_change() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, ROOT, "r").await;
    create(&other, "/watched/a", "1").await;
    let mut subscription = subscribe(&client, Depth::Subtree).await;
    let paths: Vec<_> = snapshot(&mut subscription).await.into_keys().collect();
    assert_eq!(paths, ["/watched", "/watched/a"]);
    create(&other, "/watched/a/x", "2").await;
    let created = change(&mut subscription).await;
    assert_eq!(told(&created), ("/watched/a/x", Some(&b"2"[..])));
    other.set_data("/watched/a", b"3", None).await.unwrap();
    let changed = change(&mut subscription).await;
    assert_eq!(told(&changed), ("/watched/a", Some(&b"3"[..])));
    assert_eq!(changed.before.unwrap().data, "1");
    other.delete("/watched/a/x", None).await.unwrap();
    let deleted = change(&mut subscription).await;
    assert_eq!(told(&deleted), ("/watched/a/x", None));
}

#[tokio::test]
async fn a_znode_that_is_not_there_is_awaited() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    for depth in [Depth::Node, Depth::Children, Depth::Subtree] {
        let mut subscription = subscribe(&client, depth).await;
        assert_eq!(snapshot(&mut subscription).await, BTreeMap::new());
        create(&other, ROOT, "1").await;
        let created = change(&mut subscription).await;
        assert_eq!(told(&created), (ROOT, Some(&b"1"[..])), "{depth:?}");
        other.delete(ROOT, None).await.unwrap();
        let deleted = change(&mut subscription).await;
        assert_eq!(told(&deleted), (ROOT, None), "{depth:?}");
    }
}

#[tokio::test]
async fn children_are_watched_without_what_is_below_them() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, ROOT, "").await;
    create(&other, "/watched/a", "1").await;
    let mut subscription = subscribe(&client, Depth::Children).await;
    assert_eq!(snapshot(&mut subscription).await.len(), 2);
    create(&other, "/watched/a/x", "").await;
    create(&other, "/watched/b", "2").await;
    let created = change(&mut subscription).await;
    assert_eq!(told(&created), ("/watched/b", Some(&b"2"[..])));
    other.set_data("/watched/a", b"3", None).await.unwrap();
    let changed = change(&mut subscription).await;
    assert_eq!(told(&changed), ("/watched/a", Some(&b"3"[..])));
}

#[tokio::test]
async fn what_happened_while_away_is_found_out_even_if_no_version_tells() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let other = target.client().await;
    create(&other, ROOT, "").await;
    create(&other, "/watched/n", "same").await;
    client.sync(ROOT).await.unwrap();
    let cache = Cache::builder(&client, ROOT).build().unwrap();
    within("the load", cache.loaded()).await.unwrap();
    let mut subscription = cache.subscribe();
    assert_eq!(snapshot(&mut subscription).await.len(), 2);
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    other.delete("/watched/n", None).await.unwrap();
    create(&other, "/watched/n", "same").await;
    create(&other, "/watched/n/child", "new").await;
    let behind_the_proxy = target.client_through(target.host()).await;
    behind_the_proxy.sync(ROOT).await.unwrap();
    proxy.refuse(false);
    until_connected(&client).await;
    let recreated = change(&mut subscription).await;
    assert_eq!(told(&recreated), ("/watched/n", Some(&b"same"[..])));
    assert!(recreated.is_recreation());
    let child = change(&mut subscription).await;
    assert_eq!(told(&child), ("/watched/n/child", Some(&b"new"[..])));
    until_equal(&cache, &other).await;
}

#[tokio::test]
async fn the_next_session_goes_on_watching() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, ROOT, "").await;
    for depth in [Depth::Node, Depth::Children, Depth::Subtree] {
        let mut subscription = subscribe(&client, depth).await;
        snapshot(&mut subscription).await;
        target.expire(&client).await;
        until_connected(&client).await;
        other.set_data(ROOT, b"1", None).await.unwrap();
        let changed = change(&mut subscription).await;
        assert_eq!(told(&changed), (ROOT, Some(&b"1"[..])), "{depth:?}");
        // Watched in the new session, not merely read.
        other.set_data(ROOT, b"2", None).await.unwrap();
        let changed = change(&mut subscription).await;
        assert_eq!(told(&changed), (ROOT, Some(&b"2"[..])), "{depth:?}");
    }
}

#[tokio::test]
async fn a_slow_subscriber_hears_the_result() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, ROOT, "").await;
    client.sync(ROOT).await.unwrap();
    let cache = Cache::builder(&client, ROOT).build().unwrap();
    let few = Subscription::builder(&client, ROOT).depth(Depth::Subtree);
    let mut few = few.change_limit(3).build().unwrap();
    within("the load", cache.loaded()).await.unwrap();
    let mut subscription = cache.subscribe();
    snapshot(&mut subscription).await;
    snapshot(&mut few).await;
    create(&other, "/watched/gone", "").await;
    for number in 0..20 {
        other
            .set_data(ROOT, format!("{number}"), None)
            .await
            .unwrap();
        create(&other, &format!("/watched/{number}"), "").await;
    }
    other.delete("/watched/gone", None).await.unwrap();
    until_equal(&cache, &other).await;
    let first = change(&mut subscription).await;
    assert_eq!(told(&first), (ROOT, Some(&b"19"[..])));
    let mut told = BTreeMap::new();
    within("everything", async {
        while told.len() < 21 {
            match few.next().await.unwrap() {
                Update::Snapshot { znodes, .. } => told = znodes,
                Update::Change { change, .. } => match change.after {
                    Some(after) => drop(told.insert(change.path, after)),
                    None => drop(told.remove(&change.path)),
                },
            }
        }
    })
    .await;
    assert_eq!(
        told.keys().collect::<Vec<_>>(),
        cache.snapshot().keys().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn too_many_znodes_and_a_closed_client_end_it_with_an_error() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, ROOT, "").await;
    create(&other, "/watched/a", "").await;
    client.sync(ROOT).await.unwrap();
    let one = Subscription::builder(&client, ROOT).depth(Depth::Subtree);
    let mut one = one.znode_limit(1).build().unwrap();
    let too_many = within("the end", one.next()).await.unwrap_err();
    assert!(
        matches!(too_many, Error::TooManyZnodes { limit: 1, .. }),
        "{too_many}"
    );
    let mut subscription = subscribe(&client, Depth::Node).await;
    snapshot(&mut subscription).await;
    client.close().await.unwrap();
    for _ in 0..2 {
        let closed = within("the end", subscription.next()).await.unwrap_err();
        assert_eq!(closed, Error::Client(zk_client::Error::Closed));
    }
}

#[tokio::test]
async fn a_stream_has_all_updates_and_ends_after_its_error() {
    let target = Target::start().await;
    let client = target.client().await;
    create(&client, ROOT, "").await;
    let mut updates = Box::pin(subscribe(&client, Depth::Node).await.into_stream());
    let first = within("the snapshot", updates.next()).await;
    assert!(
        matches!(first, Some(Ok(Update::Snapshot { .. }))),
        "{first:?}"
    );
    client.set_data(ROOT, b"1", None).await.unwrap();
    let second = within("the change", updates.next()).await;
    assert!(
        matches!(second, Some(Ok(Update::Change { .. }))),
        "{second:?}"
    );
    client.close().await.unwrap();
    let rest: Vec<_> = within("the end", updates.collect()).await;
    assert_eq!(rest.len(), 1);
    assert!(rest[0].is_err());
}

#[tokio::test]
async fn the_age_grows_only_while_disconnected() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    create(&client, ROOT, "").await;
    client.sync(ROOT).await.unwrap();
    let cache = Cache::builder(&client, ROOT).build().unwrap();
    within("the load", cache.loaded()).await.unwrap();
    assert!(cache.age().unwrap() < client.session_timeout());
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let before = cache.age().unwrap();
    eventually("a greater age", async || cache.age().unwrap() > before).await;
    assert_eq!(cache.children("/").keys().collect::<Vec<_>>(), ["watched"]);
    assert_eq!(cache.get(ROOT).unwrap().data, "");
}
