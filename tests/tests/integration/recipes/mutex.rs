//! The mutex in fair weather: order, cost, limits.

use std::time::Duration;

use tokio::sync::mpsc;
use zk_client::CreateMode;
use zk_proto::OpCode;
use zk_recipes::{Error, Mutex};
use zk_tests::wait::{eventually, within};
use zk_tests::{Tap, Target};

use super::*;

/// Waits for the lock in the background; whoever has it hands the guard over.
fn wait_in_line(client: &Client, number: usize, held: &mpsc::Sender<(usize, Guard)>) {
    let (lock, held) = (Mutex::new(client, LOCK), held.clone());
    let task = async move {
        let guard = lock.acquire().await.unwrap();
        held.send((number, guard)).await.unwrap();
    };
    drop(client.env().spawn("waiter", Box::pin(task)));
}

#[tokio::test]
async fn they_hold_it_one_at_a_time_in_the_order_they_asked() {
    let target = Target::start().await;
    let observer = target.client().await;
    let mut holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let (held, mut order) = mpsc::channel(8);
    for number in 0..5 {
        wait_in_line(&target.client().await, number, &held);
        until_contenders(&observer, number + 2).await;
    }
    for expected in 0..5 {
        let token = holder.fencing_token();
        assert!(order.try_recv().is_err(), "two at a time");
        release(holder).await;
        let (number, next) = within("the next", order.recv()).await.unwrap();
        assert_eq!(number, expected);
        assert!(next.fencing_token() > token);
        holder = next;
    }
    release(holder).await;
    assert_eq!(contenders(&observer).await, [""; 0]);
}

#[tokio::test]
async fn one_waiter_wakes_per_release() {
    let target = Target::start().await;
    let observer = target.client().await;
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let tap = Tap::start(target.host()).await;
    let (held, mut order) = mpsc::channel(16);
    let mut waiters = Vec::new();
    for number in 0..10 {
        let client = target.client_through(&tap.host()).await;
        wait_in_line(&client, number, &held);
        until_contenders(&observer, number + 2).await;
        waiters.push(client);
    }
    // Every waiter has looked, and then watches the one ahead of it.
    eventually("the watches", async || tap.count(OpCode::GetData) == 10).await;
    let looked = tap.count(OpCode::GetChildren);
    release(holder).await;
    let (number, guard) = within("the next", order.recv()).await.unwrap();
    assert_eq!(number, 0);
    for client in &waiters {
        // Answered after every event that was on its way.
        client.sync("/").await.unwrap();
    }
    assert_eq!(tap.count(OpCode::GetChildren), looked + 1);
    assert!(order.try_recv().is_err());
    drop(guard);
}

#[tokio::test]
async fn uncontended_it_costs_two_requests_and_the_delete() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    let lock = Mutex::new(&client, LOCK);
    // Makes the parents.
    release(acquire(&lock).await).await;
    let count = || {
        let operations = [OpCode::Create2, OpCode::GetChildren, OpCode::Delete];
        operations.map(|op| tap.count(op))
    };
    let [created, listed, deleted] = count();
    let guard = acquire(&lock).await;
    assert_eq!(count(), [created + 1, listed + 1, deleted]);
    release(guard).await;
    assert_eq!(count(), [created + 1, listed + 1, deleted + 1]);
    let known = [OpCode::Create2, OpCode::GetChildren, OpCode::Delete];
    let keepers = [OpCode::GetData, OpCode::Multi];
    let others = tap.seen().into_iter().filter(|seen| {
        let is = |ops: &[OpCode]| ops.iter().any(|op| seen.is(*op));
        !is(&known) && !is(&keepers) && !seen.is(OpCode::CreateContainer)
    });
    let others: Vec<i32> = others.map(|seen| seen.request.op).collect();
    assert_eq!(others, [i32::from(OpCode::CreateSession)]);
}

#[tokio::test]
async fn trying_and_waiting_for_a_limited_time_leave_nothing_behind() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = Mutex::new(&client, LOCK);
    assert!(within("a try", lock.try_acquire()).await.unwrap().is_none());
    let limit = Duration::from_millis(50);
    let late = within("the deadline", lock.acquire_within(limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    let lock_with_deadline = Mutex::builder(&client, LOCK)
        .deadline(limit)
        .build()
        .unwrap();
    assert!(
        within("the deadline", lock_with_deadline.acquire())
            .await
            .is_err()
    );
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    assert_eq!(contenders(&observer).await.len(), 1);
    release(holder).await;
    let guard = within("a try", lock.try_acquire()).await.unwrap();
    release(guard.unwrap()).await;
    settled(&client, &observer).await;
}

#[tokio::test]
async fn the_token_rises_when_the_parent_was_reaped_in_between() {
    let target = Target::start().await;
    let client = target.client().await;
    let lock = Mutex::new(&client, LOCK);
    let mut token = None;
    for _ in 0..3 {
        let guard = acquire(&lock).await;
        // The counter starts again, the token does not.
        assert!(
            guard.path().ends_with("-lock-0000000000"),
            "{}",
            guard.path()
        );
        assert!(Some(guard.fencing_token()) > token);
        token = Some(guard.fencing_token());
        release(guard).await;
        // As the server does with an empty container.
        client.delete_all("/locks").await.unwrap();
    }
}

#[tokio::test]
async fn parents_that_vanish_all_the_time_are_made_again() {
    let target = Target::start().await;
    // On one server: behind one that lags, no parent would last until it has a child.
    let host = target.host();
    let client = target.client_through(host).await;
    let observer = target.client_through(host).await;
    let lock = Mutex::new(&client, LOCK);
    let reaper = async {
        loop {
            // Refused while there is a contender.
            let _ = observer.delete(LOCK, None).await;
            let _ = observer.delete("/locks", None).await;
        }
    };
    let work = async {
        for _ in 0..20 {
            release(acquire(&lock).await).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = reaper => {}
    }
}

#[tokio::test]
async fn missing_parents_are_made_as_containers_also_of_a_chroot() {
    let target = Target::start().await;
    let client = target.client().await;
    let deep = client.chroot("/not/there").unwrap();
    let guard = acquire(&Mutex::new(&deep, "/a/b/l")).await;
    assert!(
        client
            .exists(&format!("/not/there{}", guard.path()), None)
            .await
            .unwrap()
            .is_some()
    );
    release(guard).await;
}

#[tokio::test]
async fn whoever_asks_twice_waits_for_itself() {
    let target = Target::start().await;
    let client = target.client().await;
    let lock = Mutex::new(&client, LOCK);
    let guard = acquire(&lock).await;
    assert!(lock.try_acquire().await.unwrap().is_none());
    drop(guard);
    release(acquire(&lock).await).await;
}

#[tokio::test]
async fn paths_and_dialects_that_cannot_be_are_refused() {
    let target = Target::start().await;
    let client = target.client().await;
    for path in ["", "/", "locks", "/a//b"] {
        assert!(Mutex::builder(&client, path).build().is_err(), "{path:?}");
        assert!(
            Mutex::new(&client, path).acquire().await.is_err(),
            "{path:?}"
        );
    }
}

#[tokio::test]
async fn a_contender_that_somebody_deletes_is_told() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let lock = Mutex::new(&client, LOCK);
    let delete = async {
        until_contenders(&observer, 2).await;
        let own = contenders(&observer).await.remove(1);
        observer
            .delete(&format!("{LOCK}/{own}"), None)
            .await
            .unwrap();
        drop(holder);
    };
    let (waited, ()) =
        futures_util::future::join(within("the answer", lock.acquire()), delete).await;
    assert!(matches!(waited, Err(Error::Removed { .. })), "{waited:?}");
}

#[tokio::test]
async fn a_parent_whose_numbers_are_used_up_is_made_anew_once_it_is_empty() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    observer
        .create_all(LOCK, b"", CreateMode::Persistent)
        .await
        .unwrap();
    let wrapped = format!("{LOCK}/_c_x-lock--2147483648");
    observer
        .create(&wrapped, b"", CreateMode::Persistent)
        .await
        .unwrap();
    let before = observer.exists(LOCK, None).await.unwrap().unwrap();
    let lock = Mutex::new(&client, LOCK);
    let late = within(
        "the deadline",
        lock.acquire_within(Duration::from_millis(500)),
    )
    .await;
    assert!(
        matches!(late, Err(Error::SequenceExhausted { .. })),
        "{late:?}"
    );
    eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
    // It has come, seen, and gone again: two changes of the children.
    let changes = async || observer.exists(LOCK, None).await.unwrap().unwrap().cversion;
    let at_first = changes().await;
    let make_room = async {
        eventually("the contender's retreat", async || {
            changes().await >= at_first + 2
        })
        .await;
        observer.delete(&wrapped, None).await
    };
    let (guard, deleted) = futures_util::future::join(acquire(&lock), make_room).await;
    deleted.unwrap();
    let after = observer.exists(LOCK, None).await.unwrap().unwrap();
    assert!(after.czxid > before.czxid);
    release(guard).await;
}

#[tokio::test]
async fn a_list_of_contenders_that_is_too_long_is_a_typed_error() {
    let target = Target::start().await;
    let observer = target.client().await;
    let holder = acquire(&Mutex::new(&observer, LOCK)).await;
    let mode = CreateMode::Persistent;
    let crowd = (0..200).map(|number| {
        let name = format!("{LOCK}/a-foreign-child-with-a-long-name-{number}");
        observer.create(&name, b"", mode)
    });
    for created in crowd.collect::<Vec<_>>() {
        created.await.unwrap();
    }
    let client = target.builder().reply_limit(4096).connect().await.unwrap();
    let lock = Mutex::new(&client, LOCK);
    let refused = within("the answer", lock.acquire()).await.unwrap_err();
    match &refused {
        Error::Client(zk_client::Error::ReplyTooLarge { path, size, limit }) => {
            assert_eq!((&**path, *limit), (LOCK, 4096));
            assert!(*size > 200 * 30);
        }
        other => panic!("{other:?}"),
    }
    assert!(!refused.is_retryable());
    release(holder).await;
    // It stands in nobody's way.
    let lines = Mutex::new(&observer, LOCK);
    let empty = async || lines.in_line().await.unwrap().is_empty();
    eventually("its place is given up", empty).await;
}
