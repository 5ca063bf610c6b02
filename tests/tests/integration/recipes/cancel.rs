//! Promise 2 for recipes: dropped at any await, no znode stays behind.

use zk_recipes::{LeaderLatch, Mutex, Policy};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;
use crate::cancel::drop_after;

const MANY: usize = 5_000;

#[tokio::test]
async fn an_acquire_dropped_at_any_poll_leaves_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    for polls in 0..MANY {
        // Missing parents are part of it.
        observer.delete_all("/locks").await.unwrap();
        let acquired = within("the lock", drop_after(polls, lock.acquire())).await;
        let is_done = acquired.is_some();
        drop(acquired);
        settled(&client, &observer).await;
        if is_done {
            return assert!(polls > 2);
        }
    }
    panic!("never acquired");
}

#[tokio::test]
async fn a_waiter_dropped_at_any_poll_leaves_no_znode_and_holds_nobody_up() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    for polls in 0..6 {
        let holder = acquire(&Mutex::new(&observer, LOCK)).await;
        // Sooner or later nothing wakes it any more.
        let in_line = async {
            until_contenders(&observer, 2).await;
            client.sync("/").await
        };
        tokio::select! {
            biased;
            waited = drop_after(polls, lock.acquire()) => assert!(waited.is_none()),
            synced = in_line => assert_eq!(synced, Ok(())),
        }
        let behind = Mutex::new(&observer, LOCK);
        let release_later = async {
            until_contenders(&observer, 2).await;
            release(holder).await;
        };
        let (next, ()) = futures_util::future::join(acquire(&behind), release_later).await;
        release(next).await;
        settled(&client, &observer).await;
    }
}

#[tokio::test]
async fn a_release_dropped_at_any_poll_releases_all_the_same() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    for polls in 0..4 {
        let guard = acquire(&lock).await;
        let _ = within("the release", drop_after(polls, guard.release())).await;
        settled(&client, &observer).await;
    }
}

#[tokio::test]
async fn tries_runs_and_terms_dropped_at_any_poll_leave_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = Mutex::new(&client, LOCK);
    let latch = LeaderLatch::builder(&client, LOCK)
        .id("me")
        .build()
        .unwrap();
    for polls in 0..12 {
        drop(within("a try", drop_after(polls, lock.try_acquire())).await);
        settled(&client, &observer).await;
        let run = lock.run(Policy::OnLost, async |term| {
            term.proven(zk_recipes::Proof::Soft).await
        });
        drop(within("a run", drop_after(polls, run)).await);
        settled(&client, &observer).await;
        let term = latch.lead(async |term| {
            term.spawn(std::future::pending());
            observer.sync("/").await
        });
        drop(within("a term", drop_after(polls, term)).await);
        // The child task goes first, at its next poll; only then is the znode the reaper's.
        eventually("no contender", async || {
            contenders(&observer).await.is_empty()
        })
        .await;
    }
}
