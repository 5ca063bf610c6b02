//! Several leases of a semaphore, all or none.

use std::time::Duration;

use zk_recipes::{Error, Semaphore};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::semaphore::{PATH, lease, leases, until_clean};
use super::*;
use crate::cancel::drop_after;

async fn until_leases(observer: &Client, count: usize) {
    let what = format!("{count} leases");
    eventually(&what, async || leases(observer).await == count).await;
}

#[tokio::test]
async fn several_leases_are_taken_at_once_or_not_at_all() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let three = Semaphore::new(&client, PATH, 3);
    for count in [0, 4] {
        assert!(three.acquire_many(count).await.is_err(), "{count} of 3");
    }
    let held = lease(&Semaphore::new(&observer, PATH, 3)).await;
    let two = within("two leases", three.acquire_many(2)).await.unwrap();
    assert!(two[0].fencing_token() < two[1].fencing_token());
    assert_eq!(leases(&observer).await, 3);
    let limited = Semaphore::builder(&client, PATH, 3).deadline(Duration::from_millis(50));
    let late = limited.build().unwrap().acquire_many(3).await;
    assert!(
        matches!(late, Err(Error::DeadlineExceeded { .. })),
        "{late:?}"
    );
    eventually("none is kept", async || leases(&observer).await == 3).await;

    // Several who want two of three at a time do not wait for each other.
    drop((held, two));
    let take_turns = async |semaphore: &Semaphore| {
        for _ in 0..10 {
            for guard in semaphore.acquire_many(2).await.unwrap() {
                guard.release().await.unwrap();
            }
        }
    };
    let other = Semaphore::new(&observer, PATH, 3);
    let both = futures_util::future::join(take_turns(&three), take_turns(&other));
    within("one after the other", both).await;
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn a_lease_lost_while_more_are_waited_for_gives_up_all() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let held = lease(&Semaphore::new(&observer, PATH, 2)).await;
    let two = Semaphore::new(&client, PATH, 2);
    let wait = within("the answer", two.acquire_many(2));
    let disturb = async {
        until_leases(&observer, 3).await;
        let path = format!("{PATH}/leases");
        let mut names = observer.get_children(&path, None).await.unwrap();
        names.sort_by_key(|name| name.rsplit('-').next().map(str::to_owned));
        let first = format!("{path}/{}", names[1]);
        observer.delete(&first, None).await.unwrap();
        held.release().await.unwrap();
        first
    };
    let (waited, first) = futures_util::future::join(wait, disturb).await;
    let removed = Error::Removed { path: first.into() };
    assert_eq!(waited.unwrap_err(), removed);
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn several_that_are_dropped_at_any_poll_leave_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let three = Semaphore::new(&client, PATH, 3);
    for polls in 0.. {
        let acquired = within("two", drop_after(polls, three.acquire_many(2))).await;
        let is_done = acquired.is_some();
        drop(acquired);
        until_clean(&client, &observer).await;
        if is_done {
            assert!(polls > 6);
            break;
        }
    }
}
