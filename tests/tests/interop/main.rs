//! Our recipes and those of Curator, kazoo and go-zookeeper on the same znodes.
//!
//! Not part of `cargo test --workspace`: `scripts/interop.sh run` builds the other libraries'
//! peers and names them to these tests.

mod double_barrier;
mod group;
mod latch;
mod lock;
mod naming;
mod number;
mod peer;
mod queue;
mod read_write;
mod semaphore;

use zk_client::{Client, CreateMode};
use zk_recipes::Guard;
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use peer::{Handle, Library, Peer};

/// A server, our client, and a peer in a process of its own.
struct Both {
    target: Target,
    client: Client,
    peer: Peer,
}

impl Both {
    async fn start(library: Library) -> Self {
        let target = Target::start().await;
        let client = target.client().await;
        let peer = Peer::start(library, &target.connect_string()).await;
        Self {
            target,
            client,
            peer,
        }
    }

    /// How many znodes there are below `path`.
    async fn count(&self, path: &str) -> usize {
        self.client.sync("/").await.unwrap();
        let children = self.client.get_children(path, None).await;
        children.map_or(0, |children| children.len())
    }

    async fn until_count(&self, path: &str, count: usize) {
        let what = format!("{count} znodes below {path}");
        eventually(&what, async || self.count(path).await == count).await;
    }

    /// That a peer that was told something goes on waiting: many round trips later it has
    /// not said that it is done.
    async fn assert_waits(&self, handle: &Handle<'_>) {
        for _ in 0..100 {
            self.client.sync("/").await.unwrap();
            assert_eq!(handle.heard(), None, "it should be waiting");
        }
    }

    /// That our own attempt goes on waiting likewise.
    async fn assert_pending<T>(&self, mut attempt: std::pin::Pin<&mut impl Future<Output = T>>) {
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = &mut attempt => panic!("we should be waiting"),
                synced = self.client.sync("/") => { synced.unwrap(); }
            }
        }
    }

    async fn create(&self, path: &str, data: &str) {
        let created = self.client.create_all(path, data, CreateMode::Persistent);
        created.await.unwrap();
    }

    async fn text(&self, path: &str) -> String {
        let (data, _) = self.client.get_data(path, None).await.unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    }
}

const COUNTER: &str = "/counted";

/// Reads, adds one and writes, so many times, each time holding the lock.
async fn torture(client: &Client, rounds: usize, acquire: impl AsyncFn() -> Guard) {
    for _ in 0..rounds {
        let guard = acquire().await;
        let (data, _) = client.get_data(COUNTER, None).await.unwrap();
        let number: usize = std::str::from_utf8(&data).unwrap().parse().unwrap();
        let next = (number + 1).to_string();
        client.set_data(COUNTER, &next, None).await.unwrap();
        within("the release", guard.release()).await.unwrap();
    }
}

/// Two of ours and two of theirs count under one lock: nothing gets lost.
async fn assert_counts(
    both: &Both,
    (kind, path): (&str, &str),
    acquire: impl AsyncFn(&Client) -> Guard,
) {
    const ROUNDS: usize = 40;
    both.create(COUNTER, "0").await;
    let theirs = [both.peer.handle("t1"), both.peer.handle("t2")];
    for handle in &theirs {
        let torture = format!("torture {kind} {path} {COUNTER} {ROUNDS}");
        handle.tell(&torture).await;
    }
    let second = both.target.client().await;
    let ours = [&both.client, &second]
        .map(|client| torture(client, ROUNDS, async || acquire(client).await));
    within("our rounds", futures_util::future::join_all(ours)).await;
    for handle in &theirs {
        handle.done().await;
    }
    assert_eq!(both.text(COUNTER).await, (4 * ROUNDS).to_string());
}

/// One holds, the other waits and gets it when the first one lets go; first one way round,
/// then the other.
async fn assert_excludes(
    both: &Both,
    (kind, path): (&str, &str),
    line: &str,
    acquire: impl AsyncFn() -> Guard,
) {
    let theirs = both.peer.handle("h");
    let take = format!("acquire {kind} {path}");

    let guard = within("our turn", acquire()).await;
    let held = both.count(line).await;
    theirs.tell(&take).await;
    eventually("their place in line", async || {
        both.count(line).await > held
    })
    .await;
    both.assert_waits(&theirs).await;
    within("the release", guard.release()).await.unwrap();
    theirs.done().await;

    let mut attempt = Box::pin(acquire());
    both.assert_pending(attempt.as_mut()).await;
    theirs.ask("release").await;
    let guard = within("our turn", attempt).await;
    within("the release", guard.release()).await.unwrap();
}
