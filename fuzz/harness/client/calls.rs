//! Every call a client offers.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use zk_client::{Acl, AddWatchMode, Client, CreateMode, Error, Watcher, WatcherType};

type Call = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// Makes them all at once. The answers come with the calls' indices, in the order
/// in which they came.
pub(crate) async fn every_call(
    client: &Client,
    watcher: &Watcher,
) -> Vec<(usize, Result<(), Error>)> {
    let calls = [
        reads(client, watcher),
        writes(client),
        others(client, watcher),
    ];
    let calls = calls.into_iter().flatten().enumerate();
    let calls: FuturesUnordered<_> = calls
        .map(|(index, call)| call.map(move |answer| (index, answer)))
        .collect();
    calls.collect().await
}

fn call<T>(reply: impl Future<Output = Result<T, Error>> + 'static) -> Call {
    Box::pin(reply.map(|answer| answer.map(drop)))
}

fn reads(client: &Client, watcher: &Watcher) -> Vec<Call> {
    vec![
        call(client.get_data("/a", watcher)),
        call(client.exists("/a/missing", watcher)),
        call(client.get_children("/a", watcher)),
        call(client.get_children2("/a", None)),
        call(client.get_acl("/a")),
        call(client.get_all_children_number("/a")),
        call(client.get_ephemerals("/a")),
        call(client.read_linearizable("/a")),
        call(client.get_config(watcher)),
        call(client.multi_read().get_data("/a").get_children("/a").send()),
    ]
}

fn writes(client: &Client) -> Vec<Call> {
    let ttl = CreateMode::PersistentWithTtl(Duration::from_secs(1));
    vec![
        call(client.create("/a/s-", b"data", CreateMode::PersistentSequential)),
        call(client.create2("/a/e", b"data", CreateMode::Ephemeral)),
        call(client.create("/a/c", b"", CreateMode::Container)),
        call(client.create2("/a/t", b"", ttl)),
        call(client.set_data("/a", b"newer", 3)),
        call(client.set_acl("/a", vec![Acl::open()], None)),
        call(client.check("/a", 7)),
        call(client.delete("/a/b", None)),
        call(
            client
                .transaction()
                .check("/a", 1)
                .create("/a/m", b"", CreateMode::Persistent)
                .set_data("/a", b"", None)
                .delete("/a/d", None)
                .commit(),
        ),
    ]
}

fn others(client: &Client, watcher: &Watcher) -> Vec<Call> {
    vec![
        call(client.sync("/a")),
        call(client.who_am_i()),
        call(client.add_watch("/a", AddWatchMode::Persistent, watcher)),
        call(client.add_watch("/", AddWatchMode::PersistentRecursive, watcher)),
        call(client.check_watches("/a", WatcherType::Data)),
        call(client.remove_watches("/a", WatcherType::Any)),
        call(client.add_auth("digest", "other:password")),
        call(client.get_data("/a", None)),
    ]
}
