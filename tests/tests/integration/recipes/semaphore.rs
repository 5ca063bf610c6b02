//! The semaphore: as many as there are leases, in the order they asked.

use std::time::Duration;

use tokio::sync::mpsc;
use zk_client::CreateMode;
use zk_recipes::{Dialect, Error, Guard, Semaphore};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

pub(super) const PATH: &str = "/limits/s";
const SIZE: &str = "/limits/size";

pub(super) async fn lease(semaphore: &Semaphore) -> Guard {
    within("a lease", semaphore.acquire()).await.unwrap()
}

async fn children(observer: &Client, path: &str) -> usize {
    observer.sync("/").await.unwrap();
    observer
        .get_children(path, None)
        .await
        .map_or(0, |names| names.len())
}

/// That many wait, the one that is first among them included.
async fn until_in_line(observer: &Client, count: usize) {
    let locks = format!("{PATH}/locks");
    eventually("the line", async || {
        children(observer, &locks).await == count
    })
    .await;
}

pub(super) async fn leases(observer: &Client) -> usize {
    children(observer, &format!("{PATH}/leases")).await
}

pub(super) async fn until_clean(client: &Client, observer: &Client) {
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    let locks = children(observer, &format!("{PATH}/locks")).await;
    assert_eq!((locks, leases(observer).await), (0, 0));
}

fn wait_in_line(
    semaphore: Semaphore,
    client: &Client,
    number: usize,
    held: &mpsc::Sender<(usize, Guard)>,
) {
    let held = held.clone();
    let task = async move {
        let guard = semaphore.acquire().await.unwrap();
        held.send((number, guard)).await.unwrap();
    };
    drop(client.env().spawn("waiter", Box::pin(task)));
}

#[tokio::test]
async fn so_many_hold_at_a_time_in_the_order_they_asked() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let semaphore = Semaphore::new(&client, PATH, 2);
    let mut holders = vec![lease(&semaphore).await, lease(&semaphore).await];
    assert_eq!(leases(&observer).await, 2);
    let (held, mut order) = mpsc::channel(8);
    for number in 0..4 {
        wait_in_line(semaphore.clone(), &client, number, &held);
        until_in_line(&observer, number + 1).await;
    }
    let mut last = holders[1].fencing_token();
    for expected in 0..4 {
        assert!(order.try_recv().is_err(), "one more than there are leases");
        release(holders.remove(0)).await;
        let (number, next) = within("the next", order.recv()).await.unwrap();
        assert_eq!(number, expected);
        assert!(next.fencing_token() > last);
        last = next.fencing_token();
        holders.push(next);
    }
    for holder in holders {
        release(holder).await;
    }
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn the_layout_is_curators() {
    let target = Target::start().await;
    let client = target.client().await;
    let semaphore = Semaphore::builder(&client, PATH, 1)
        .data("me")
        .build()
        .unwrap();
    let guard = lease(&semaphore).await;
    let name = guard.path().strip_prefix("/limits/s/leases/_c_").unwrap();
    assert!(
        name.ends_with("-lease-0000000000") && name.len() == 36 + 17,
        "{name}"
    );
    let (data, stat) = client.get_data(guard.path(), None).await.unwrap();
    assert_eq!(
        (&data[..], stat.ephemeral_owner),
        (&b"me"[..], client.session_id())
    );
    release(guard).await;
}

#[tokio::test]
async fn a_shared_count_resizes_it_while_it_is_in_use() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let shared = || {
        Semaphore::builder(&client, PATH, 1)
            .size_from(SIZE)
            .build()
            .unwrap()
    };
    let semaphore = shared();
    let first = lease(&semaphore).await;
    let (count, _) = observer.get_data(SIZE, None).await.unwrap();
    assert_eq!(count, [0, 0, 0, 1][..]);
    let (held, mut order) = mpsc::channel(8);
    for number in 0..3 {
        wait_in_line(shared(), &client, number, &held);
        until_in_line(&observer, number + 1).await;
    }
    assert!(order.try_recv().is_err());
    // By somebody else's program.
    observer.set_data(SIZE, [0, 0, 0, 3], None).await.unwrap();
    let (number, second) = within("a lease", order.recv()).await.unwrap();
    assert_eq!(number, 0);
    let (number, third) = within("a lease", order.recv()).await.unwrap();
    assert_eq!(number, 1);
    until_in_line(&observer, 1).await;
    within("the new size", semaphore.resize(1)).await.unwrap();
    // Two leases too many: they stay, and nobody comes in their stead.
    release(first).await;
    release(second).await;
    observer.sync("/").await.unwrap();
    assert!(order.try_recv().is_err());
    release(third).await;
    let (number, fourth) = within("a lease", order.recv()).await.unwrap();
    assert_eq!(number, 2);
    release(fourth).await;
    until_clean(&client, &observer).await;
    observer.set_data(SIZE, b"5", None).await.unwrap();
    let refused = within("the refusal", semaphore.acquire()).await;
    assert!(
        matches!(refused, Err(Error::BadDocument { .. })),
        "{refused:?}"
    );
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn tries_and_limits_leave_nothing_behind() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let semaphore = Semaphore::new(&client, PATH, 1);
    let limit = Duration::from_millis(50);
    let guard = within("a try", semaphore.try_acquire())
        .await
        .unwrap()
        .unwrap();
    assert!(
        within("a try", semaphore.try_acquire())
            .await
            .unwrap()
            .is_none()
    );
    let late = within("the deadline", semaphore.acquire_within(limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    assert_eq!(leases(&observer).await, 1);
    release(guard).await;
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn dropped_at_any_poll_it_leaves_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    for dialect in [Dialect::Curator, Dialect::Kazoo] {
        let path = if dialect == Dialect::Kazoo {
            "/limits/k"
        } else {
            PATH
        };
        let semaphore = Semaphore::builder(&client, path, 1)
            .dialect(dialect)
            .build()
            .unwrap();
        let mut polls = 0;
        loop {
            let acquired = within("a lease", drop_after(polls, semaphore.acquire())).await;
            let is_done = acquired.is_some();
            drop(acquired);
            until_clean(&client, &observer).await;
            assert_eq!(children(&observer, "/limits/k-__lock__").await, 0);
            if dialect == Dialect::Kazoo {
                assert_eq!(children(&observer, "/limits/k").await, 0);
            }
            if is_done {
                break;
            }
            polls += 1;
        }
        assert!(polls > 4);
    }
}

#[tokio::test]
async fn lost_requests_and_replies_neither_lose_nor_double_a_lease() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    for dialect in [Dialect::Curator, Dialect::Kazoo] {
        let (path, leases) = match dialect {
            Dialect::Kazoo => ("/limits/k", "/limits/k"),
            _ => (PATH, "/limits/s/leases"),
        };
        let semaphore = Semaphore::builder(&client, path, 1)
            .dialect(dialect)
            .build()
            .unwrap();
        release(lease(&semaphore).await).await;
        for (direction, bytes) in [(Direction::ToServer, 500), (Direction::ToClient, 600)] {
            for at in (1..bytes).step_by(repetitions(23, 100)) {
                until_connected(&client).await;
                proxy.cut_after(direction, at, Cut::Reset);
                let guard = lease(&semaphore).await;
                assert_eq!(
                    children(&observer, leases).await,
                    1,
                    "{dialect:?} {direction:?} {at}"
                );
                drop(guard);
                eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
                assert_eq!(
                    children(&observer, leases).await,
                    0,
                    "{dialect:?} {direction:?} {at}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_first_in_line_keeps_its_place_through_a_disconnection() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let holder = lease(&Semaphore::new(&observer, PATH, 1)).await;
    let faults = async {
        eventually("the lease's znode", async || leases(&observer).await == 2).await;
        proxy.refuse(true);
        proxy.cut(Cut::Reset);
        until_not_connected(&client).await;
        release(holder).await;
        proxy.refuse(false);
    };
    let semaphore = Semaphore::new(&client, PATH, 1);
    let (guard, ()) = futures_util::future::join(lease(&semaphore), faults).await;
    release(guard).await;
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn an_expired_session_gives_its_lease_away_and_ends_its_wait() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let other = Semaphore::new(&observer, PATH, 1);
    let semaphore = Semaphore::new(&client, PATH, 1);
    let guard = lease(&semaphore).await;
    let wait = within("the end of the wait", semaphore.acquire());
    let expire = async {
        until_in_line(&observer, 1).await;
        target.expire(&client).await;
    };
    let (waited, ()) = futures_util::future::join(wait, expire).await;
    assert_eq!(waited.unwrap_err(), Error::EpochEnded);
    assert_eq!(lost(&guard).await, Why::EpochEnded);
    release(lease(&other).await).await;
    until_clean(&client, &observer).await;
}

#[tokio::test]
async fn kazoos_layout_tells_the_size_and_takes_one_lease_at_a_time() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let kazoo = |size| {
        let builder = Semaphore::builder(&client, "/limits/k", size);
        builder.dialect(Dialect::Kazoo).data("me").build().unwrap()
    };
    let semaphore = kazoo(2);
    let (first, second) = (lease(&semaphore).await, lease(&semaphore).await);
    observer.sync("/").await.unwrap();
    let (data, _) = observer.get_data("/limits/k", None).await.unwrap();
    assert_eq!(data, "2");
    let name = first.path().strip_prefix("/limits/k/").unwrap();
    assert!(
        name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{name}"
    );
    let (data, _) = observer.get_data(first.path(), None).await.unwrap();
    assert_eq!(data, "me");
    assert!(
        within("a try", semaphore.try_acquire())
            .await
            .unwrap()
            .is_none()
    );
    let (held, mut order) = mpsc::channel(8);
    wait_in_line(semaphore.clone(), &client, 0, &held);
    let gate = "/limits/k-__lock__";
    eventually("the waiter", async || children(&observer, gate).await == 1).await;
    assert!(order.try_recv().is_err());
    release(first).await;
    let (_, third) = within("a lease", order.recv()).await.unwrap();
    assert_eq!(children(&observer, "/limits/k").await, 2);
    let other = within("the refusal", kazoo(3).acquire()).await;
    assert!(
        matches!(other, Err(Error::InvalidArgument { .. })),
        "{other:?}"
    );
    release(second).await;
    release(third).await;
}

#[tokio::test]
async fn who_is_pushed_out_of_kazoos_inner_lock_creates_no_lease() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let semaphore = Semaphore::builder(&client, "/limits/k", 1).dialect(Dialect::Kazoo);
    let semaphore = semaphore.build().unwrap();
    let holder = lease(&semaphore).await;
    let gate = "/limits/k-__lock__";
    let push = async {
        eventually("the waiter", async || children(&observer, gate).await == 1).await;
        let own = observer.get_children(gate, None).await.unwrap().remove(0);
        observer
            .delete(&format!("{gate}/{own}"), None)
            .await
            .unwrap();
        drop(holder);
    };
    let wait = within("the answer", semaphore.acquire());
    let (waited, ()) = futures_util::future::join(wait, push).await;
    assert!(matches!(waited, Err(Error::Removed { .. })), "{waited:?}");
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    assert_eq!(children(&observer, "/limits/k").await, 0);
}

#[tokio::test]
async fn a_worn_out_parent_of_leases_is_made_anew_once_it_is_empty() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let wrapped = format!("{PATH}/leases/_c_x-lease--2147483648");
    observer
        .create_all(&wrapped, b"", CreateMode::Persistent)
        .await
        .unwrap();
    let semaphore = Semaphore::new(&client, PATH, 3);
    let limit = Duration::from_millis(100);
    let late = within("the deadline", semaphore.acquire_within(limit)).await;
    assert!(
        matches!(late, Err(Error::SequenceExhausted { .. })),
        "{late:?}"
    );
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    observer.delete(&wrapped, None).await.unwrap();
    release(lease(&semaphore).await).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let target = Target::start().await;
    let client = target.client().await;
    let builder = |path: &str, size| Semaphore::builder(&client, path, size);
    assert!(builder("/", 1).build().is_err());
    assert!(builder(PATH, 0).build().is_err());
    assert!(builder(PATH, u32::MAX).build().is_err());
    assert!(builder(PATH, 1).dialect(Dialect::GoZk).build().is_err());
    let kazoo = builder(PATH, 1).dialect(Dialect::Kazoo);
    assert!(kazoo.size_from(SIZE).build().is_err());
    assert!(builder(PATH, 1).build().unwrap().resize(3).await.is_err());
}
