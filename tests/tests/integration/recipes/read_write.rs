//! The lock for many readers or one writer.

use std::time::Duration;

use tokio::sync::mpsc;
use zk_recipes::{Dialect, Error, Guard, ReadWriteLock, WriteGuard};
use zk_tests::target::repetitions;
use zk_tests::wait::{until_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

fn lock(client: &Client) -> ReadWriteLock {
    ReadWriteLock::new(client, LOCK)
}

async fn read(lock: &ReadWriteLock) -> Guard {
    within("the right to read", lock.read()).await.unwrap()
}

async fn write(lock: &ReadWriteLock) -> WriteGuard {
    within("the right to write", lock.write()).await.unwrap()
}

async fn downgrade(writer: WriteGuard) -> Guard {
    within("the downgrade", writer.downgrade()).await.unwrap()
}

/// Waits for its side of the lock in the background, and hands the guard over.
fn wait_in_line(client: &Client, name: &'static str, held: &mpsc::Sender<(&'static str, Guard)>) {
    let (lock, held) = (lock(client), held.clone());
    let task = async move {
        let guard = if name.starts_with('r') {
            read(&lock).await
        } else {
            write(&lock).await.into_guard()
        };
        held.send((name, guard)).await.unwrap();
    };
    drop(client.env().spawn("waiter", Box::pin(task)));
}

async fn next(order: &mut mpsc::Receiver<(&'static str, Guard)>) -> (&'static str, Guard) {
    within("the next", order.recv()).await.unwrap()
}

#[tokio::test]
async fn readers_share_it_and_nobody_overtakes_a_writer() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let first = read(&lock(&observer)).await;
    let second = read(&lock(&observer)).await;
    assert!(first.fencing_token() < second.fencing_token());
    let (held, mut order) = mpsc::channel(8);
    for (place, name) in ["w1", "r1", "r2", "w2"].into_iter().enumerate() {
        wait_in_line(&client, name, &held);
        until_contenders(&observer, place + 3).await;
    }
    release(first).await;
    observer.sync("/").await.unwrap();
    assert!(
        order.try_recv().is_err(),
        "a reader is there, and one waits behind the writer"
    );
    let token = second.fencing_token();
    release(second).await;
    let (name, writer) = next(&mut order).await;
    assert_eq!(name, "w1");
    assert!(writer.fencing_token() > token);
    assert!(order.try_recv().is_err());
    release(writer).await;
    let mut readers = [next(&mut order).await, next(&mut order).await];
    readers.sort_by_key(|(name, _)| *name);
    let [(one, reader), (two, other)] = readers;
    assert_eq!((one, two), ("r1", "r2"));
    release(reader).await;
    assert!(order.try_recv().is_err());
    release(other).await;
    let (name, writer) = next(&mut order).await;
    assert_eq!(name, "w2");
    release(writer).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn a_downgrade_keeps_the_place_and_the_token() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let writer = write(&lock(&observer)).await;
    let (held, mut order) = mpsc::channel(8);
    for (place, name) in ["r1", "w1", "r2"].into_iter().enumerate() {
        wait_in_line(&client, name, &held);
        until_contenders(&observer, place + 2).await;
    }
    let (token, path, view) = (
        writer.fencing_token(),
        writer.path().to_owned(),
        writer.ownership(),
    );
    let reader = downgrade(writer).await;
    assert_eq!(lost(&view).await, Why::Released);
    assert_eq!(reader.fencing_token(), token);
    assert_eq!(
        path[path.len() - 10..],
        reader.path()[reader.path().len() - 10..]
    );
    assert!(reader.path().contains("-__READ__"), "{}", reader.path());
    until_held(&reader).await;
    reader.transaction().commit().await.unwrap();
    assert_eq!(contenders(&observer).await.len(), 4);
    let (name, other) = next(&mut order).await;
    assert_eq!(name, "r1");
    release(other).await;
    observer.sync("/").await.unwrap();
    assert!(order.try_recv().is_err(), "it still reads");
    release(reader).await;
    let (name, writer) = next(&mut order).await;
    assert_eq!(name, "w1");
    assert!(writer.fencing_token() > token);
    release(writer).await;
    let (name, other) = next(&mut order).await;
    assert_eq!(name, "r2");
    release(other).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn a_downgrade_dropped_at_any_poll_leaves_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    for polls in 0..50 {
        let writer = write(&lock(&client)).await;
        let reader = within("the downgrade", drop_after(polls, writer.downgrade())).await;
        if let Some(reader) = reader {
            assert!(polls > 0);
            release(reader.unwrap()).await;
            return settled(&client, &observer).await;
        }
        settled(&client, &observer).await;
    }
    panic!("never downgraded");
}

#[tokio::test]
async fn a_downgrade_survives_lost_requests_and_lost_replies() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    for (direction, bytes) in [(Direction::ToServer, 220), (Direction::ToClient, 200)] {
        for at in (1..bytes).step_by(repetitions(11, 50)) {
            until_connected(&client).await;
            let writer = write(&lock(&client)).await;
            proxy.cut_after(direction, at, Cut::Reset);
            let reader = downgrade(writer).await;
            let left = contenders(&observer).await;
            assert_eq!(left.len(), 1, "{direction:?} {at}");
            assert!(reader.path().ends_with(&left[0]));
            drop(reader);
            settled(&client, &observer).await;
        }
    }
}

#[tokio::test]
async fn a_writer_whose_znode_is_gone_cannot_downgrade() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let writer = write(&lock(&client)).await;
    observer.delete(writer.path(), None).await.unwrap();
    let late = within("the refusal", writer.downgrade()).await;
    assert!(matches!(late, Err(Error::Lost(Why::Deleted))), "{late:?}");
    settled(&client, &observer).await;
    let writer = write(&lock(&client)).await;
    target.expire(&client).await;
    let late = within("the refusal", writer.downgrade()).await;
    assert!(
        matches!(
            late,
            Err(Error::Lost(Why::EpochEnded | Why::Deleted) | Error::EpochEnded)
        ),
        "{late:?}"
    );
    settled(&client, &observer).await;
}

#[tokio::test]
async fn tries_and_limits_leave_nothing_behind() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let (lock, limit) = (lock(&client), Duration::from_millis(50));
    let reader = read(&self::lock(&observer)).await;
    let other = within("a try", lock.try_read()).await.unwrap().unwrap();
    release(other).await;
    assert!(within("a try", lock.try_write()).await.unwrap().is_none());
    let late = within("the deadline", lock.write_within(limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    release(reader).await;
    settled(&client, &observer).await;
    let writer = within("a try", lock.try_write()).await.unwrap().unwrap();
    assert!(within("a try", lock.try_read()).await.unwrap().is_none());
    let late = within("the deadline", lock.read_within(limit)).await;
    assert!(late.is_err());
    within("the release", writer.release()).await.unwrap();
    settled(&client, &observer).await;
}

#[tokio::test]
async fn in_kazoos_names_it_is_kazoos() {
    let target = Target::start().await;
    let client = target.client().await;
    let kazoo = ReadWriteLock::builder(&client, LOCK).dialect(Dialect::Kazoo);
    let lock = kazoo.build().unwrap();
    let writer = write(&lock).await;
    assert!(writer.path().contains("__lock__"), "{}", writer.path());
    let reader = downgrade(writer).await;
    assert!(reader.path().contains("__rlock__"), "{}", reader.path());
    let other = read(&lock).await;
    assert!(within("a try", lock.try_write()).await.unwrap().is_none());
    release(reader).await;
    release(other).await;
    settled(&client, &client).await;
}
