//! So many at a time, whoever they are.

use zk_recipes::{Dialect, Semaphore};

use super::*;

const PATH: &str = "/semaphore";

async fn acquire(client: &Client, dialect: Dialect, size: u32) -> Guard {
    let semaphore = Semaphore::builder(client, PATH, size).dialect(dialect);
    let semaphore = semaphore.build().unwrap();
    within("a lease", semaphore.acquire()).await.unwrap()
}

/// Two leases, held once by each; the third has to wait, theirs for ours and ours for theirs.
async fn has_one_size(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let take = format!("acquire semaphore {PATH} 2");
    let (first, second) = (both.peer.handle("a"), both.peer.handle("b"));
    let ours = acquire(&both.client, dialect, 2).await;
    first.ask(&take).await;
    second.tell(&take).await;
    both.assert_waits(&second).await;
    within("the release", ours.release()).await.unwrap();
    second.done().await;
    let mut attempt = Box::pin(acquire(&both.client, dialect, 2));
    both.assert_pending(attempt.as_mut()).await;
    first.ask("release").await;
    let ours = within("our turn", attempt).await;
    second.ask("release").await;
    within("the release", ours.release()).await.unwrap();
}

async fn counts(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let ours = async |client: &Client| acquire(client, dialect, 1).await;
    assert_counts(&both, ("semaphore", PATH), ours).await;
}

#[tokio::test]
async fn curator_has_one_size() {
    has_one_size(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn curator_counts() {
    counts(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn kazoo_has_one_size() {
    has_one_size(Library::Kazoo, Dialect::Kazoo).await;
}

#[tokio::test]
async fn kazoo_counts() {
    counts(Library::Kazoo, Dialect::Kazoo).await;
}
