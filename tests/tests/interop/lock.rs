//! The exclusive lock, in the dialect of each library and in `Any`, which respects them all.

use zk_recipes::{Dialect, Mutex};

use super::*;

const LOCK: &str = "/locks/l";

fn mutex(client: &Client, dialect: Dialect) -> Mutex {
    let builder = Mutex::builder(client, LOCK).dialect(dialect);
    builder.build().unwrap()
}

async fn acquire(client: &Client, dialect: Dialect) -> Guard {
    within("the lock", mutex(client, dialect).acquire())
        .await
        .unwrap()
}

async fn excludes(library: Library, kind: &str, dialect: Dialect) {
    let both = Both::start(library).await;
    let ours = async || acquire(&both.client, dialect).await;
    assert_excludes(&both, (kind, LOCK), LOCK, ours).await;
}

async fn counts(library: Library, kind: &str, dialect: Dialect) {
    let both = Both::start(library).await;
    let ours = async |client: &Client| acquire(client, dialect).await;
    assert_counts(&both, (kind, LOCK), ours).await;
}

#[tokio::test]
async fn curator_excludes() {
    excludes(Library::Curator, "mutex", Dialect::Curator).await;
}

#[tokio::test]
async fn curator_counts() {
    counts(Library::Curator, "mutex", Dialect::Curator).await;
}

#[tokio::test]
async fn curator_excludes_any() {
    excludes(Library::Curator, "mutex", Dialect::Any).await;
}

#[tokio::test]
async fn curator_counts_with_any() {
    counts(Library::Curator, "mutex", Dialect::Any).await;
}

#[tokio::test]
async fn kazoo_excludes() {
    excludes(Library::Kazoo, "mutex", Dialect::Kazoo).await;
}

#[tokio::test]
async fn kazoo_counts() {
    counts(Library::Kazoo, "mutex", Dialect::Kazoo).await;
}

/// kazoo has to be told to respect our names.
#[tokio::test]
async fn kazoo_with_patterns_excludes_any() {
    excludes(Library::Kazoo, "mutex-patterns", Dialect::Any).await;
}

#[tokio::test]
async fn kazoo_with_patterns_counts_with_any() {
    counts(Library::Kazoo, "mutex-patterns", Dialect::Any).await;
}

/// As it comes it does not see our contender, and both hold: what the documentation of
/// `Dialect` warns of.
#[tokio::test]
async fn kazoo_as_it_comes_does_not_wait_for_any() {
    let both = Both::start(Library::Kazoo).await;
    let guard = acquire(&both.client, Dialect::Any).await;
    let theirs = both.peer.handle("h");
    theirs.ask(&format!("acquire mutex {LOCK}")).await;
    assert_eq!(both.count(LOCK).await, 2, "both hold");
    // The other way round it is respected: we are behind it.
    within("the release", guard.release()).await.unwrap();
    let lock = mutex(&both.client, Dialect::Any);
    let attempt = within("a try", lock.try_acquire()).await.unwrap();
    assert!(attempt.is_none());
    theirs.ask("release").await;
}

#[tokio::test]
async fn go_excludes() {
    excludes(Library::Go, "mutex", Dialect::GoZk).await;
}

#[tokio::test]
async fn go_counts() {
    counts(Library::Go, "mutex", Dialect::GoZk).await;
}

#[tokio::test]
async fn go_excludes_curators_names() {
    excludes(Library::Go, "mutex", Dialect::Curator).await;
}

#[tokio::test]
async fn go_counts_with_any() {
    counts(Library::Go, "mutex", Dialect::Any).await;
}

/// The mix that goes together by itself: Curator, Go and we on one path.
#[tokio::test]
async fn three_libraries_count_together() {
    const ROUNDS: usize = 40;
    let both = Both::start(Library::Curator).await;
    let go = Peer::start(Library::Go, &both.target.connect_string()).await;
    both.create(COUNTER, "0").await;
    let handles = [both.peer.handle("t"), go.handle("t")];
    for handle in &handles {
        let torture = format!("torture mutex {LOCK} {COUNTER} {ROUNDS}");
        handle.tell(&torture).await;
    }
    let ours = async || acquire(&both.client, Dialect::Any).await;
    within("our rounds", torture(&both.client, ROUNDS, ours)).await;
    for handle in &handles {
        handle.done().await;
    }
    assert_eq!(both.text(COUNTER).await, (3 * ROUNDS).to_string());
}
