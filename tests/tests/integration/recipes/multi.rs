//! Several locks as one: all or none.

use std::time::Duration;

use zk_recipes::{Ended, Error, MultiGuard, MultiLock, MultiTerm, Policy, ReadWriteLock};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;
use crate::cancel::drop_after;

const A: &str = "/locks/a";
const B: &str = "/locks/b";
const C: &str = "/locks/c";

fn mutexes(client: &Client, paths: &[&str]) -> MultiLock {
    let builder = MultiLock::builder(client);
    let named = paths.iter().fold(builder, |named, path| named.mutex(*path));
    named.build().unwrap()
}

async fn all(locks: &MultiLock) -> MultiGuard {
    within("all locks", locks.acquire()).await.unwrap()
}

async fn children(observer: &Client) -> Vec<usize> {
    observer.sync("/").await.unwrap();
    let mut counts = Vec::new();
    for path in [A, B, C] {
        let names = observer.get_children(path, None).await;
        counts.push(names.map_or(0, |names| names.len()));
    }
    counts
}

async fn until(observer: &Client, counts: [usize; 3]) {
    let what = format!("contenders {counts:?}");
    eventually(&what, async || children(observer).await == counts).await;
}

#[tokio::test]
async fn they_are_acquired_in_the_order_of_their_paths() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, B)).await;
    let locks = mutexes(&client, &[C, A, B]);
    assert_eq!(locks.paths().collect::<Vec<_>>(), [A, B, C]);
    let release_later = async {
        until(&observer, [1, 2, 0]).await;
        release(holder).await;
    };
    let (guard, ()) = futures_util::future::join(all(&locks), release_later).await;
    assert_eq!(children(&observer).await, [1, 1, 1]);
    let tokens = guard.fencing_tokens();
    assert!(tokens.is_sorted() && tokens.len() == 3);
    assert!(guard.guards()[0].path().starts_with(A));
    within("the release", guard.release()).await.unwrap();
    assert_eq!(children(&observer).await, [0, 0, 0]);
}

#[tokio::test]
async fn opposite_orders_make_no_deadlock() {
    let target = Target::start().await;
    let (one, other) = (target.client().await, target.client().await);
    let (ab, ba) = (mutexes(&one, &[A, B]), mutexes(&other, &[B, A]));
    let rounds = async |locks: &MultiLock| {
        for _ in 0..10 {
            let guard = all(locks).await;
            within("the release", guard.release()).await.unwrap();
        }
    };
    futures_util::future::join(rounds(&ab), rounds(&ba)).await;
}

#[tokio::test]
async fn one_deadline_is_for_all_and_none_is_kept() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, B)).await;
    let locks = mutexes(&client, &[A, B, C]);
    let limit = Duration::from_millis(50);
    let late = within("the deadline", locks.acquire_within(limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    until(&observer, [0, 1, 0]).await;
    assert!(
        within("a try", locks.try_acquire())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(children(&observer).await, [0, 1, 0]);
    release(holder).await;
    let guard = within("a try", locks.try_acquire()).await.unwrap().unwrap();
    drop(guard);
    until(&observer, [0, 0, 0]).await;
}

#[tokio::test]
async fn dropped_at_any_poll_it_leaves_no_znode() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let locks = mutexes(&client, &[A, B]);
    for polls in 0..5_000 {
        let acquired = within("all locks", drop_after(polls, locks.acquire())).await;
        let is_done = acquired.is_some();
        drop(acquired);
        eventually("the reaper", async || client.guaranteed_deletes() == 0).await;
        assert_eq!(children(&observer).await, [0, 0, 0]);
        if is_done {
            return assert!(polls > 4);
        }
    }
    panic!("never acquired");
}

#[tokio::test]
async fn a_lock_lost_while_waiting_for_another_gives_up_all() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let holder = acquire(&Mutex::new(&observer, B)).await;
    let locks = mutexes(&client, &[A, B]);
    let delete = async {
        until(&observer, [1, 2, 0]).await;
        let own = observer.get_children(A, None).await.unwrap().remove(0);
        observer.delete(&format!("{A}/{own}"), None).await.unwrap();
    };
    let wait = within("the answer", locks.acquire());
    let (waited, ()) = futures_util::future::join(wait, delete).await;
    assert_eq!(waited.unwrap_err(), Error::Lost(Why::Deleted));
    until(&observer, [0, 1, 0]).await;
    release(holder).await;
}

#[tokio::test]
async fn a_transaction_needs_all_of_them() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let rw = MultiLock::builder(&client).write(B).read(C).mutex(A);
    let guard = all(&rw.build().unwrap()).await;
    let write = guard.transaction().set_data("/", b"1", None).commit();
    assert_eq!(within("the write", write).await.unwrap().len(), 1);
    let missing = guard.transaction().delete("/missing", None).commit();
    let refused = within("the refusal", missing).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Client(zk_client::Error::Transaction { index: 0, .. })
        ),
        "{refused:?}"
    );
    let reader = ReadWriteLock::new(&observer, C);
    assert!(within("a try", reader.try_read()).await.unwrap().is_some());
    let path = guard.guards()[1].path().to_owned();
    observer.delete(&path, None).await.unwrap();
    let write = guard.transaction().set_data("/", b"2", None).commit();
    let refused = within("the refusal", write).await.unwrap_err();
    assert_eq!(refused, Error::Fenced { path: path.into() });
    assert_eq!(within("the loss", guard.lost()).await, Why::Deleted);
    assert_eq!(guard.current(), OwnershipState::Lost(Why::Deleted));
    let (data, _) = observer.get_data("/", None).await.unwrap();
    assert_eq!(data, "1");
    let released = within("the release", guard.release()).await;
    assert_eq!(released.unwrap_err(), Error::Lost(Why::Deleted));
    until(&observer, [0, 0, 0]).await;
}

#[tokio::test]
async fn work_ends_with_any_of_them() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let locks = mutexes(&client, &[A, B, C]);
    let counting = locks.run(Policy::OnSuspend, async |term: MultiTerm| {
        term.transaction()
            .set_data("/", b"1", None)
            .commit()
            .await?;
        Ok::<_, Error>(term.fencing_tokens().len())
    });
    let counted = within("the work", counting).await.unwrap();
    assert_eq!(counted, Ended::Finished(Ok(3)));
    assert_eq!(children(&observer).await, [0, 0, 0]);

    let (child, childs_end) = tokio::sync::oneshot::channel::<()>();
    let (told, mut path) = tokio::sync::mpsc::channel(1);
    let work = async move |term: MultiTerm| {
        term.spawn(async move {
            let _child = child;
            std::future::pending::<()>().await;
        });
        told.send(term.ownerships()[1].path().to_owned())
            .await
            .unwrap();
        std::future::pending::<()>().await;
    };
    let (ended, ending) = tokio::sync::oneshot::channel();
    let run = async move {
        // Whose future can be moved to another thread.
        let _ = ended.send(locks.run(Policy::OnLost, work).await);
    };
    drop(client.env().spawn("run", Box::pin(run)));
    let path = within("the start", path.recv()).await.unwrap();
    observer.delete(&path, None).await.unwrap();
    let ended = within("the end", ending).await.unwrap().unwrap();
    assert_eq!(ended, Ended::Lost(Why::Deleted));
    assert!(within("the child's end", childs_end).await.is_err());
    until(&observer, [0, 0, 0]).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let target = Target::start().await;
    let client = target.client().await;
    let builder = || MultiLock::builder(&client);
    assert!(builder().build().is_err());
    assert!(builder().mutex("/").build().is_err());
    assert!(builder().mutex(A).read(A).build().is_err());
}
