//! A mutex that its owner can take again.

use std::time::Duration;

use zk_recipes::{Ended, Error, Policy, ReentrantGuard, ReentrantMutex, Term};
use zk_tests::Target;
use zk_tests::wait::within;

use super::*;
use crate::cancel::drop_after;

type Lock = ReentrantMutex<&'static str>;

fn lock(client: &Client) -> Lock {
    ReentrantMutex::new(Mutex::new(client, LOCK))
}

async fn take(lock: &Lock, owner: &'static str) -> ReentrantGuard<&'static str> {
    within("the lock", lock.acquire(owner)).await.unwrap()
}

async fn let_go(guard: ReentrantGuard<&'static str>) {
    within("the release", guard.release()).await.unwrap();
}

#[tokio::test]
async fn its_owner_takes_it_again_and_the_last_guard_releases_it() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = lock(&client);
    let outer = take(&lock, "a").await;
    let inner = take(&lock.clone(), "a").await;
    assert_eq!(outer.fencing_token(), inner.fencing_token());
    assert_eq!(contenders(&observer).await.len(), 1);
    let other = within("a try", lock.try_acquire("b")).await.unwrap();
    assert!(other.is_none(), "another owner of the same program");
    let tried = within("a try", lock.try_acquire("a")).await.unwrap();
    drop(tried.unwrap());
    let_go(outer).await;
    until_held(&inner).await;
    inner.transaction().commit().await.unwrap();
    assert_eq!(contenders(&observer).await.len(), 1);
    let token = inner.fencing_token();
    let_go(inner).await;
    assert_eq!(contenders(&observer).await, [""; 0]);
    let next = take(&lock, "b").await;
    assert!(next.fencing_token() > token);
    let_go(next).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn those_of_one_owner_share_one_place_in_line() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = lock(&client);
    let release_later = async {
        until_contenders(&observer, 2).await;
        observer.sync("/").await.unwrap();
        assert_eq!(contenders(&observer).await.len(), 2);
        release(holder).await;
    };
    let both = futures_util::future::join(take(&lock, "a"), take(&lock, "a"));
    let ((one, other), ()) = futures_util::future::join(both, release_later).await;
    assert_eq!(one.fencing_token(), other.fencing_token());
    drop((one, other));
    settled(&client, &observer).await;
}

#[tokio::test]
async fn a_first_acquisition_that_is_dropped_leaves_the_turn_to_the_next() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = lock(&client);
    for polls in 0..8 {
        let _ = within("the lock", drop_after(polls, lock.acquire("a"))).await;
        let guard = take(&lock, "a").await;
        let_go(guard).await;
        settled(&client, &observer).await;
    }
}

#[tokio::test]
async fn a_lost_lock_is_not_handed_out_again() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = lock(&client);
    let guard = take(&lock, "a").await;
    target.expire(&client).await;
    assert_eq!(lost(&guard).await, Why::EpochEnded);
    let other = acquire(&Mutex::new(&observer, LOCK)).await;
    let again = within("the refusal", lock.acquire("a")).await;
    assert_eq!(again.unwrap_err(), Error::Lost(Why::EpochEnded));
    drop(guard);
    let limit = Duration::from_millis(50);
    let late = within("the deadline", lock.acquire_within("a", limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    release(other).await;
    let_go(take(&lock, "a").await).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn scopes_nest() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let lock = lock(&client);
    let outer = lock.run("a", Policy::OnSuspend, async |term: Term| {
        let inner = lock.run("a", Policy::OnSuspend, async |inner: Term| {
            assert_eq!(inner.fencing_token(), term.fencing_token());
        });
        assert_eq!(inner.await.unwrap(), Ended::Finished(()));
        assert_eq!(contenders(&observer).await.len(), 1);
        7
    });
    assert_eq!(within("the work", outer).await.unwrap(), Ended::Finished(7));
    assert_eq!(contenders(&observer).await, [""; 0]);
}
