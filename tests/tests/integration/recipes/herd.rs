//! No herd: how many of those who wait are woken by a release, and what they then ask, whatever
//! the length of the line.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use zk_proto::OpCode;
use zk_recipes::{LeaderLatch, LeaderSelector, ReadWriteLock, Semaphore, Term};
use zk_tests::wait::{eventually, within};
use zk_tests::{Tap, Target};

use super::*;

const WAITERS: usize = 8;

/// What is waited for: exclusive, or with a size of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mutex,
    Writer,
    WriterBehindReader,
    Latch,
    Selector,
    Semaphore,
}

/// Owned until nobody listens to `held` any more.
async fn own(kind: Kind, client: &Client, held: mpsc::Sender<Ownership>) {
    let guard = match kind {
        Kind::Mutex => Mutex::new(client, LOCK).acquire().await,
        Kind::Writer | Kind::WriterBehindReader => {
            let writer = ReadWriteLock::new(client, LOCK).write().await;
            writer.map(zk_recipes::WriteGuard::into_guard)
        }
        Kind::Latch => {
            let latch = LeaderLatch::builder(client, LOCK).build().unwrap();
            latch.campaign().await
        }
        Kind::Selector => {
            let selector = LeaderSelector::builder(client, LOCK).build().unwrap();
            let work = async |term: Term| {
                held.send(term.ownership()).await.unwrap();
                held.closed().await;
            };
            let _ = selector.lead(work).await;
            return;
        }
        Kind::Semaphore => Semaphore::new(client, LOCK, 1).acquire().await,
    };
    let guard = guard.unwrap();
    held.send(guard.ownership()).await.unwrap();
    held.closed().await;
    drop(guard);
}

async fn first(kind: Kind, client: &Client) -> Guard {
    let lock = ReadWriteLock::new(client, LOCK);
    let guard = match kind {
        Kind::Mutex | Kind::Selector => Mutex::new(client, LOCK).acquire().await,
        Kind::Writer => lock.write().await.map(zk_recipes::WriteGuard::into_guard),
        Kind::WriterBehindReader => lock.read().await,
        Kind::Latch => {
            let latch = LeaderLatch::builder(client, LOCK).build().unwrap();
            latch.campaign().await
        }
        Kind::Semaphore => Semaphore::new(client, LOCK, 1).acquire().await,
    };
    guard.unwrap()
}

/// Requests by connection, but for those that keep a guard or end a test.
fn asked(tap: &Tap) -> BTreeMap<usize, usize> {
    let of_a_line = [OpCode::Create2, OpCode::GetChildren, OpCode::Delete];
    let mut asked = BTreeMap::new();
    for seen in tap.seen() {
        if of_a_line.iter().any(|op| seen.is(*op)) {
            *asked.entry(seen.connection).or_default() += 1;
        }
    }
    asked
}

/// That of `WAITERS` in line only so many ask anything after a release, and so much in all.
async fn a_release_wakes(kind: Kind, woken: usize, requests: usize) {
    let target = Target::start().await;
    let holder_client = target.client().await;
    let holder = within("the first", first(kind, &holder_client)).await;
    let tap = Tap::start(target.host()).await;
    let (held, mut owners) = mpsc::channel(WAITERS);
    let mut waiters = Vec::new();
    for _ in 0..WAITERS {
        let client = target.client_through(&tap.host()).await;
        let (waiter, held) = (client.clone(), held.clone());
        let waiting = async move { own(kind, &waiter, held).await };
        drop(client.env().spawn("waiter", Box::pin(waiting)));
        waiters.push(client);
    }
    // All but the first in a semaphore's inner lock watch the znode of one other; that one
    // watches the leases.
    let watching = WAITERS - usize::from(kind == Kind::Semaphore);
    eventually("the watches", async || {
        tap.count(OpCode::GetData) >= watching
    })
    .await;
    let lists = WAITERS + usize::from(kind == Kind::Semaphore);
    eventually("the lists", async || {
        tap.count(OpCode::GetChildren) >= lists
    })
    .await;
    for client in &waiters {
        client.sync("/").await.unwrap();
    }
    let before = asked(&tap);
    release(holder).await;
    let owner = within("the next", owners.recv()).await.unwrap();
    // Twice: who is second in a semaphore's inner lock is woken by the first.
    for client in waiters.iter().chain(&waiters) {
        // Answered after every event that was on its way.
        client.sync("/").await.unwrap();
    }
    eventually("all that follows", async || {
        asked(&tap).values().sum::<usize>() - before.values().sum::<usize>() >= requests
    })
    .await;
    let after = asked(&tap);
    let who = after
        .iter()
        .filter(|(who, asked)| before.get(*who) != Some(*asked));
    assert_eq!(who.count(), woken, "{kind:?}: woken");
    let in_all = after.values().sum::<usize>() - before.values().sum::<usize>();
    assert_eq!(in_all, requests, "{kind:?}: requests");
    assert!(owners.try_recv().is_err());
    drop((owner, owners));
    for client in waiters {
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn one_looks_once_after_a_release() {
    for kind in [
        Kind::Mutex,
        Kind::Writer,
        Kind::WriterBehindReader,
        Kind::Latch,
        Kind::Selector,
    ] {
        a_release_wakes(kind, 1, 1).await;
    }
}

/// The first in the inner lock looks at the leases, and leaves the inner lock to the second, which
/// looks at it, enters a lease, and looks at the leases.
#[tokio::test]
async fn a_lease_that_is_given_back_wakes_the_first_and_then_the_second_in_line() {
    a_release_wakes(Kind::Semaphore, 2, 5).await;
}
