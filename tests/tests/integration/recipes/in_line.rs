//! Who has a lock and who waits for it, as told to those who ask.

use zk_recipes::{Dialect, ReadWriteLock, Semaphore};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::semaphore::{PATH, lease, leases};
use super::*;

#[tokio::test]
async fn who_has_it_and_who_waits_is_told() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let named = |client: &Client, name: &'static str| {
        let builder = Mutex::builder(client, LOCK).data(name);
        builder.build().unwrap()
    };
    let lock = named(&observer, "observer");
    assert_eq!(lock.in_line().await.unwrap(), []);
    let guard = acquire(&lock).await;
    let waiter = named(&client, "waiter");
    let look = async {
        until_contenders(&observer, 2).await;
        lock.in_line().await.unwrap()
    };
    let waiting = tokio::select! {
        _ = waiter.acquire() => unreachable!("it is held"),
        waiting = look => waiting,
    };
    let told: Vec<_> = waiting
        .iter()
        .map(|it| (&it.data[..], it.is_owner))
        .collect();
    assert_eq!(told, [(&b"observer"[..], true), (b"waiter", false)]);
    assert_eq!(waiting[0].path, guard.path());
    assert_eq!(waiting[0].token, guard.fencing_token());
    assert_eq!(waiting[1].session, client.session_id());
    release(guard).await;
}

#[tokio::test]
async fn the_holders_of_leases_and_the_next_are_told() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let semaphore = |client: &Client, name: &'static str| {
        let builder = Semaphore::builder(client, PATH, 2).data(name);
        builder.build().unwrap()
    };
    assert_eq!(semaphore(&observer, "").in_line().await.unwrap(), []);
    let (a, b) = (semaphore(&client, "a"), semaphore(&client, "b"));
    let held = [lease(&a).await, lease(&b).await];
    let third = semaphore(&client, "c");
    let waiting = async { third.acquire().await };
    let told = async {
        eventually("three leases", async || leases(&observer).await == 3).await;
        semaphore(&observer, "").in_line().await.unwrap()
    };
    let told = tokio::select! {
        _ = waiting => unreachable!("there is no third lease"),
        told = within("all in line", told) => told,
    };
    let names: Vec<_> = told.iter().map(|it| (&it.data[..], it.is_owner)).collect();
    assert_eq!(names, [(&b"a"[..], true), (b"b", true), (b"c", false)]);
    assert_eq!(told[0].token, held[0].fencing_token());
    assert_eq!(told[1].session, client.session_id());
    let kazoo = Semaphore::builder(&client, "/locks/k", 2).dialect(Dialect::Kazoo);
    let kazoo = kazoo.data("me").build().unwrap();
    let guard = lease(&kazoo).await;
    let holders = kazoo.in_line().await.unwrap();
    assert_eq!((holders.len(), &holders[0].data[..]), (1, &b"me"[..]));
    release(guard).await;
}

#[tokio::test]
async fn readers_who_share_a_lock_all_have_it() {
    let target = Target::start().await;
    let client = target.client().await;
    let lock = ReadWriteLock::new(&client, LOCK);
    let readers = [lock.read().await.unwrap(), lock.read().await.unwrap()];
    let look = async {
        until_contenders(&client, 3).await;
        lock.in_line().await.unwrap()
    };
    let told = tokio::select! {
        _ = lock.write() => unreachable!("others read"),
        told = look => told,
    };
    let owners: Vec<_> = told.iter().map(|it| it.is_owner).collect();
    assert_eq!(owners, [true, true, false]);
    assert_eq!(told[1].token, readers[1].fencing_token());
}
