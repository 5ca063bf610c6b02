//! Readers together, writers alone.

use zk_recipes::{Dialect, ReadWriteLock};

use super::*;

const LOCK: &str = "/locks/rw";

fn lock(client: &Client, dialect: Dialect) -> ReadWriteLock {
    let builder = ReadWriteLock::builder(client, LOCK).dialect(dialect);
    builder.build().unwrap()
}

async fn read(client: &Client, dialect: Dialect) -> Guard {
    within("a read lock", lock(client, dialect).read())
        .await
        .unwrap()
}

async fn write(client: &Client, dialect: Dialect) -> Guard {
    let guard = within("the write lock", lock(client, dialect).write()).await;
    guard.unwrap().into_guard()
}

async fn writers_exclude(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let ours = async || write(&both.client, dialect).await;
    assert_excludes(&both, ("write", LOCK), LOCK, ours).await;
}

async fn writers_count(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let ours = async |client: &Client| write(client, dialect).await;
    assert_counts(&both, ("write", LOCK), ours).await;
}

/// Their writer waits for our reader, our writer for theirs, and readers for nobody.
async fn readers_share(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let (reader, writer) = (both.peer.handle("r"), both.peer.handle("w"));
    let ours = read(&both.client, dialect).await;
    reader.ask(&format!("acquire read {LOCK}")).await;
    writer.tell(&format!("acquire write {LOCK}")).await;
    both.until_count(LOCK, 3).await;
    both.assert_waits(&writer).await;
    reader.ask("release").await;
    both.assert_waits(&writer).await;
    within("the release", ours.release()).await.unwrap();
    writer.done().await;

    let second = both.target.client().await;
    let mut attempt = Box::pin(read(&second, dialect));
    both.assert_pending(attempt.as_mut()).await;
    writer.ask("release").await;
    let ours = within("our turn", attempt).await;
    reader.ask(&format!("acquire read {LOCK}")).await;
    let mut attempt = Box::pin(write(&both.client, dialect));
    both.assert_pending(attempt.as_mut()).await;
    within("the release", ours.release()).await.unwrap();
    both.assert_pending(attempt.as_mut()).await;
    reader.ask("release").await;
    let guard = within("our turn", attempt).await;
    within("the release", guard.release()).await.unwrap();
}

#[tokio::test]
async fn curator_writers_exclude() {
    writers_exclude(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn curator_writers_count() {
    writers_count(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn curator_readers_share() {
    readers_share(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn kazoo_writers_exclude() {
    writers_exclude(Library::Kazoo, Dialect::Kazoo).await;
}

#[tokio::test]
async fn kazoo_writers_count() {
    writers_count(Library::Kazoo, Dialect::Kazoo).await;
}

#[tokio::test]
async fn kazoo_readers_share() {
    readers_share(Library::Kazoo, Dialect::Kazoo).await;
}
