//! Counters and shared values.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;
use zk_client::{CreateMode, Outcome};
use zk_recipes::{AtomicLong, CachedLong, CasCell, Error, NumberFormat, SharedCount, SharedValue};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

const COUNTER: &str = "/counters/c";
const WITNESSES: &str = "/witnesses";

fn number(client: &Client) -> AtomicLong {
    AtomicLong::builder(client, COUNTER).build().unwrap()
}

fn exact(client: &Client) -> AtomicLong {
    let builder = AtomicLong::builder(client, COUNTER);
    builder.exactly_once(WITNESSES).build().unwrap()
}

async fn data(observer: &Client) -> Bytes {
    observer.sync("/").await.unwrap();
    observer.get_data(COUNTER, None).await.unwrap().0
}

#[tokio::test]
async fn numbers_are_kept_as_curator_and_kazoo_keep_them() {
    let target = Target::start().await;
    let client = target.client().await;
    for (format, bytes) in [
        (NumberFormat::Long, &[0, 0, 0, 0, 0, 0, 1, 4][..]),
        (NumberFormat::Int, &[0, 0, 1, 4]),
        (NumberFormat::Text, b"260"),
    ] {
        let builder = AtomicLong::builder(&client, COUNTER).format(format);
        let number = builder.initial(250).build().unwrap();
        assert_eq!(number.get().await, Ok(250));
        let changed = number.add(10).await.unwrap();
        assert_eq!((changed.before, changed.after), (250, 260));
        assert_eq!(data(&client).await, bytes, "{format:?}");
        assert_eq!(number.decrement().await.unwrap().after, 259);
        assert_eq!(number.compare_and_set(7, 8).await, Ok(Err(259)));
        let set = number.compare_and_set(259, 8).await.unwrap().unwrap();
        assert_eq!((set.before, set.after), (259, 8));
        assert_eq!(number.initialize(1).await, Ok(false));
        number.set(3).await.unwrap();
        assert_eq!(number.get().await, Ok(3));
        client.delete_all("/counters").await.unwrap();
        number.set(4).await.unwrap();
        client.delete_all("/counters").await.unwrap();
        assert_eq!(number.initialize(1).await, Ok(true));
        client.delete_all("/counters").await.unwrap();
    }
}

#[tokio::test]
async fn what_does_not_fit_or_is_no_number_changes_nothing() {
    let target = Target::start().await;
    let client = target.client().await;
    number(&client).set(i64::MAX).await.unwrap();
    let refused = number(&client).increment().await;
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    assert_eq!(number(&client).get().await, Ok(i64::MAX));
    client.set_data(COUNTER, b"2.5", None).await.unwrap();
    let refused = number(&client).increment().await;
    assert!(
        matches!(refused, Err(Error::BadDocument { .. })),
        "{refused:?}"
    );
    assert_eq!(data(&client).await, "2.5");
    // As kazoo and Curator, nothing is the initial number.
    client.set_data(COUNTER, b"", None).await.unwrap();
    assert_eq!(number(&client).increment().await.unwrap().after, 1);
}

#[tokio::test]
async fn each_increment_of_many_counts_once() {
    let target = Target::start().await;
    let rounds = repetitions(40, 10);
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(target.client().await);
    }
    let lock = Mutex::new(&clients[0], "/locks/counter");
    let plain = AtomicLong::builder(&clients[0], COUNTER);
    let mut numbers = vec![plain.lock(lock).build().unwrap()];
    numbers.extend(clients[1..3].iter().map(number));
    numbers.push(exact(&clients[3]));
    let work = numbers.iter().map(async |number| {
        let mut seen = Vec::new();
        for _ in 0..rounds {
            seen.push(number.increment().await.unwrap().after);
        }
        assert!(seen.is_sorted_by(|a, b| a < b));
        seen
    });
    let seen: Vec<i64> = within("the increments", join_all(work)).await.concat();
    let all: BTreeSet<i64> = seen.iter().copied().collect();
    let expected = 4 * i64::try_from(rounds).unwrap();
    assert!(all.into_iter().eq(1..=expected), "{seen:?}");
}

#[tokio::test]
async fn with_a_witness_a_lost_reply_counts_once() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let (mine, others) = (exact(&client), number(&other));
    let mut expected = 0;
    for (direction, bytes) in [(Direction::ToServer, 400), (Direction::ToClient, 400)] {
        for at in (1..bytes).step_by(repetitions(9, 50)) {
            until_connected(&client).await;
            proxy.cut_after(direction, at, Cut::Reset);
            // Others write the same bytes as often as not.
            let both = futures_util::future::join(mine.increment(), others.increment());
            let (mine, others) = within("both", both).await;
            mine.unwrap();
            others.unwrap();
            expected += 2;
            assert_eq!(
                number(&other).get().await,
                Ok(expected),
                "{direction:?} {at}"
            );
        }
    }
    drop(mine);
    eventually("the witness to go", async || {
        other
            .get_children(WITNESSES, None)
            .await
            .unwrap_or_default()
            .is_empty()
    })
    .await;
}

#[tokio::test]
async fn without_one_nothing_is_repeated_that_may_have_been_applied() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let mine = number(&client);
    mine.set(0).await.unwrap();
    let mut unknown = 0;
    for at in (1..260).step_by(repetitions(7, 30)) {
        until_connected(&client).await;
        let before = number(&other).get().await.unwrap();
        proxy.cut_after(Direction::ToClient, at, Cut::Reset);
        let changed = within("the increment", mine.increment()).await;
        other.sync("/").await.unwrap();
        let after = number(&other).get().await.unwrap();
        match changed {
            Ok(changed) => assert_eq!((changed.before, changed.after), (before, after)),
            Err(Error::Client(error)) => {
                assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
                unknown += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(after - before <= 1, "{before} {after}");
    }
    assert!(unknown > 0, "no reply was lost");
}

#[tokio::test]
async fn a_dropped_increment_counts_once_at_most() {
    let target = Target::start().await;
    let client = target.client().await;
    for number in [number(&client), exact(&client)] {
        for polls in 0..20 {
            let before = number.get().await.unwrap();
            let done = within("a drop", drop_after(polls, number.increment())).await;
            client.sync("/").await.unwrap();
            let after = number.get().await.unwrap();
            let possible = if done.is_some() { 1..=1 } else { 0..=1 };
            assert!(possible.contains(&(after - before)), "{polls}");
        }
    }
}

#[tokio::test]
async fn cached_numbers_are_distinct_and_rise() {
    let target = Target::start().await;
    let (a, b) = (target.client().await, target.client().await);
    let cached = [&a, &b].map(|client| CachedLong::new(number(client), 7).unwrap());
    let work = cached.iter().map(async |cached| {
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push(cached.next().await.unwrap());
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        seen
    });
    let seen: Vec<i64> = within("the numbers", join_all(work)).await.concat();
    let distinct: BTreeSet<i64> = seen.iter().copied().collect();
    assert_eq!((distinct.len(), distinct.first()), (40, Some(&0)));
    // Three ranges each, taken on other servers of an ensemble, perhaps.
    a.sync("/").await.unwrap();
    assert_eq!(number(&a).get().await, Ok(42));
    assert!(CachedLong::new(number(&a), 0).is_err());
}

#[tokio::test]
async fn a_cell_is_written_only_as_it_was_read() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let cell = |client| CasCell::builder(client, "/cells/x").build().unwrap();
    let (a, b) = (cell(&client), cell(&other));
    assert_eq!(a.get().await, Ok(None));
    let first = a.compare_and_set(None, "one").await.unwrap().unwrap();
    assert_eq!(b.compare_and_set(None, "uno").await, Ok(None));
    let second = a
        .compare_and_set(Some(first), "two")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.version, first.version + 1);
    assert_eq!(b.compare_and_set(Some(first), "due").await, Ok(None));
    let seen = b
        .update(|data| Ok([data.unwrap(), b"!"].concat().into()))
        .await;
    let seen = seen.unwrap();
    assert_eq!(seen.value, "two!");
    // On another server of an ensemble, perhaps.
    client.sync("/").await.unwrap();
    assert_eq!(a.get().await.unwrap().unwrap(), seen);
    let refused = a.update(|_| Err(Error::EpochEnded)).await;
    assert_eq!(refused, Err(Error::EpochEnded), "the caller's own");
}

async fn until_count(count: &SharedCount, wanted: i32) {
    eventually("the count", async || {
        count.current().unwrap().value == wanted
    })
    .await;
}

#[tokio::test]
async fn a_shared_count_is_seen_by_all_and_set_by_one() {
    let target = Target::start().await;
    let (a, b) = (target.client().await, target.client().await);
    let path = "/shared/n";
    let (a, b) = (
        SharedCount::start(&a, path, 4).await.unwrap(),
        SharedCount::start(&b, path, 9).await.unwrap(),
    );
    let seen = b.current().unwrap();
    assert_eq!(seen.value, 4, "the seed of the first");
    let set = a.try_set(seen.stamp, 5).await.unwrap().unwrap();
    let changed = within("the change", b.changed(seen.stamp)).await.unwrap();
    assert_eq!((changed.value, changed.stamp), (5, set));
    assert_eq!(b.try_set(seen.stamp, 6).await, Ok(None));
    b.set(-1).await.unwrap();
    until_count(&a, -1).await;
}

#[tokio::test]
async fn a_shared_value_is_followed_through_faults_and_made_anew() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, other) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let path = "/shared/n";
    let count = SharedCount::start(&client, path, 1).await.unwrap();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let bytes = |number: i32| number.to_be_bytes();
    other.set_data(path, bytes(2), None).await.unwrap();
    proxy.refuse(false);
    until_count(&count, 2).await;
    target.expire(&client).await;
    other.set_data(path, bytes(3), None).await.unwrap();
    until_count(&count, 3).await;
    other.delete(path, None).await.unwrap();
    until_count(&count, 1).await;
    // Whoever deletes and creates at the same version is seen, too.
    let both = other.transaction().delete(path, None);
    let both = both.create(path, bytes(8), CreateMode::Persistent);
    both.commit().await.unwrap();
    until_count(&count, 8).await;
    other.set_data(path, b"rubbish", None).await.unwrap();
    eventually("rubbish to be told", async || {
        matches!(count.current(), Err(Error::BadDocument { .. }))
    })
    .await;
}

#[tokio::test]
async fn a_shared_value_says_that_it_is_followed_no_longer() {
    let target = Target::start().await;
    let client = target.client().await;
    let value = SharedValue::start(&client, "/shared/v", "x").await.unwrap();
    let mut watched = value.watch();
    client.close().await.unwrap();
    let ended = within("the end", watched.wait_for(Result::is_err)).await;
    assert!(matches!(*ended.unwrap(), Err(Error::Client(_))));
    assert!(value.current().is_err());
}
