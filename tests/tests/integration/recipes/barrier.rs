//! A barrier that is set and removed.

use std::time::Duration;

use futures_util::future::join_all;
use zk_client::ErrorCode;
use zk_recipes::{Barrier, Error};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

const BARRIER: &str = "/barriers/b";

async fn is_set(observer: &Client) -> bool {
    observer.sync("/").await.unwrap();
    observer.exists(BARRIER, None).await.unwrap().is_some()
}

#[tokio::test]
async fn all_who_wait_pass_when_it_is_removed() {
    let target = Target::start().await;
    let (owner, observer) = (target.client().await, target.client().await);
    let barrier = Barrier::new(&owner, BARRIER);
    within("no barrier", barrier.wait()).await.unwrap();
    barrier.set().await.unwrap();
    // Whoever sets it, it is the same barrier.
    Barrier::new(&observer, BARRIER).set().await.unwrap();
    let mut barriers = Vec::new();
    for _ in 0..3 {
        barriers.push(Barrier::new(&target.client().await, BARRIER));
    }
    let mut waiters = std::pin::pin!(join_all(barriers.iter().map(Barrier::wait)));
    let short = Duration::from_millis(50);
    let other = Barrier::new(&observer, BARRIER);
    tokio::select! {
        biased;
        _ = &mut waiters => panic!("it is set"),
        waited = other.wait_within(short) => {
            assert_eq!(waited, Err(Error::DeadlineExceeded { deadline: short }));
        }
    }
    barrier.remove().await.unwrap();
    barrier.remove().await.unwrap();
    let waited = within("the waiters", waiters).await;
    assert!(waited.iter().all(Result::is_ok), "{waited:?}");
    assert!(!is_set(&observer).await);
}

#[tokio::test]
async fn it_stays_set_beyond_the_session_that_set_it_and_the_one_that_waits() {
    let target = Target::start().await;
    let (owner, waiter) = (target.client().await, target.client().await);
    Barrier::new(&owner, BARRIER).set().await.unwrap();
    owner.close().await.unwrap();
    let barrier = Barrier::new(&waiter, BARRIER);
    let mut wait = std::pin::pin!(barrier.wait());
    let expire = async {
        target.expire(&waiter).await;
        until_connected(&waiter).await;
    };
    tokio::select! {
        biased;
        _ = &mut wait => panic!("it is set"),
        () = expire => {}
    }
    let remover = target.client().await;
    Barrier::new(&remover, BARRIER).remove().await.unwrap();
    within("the wait", wait).await.unwrap();
}

#[tokio::test]
async fn a_removal_during_a_disconnection_is_found_on_reconnection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let (here, there) = (
        Barrier::new(&client, BARRIER),
        Barrier::new(&observer, BARRIER),
    );
    there.set().await.unwrap();
    let faults = async {
        client.sync("/").await.unwrap();
        proxy.refuse(true);
        proxy.cut(Cut::Reset);
        until_not_connected(&client).await;
        there.remove().await.unwrap();
        proxy.refuse(false);
    };
    let both = futures_util::future::join(here.wait(), faults);
    within("the wait", both).await.0.unwrap();
}

#[tokio::test]
async fn a_lost_reply_leaves_it_as_it_should_be() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let barrier = Barrier::new(&client, BARRIER);
    for (direction, bytes) in [(Direction::ToServer, 150), (Direction::ToClient, 150)] {
        for at in (1..bytes).step_by(repetitions(7, 30)) {
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            within("set", barrier.set()).await.unwrap();
            assert!(is_set(&observer).await, "{direction:?} {at}");
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            within("removed", barrier.remove()).await.unwrap();
            assert!(!is_set(&observer).await, "{direction:?} {at}");
        }
    }
}

#[tokio::test]
async fn what_is_dropped_is_done_or_not() {
    let target = Target::start().await;
    let client = target.client().await;
    let barrier = Barrier::new(&client, BARRIER);
    for polls in 0..8 {
        drop(within("set", drop_after(polls, barrier.set())).await);
        drop(within("a wait", drop_after(polls.min(1), barrier.wait())).await);
        within("set", barrier.set()).await.unwrap();
        drop(within("removed", drop_after(polls, barrier.remove())).await);
        within("removed", barrier.remove()).await.unwrap();
        eventually("it is gone", async || !is_set(&client).await).await;
    }
}

#[tokio::test]
async fn what_cannot_be_a_barrier_is_told() {
    let target = Target::start().await;
    let client = target.client().await;
    assert!(Barrier::builder(&client, "/").build().is_err());
    assert!(Barrier::new(&client, "no/slash").set().await.is_err());
    // A znode with children is no barrier's to remove.
    client
        .create_all("/barriers/b/child", b"", zk_client::CreateMode::Persistent)
        .await
        .unwrap();
    let refused = Barrier::new(&client, BARRIER).remove().await;
    assert!(
        matches!(&refused, Err(Error::Client(error)) if error.code() == Some(ErrorCode::NotEmpty)),
        "{refused:?}"
    );
}
