//! What one puts in, the other takes out, in order.

use std::time::Duration;

use zk_recipes::{DistributedQueue, QueueClaim, QueueLayout, SimpleQueue};

use super::*;

const PATH: &str = "/queue";
const LOCKS: &str = "/queue-locks";
const ITEMS: usize = 20;

#[tokio::test]
async fn curators_simple_queue_goes_both_ways() {
    let both = Both::start(Library::Curator).await;
    let queue = SimpleQueue::builder(&both.client, PATH).build().unwrap();
    let theirs = both.peer.handle("q");
    for item in 0..ITEMS {
        within("an offer", queue.offer(format!("ours-{item}")))
            .await
            .unwrap();
    }
    for item in 0..ITEMS {
        let taken = theirs.ask(&format!("take simple {PATH}")).await;
        assert_eq!(taken, format!("ours-{item}"));
    }
    for item in 0..ITEMS {
        theirs
            .ask(&format!("put simple {PATH} theirs-{item}"))
            .await;
    }
    for item in 0..ITEMS {
        let taken = within("an item", queue.take()).await.unwrap();
        assert_eq!(taken.data, format!("theirs-{item}").as_bytes());
    }
    // Whoever waits is woken by the other's item.
    theirs.tell(&format!("take simple {PATH}")).await;
    both.assert_waits(&theirs).await;
    within("an offer", queue.offer("late")).await.unwrap();
    assert_eq!(theirs.done().await, "late");
    let mut take = Box::pin(queue.take());
    both.assert_pending(take.as_mut()).await;
    theirs.ask(&format!("put simple {PATH} later")).await;
    let taken = within("an item", take).await.unwrap();
    assert_eq!(taken.data, "later");
}

async fn worked(claim: impl Future<Output = Result<QueueClaim, zk_recipes::Error>>) -> String {
    let claim = within("a claim", claim).await.unwrap();
    let item = String::from_utf8(claim.items[0].to_vec()).unwrap();
    within("the end", claim.done()).await.unwrap();
    item
}

#[tokio::test]
async fn curators_queue_goes_both_ways() {
    let both = Both::start(Library::Curator).await;
    let queue = DistributedQueue::builder(&both.client, PATH);
    let queue = queue.build().unwrap();
    let theirs = both.peer.handle("q");
    for item in 0..ITEMS {
        let put = format!("put queue {PATH} {LOCKS} theirs-{item}");
        theirs.ask(&put).await;
    }
    for item in 0..ITEMS {
        assert_eq!(worked(queue.claim()).await, format!("theirs-{item}"));
    }
    let mut expected = Vec::new();
    for item in 0..ITEMS {
        expected.push(format!("ours-{item}"));
        within("a put", queue.put(format!("ours-{item}")))
            .await
            .unwrap();
    }
    theirs.ask(&format!("consume queue {PATH} {LOCKS}")).await;
    let consumed = theirs.ask(&format!("consumed {ITEMS}")).await;
    assert_eq!(consumed, expected.join(","));
    both.until_count(PATH, 0).await;
}

/// Under the same locks nobody gets what the other works on.
#[tokio::test]
async fn curators_consumers_and_ours_share_a_queue() {
    let both = Both::start(Library::Curator).await;
    let queue = DistributedQueue::builder(&both.client, PATH);
    let queue = queue.build().unwrap();
    let theirs = both.peer.handle("q");
    let mut expected = Vec::new();
    for item in 0..10 * ITEMS {
        expected.push(format!("item-{item:03}"));
        within("a put", queue.put(format!("item-{item:03}")))
            .await
            .unwrap();
    }
    theirs.ask(&format!("consume queue {PATH} {LOCKS}")).await;
    let mut worked_on = Vec::new();
    while !within("a look", queue.is_empty()).await.unwrap() {
        let claimed = within("a claim", queue.try_claim()).await.unwrap();
        if let Some(claim) = claimed {
            worked_on.push(String::from_utf8(claim.items[0].to_vec()).unwrap());
            within("the end", claim.done()).await.unwrap();
        }
    }
    let consumed = theirs.ask("stop").await;
    worked_on.extend(
        consumed
            .split(',')
            .filter(|item| !item.is_empty())
            .map(str::to_owned),
    );
    worked_on.sort_unstable();
    assert_eq!(worked_on, expected);
}

#[tokio::test]
async fn curators_priorities_are_ours() {
    let both = Both::start(Library::Curator).await;
    let queue = DistributedQueue::builder(&both.client, PATH)
        .by_priority()
        .build()
        .unwrap();
    let theirs = both.peer.handle("q");
    for (item, priority) in [("c", 5), ("a", -7)] {
        let put = format!("put priority {PATH} {LOCKS} {item} {priority}");
        theirs.ask(&put).await;
    }
    for (item, priority) in [("d", 6), ("b", -2)] {
        within("a put", queue.put(item, priority)).await.unwrap();
    }
    for item in ["a", "b"] {
        assert_eq!(worked(queue.claim()).await, item);
    }
    theirs
        .ask(&format!("consume priority {PATH} {LOCKS}"))
        .await;
    assert_eq!(theirs.ask("consumed 2").await, "c,d");
}

#[tokio::test]
async fn curators_delays_are_ours() {
    let both = Both::start(Library::Curator).await;
    let queue = DistributedQueue::builder(&both.client, PATH)
        .delayed()
        .build()
        .unwrap();
    let theirs = both.peer.handle("q");
    theirs
        .ask(&format!("put delay {PATH} {LOCKS} late 3600000"))
        .await;
    theirs
        .ask(&format!("put delay {PATH} {LOCKS} soon 300"))
        .await;
    assert_eq!(worked(queue.claim()).await, "soon");
    let soon = Duration::from_millis(300);
    within("a put", queue.put_after("ours", soon))
        .await
        .unwrap();
    theirs.ask(&format!("consume delay {PATH} {LOCKS}")).await;
    assert_eq!(theirs.ask("consumed 1").await, "ours");
    both.until_count(PATH, 1).await;
}

#[tokio::test]
async fn curators_ids_are_ours() {
    let both = Both::start(Library::Curator).await;
    let queue = DistributedQueue::builder(&both.client, PATH)
        .with_ids()
        .build()
        .unwrap();
    let theirs = both.peer.handle("q");
    for (item, id) in [("1", "x"), ("2", "a/b"), ("3", "x")] {
        let put = format!("put id {PATH} {LOCKS} {item} {id}");
        theirs.ask(&put).await;
    }
    assert_eq!(within("removal", queue.remove("x")).await.unwrap(), 2);
    within("a put", queue.put("4", "y|z")).await.unwrap();
    assert_eq!(worked(queue.claim()).await, "2");
    theirs.ask(&format!("consume id {PATH} {LOCKS}")).await;
    assert_eq!(theirs.ask("consumed 1").await, "4");
}

#[tokio::test]
async fn kazoos_queue_goes_both_ways() {
    let both = Both::start(Library::Kazoo).await;
    let queue = DistributedQueue::builder(&both.client, PATH);
    let queue = queue.layout(QueueLayout::Kazoo).build().unwrap();
    let theirs = both.peer.handle("q");
    for item in 0..ITEMS {
        theirs.ask(&format!("put queue {PATH} theirs-{item}")).await;
        within("a put", queue.put(format!("ours-{item}")))
            .await
            .unwrap();
    }
    for item in 0..ITEMS {
        let taken = within("an item", queue.take()).await.unwrap();
        assert_eq!(taken, [format!("theirs-{item}")]);
        let taken = theirs.ask(&format!("take queue {PATH}")).await;
        assert_eq!(taken, format!("ours-{item}"));
    }
}

#[tokio::test]
async fn kazoos_locking_queue_goes_both_ways() {
    let both = Both::start(Library::Kazoo).await;
    let queue = DistributedQueue::builder(&both.client, PATH);
    let queue = queue.layout(QueueLayout::KazooLocking).build().unwrap();
    let theirs = both.peer.handle("q");
    for item in ["a", "b", "c"] {
        theirs.ask(&format!("put locking {PATH} {item}")).await;
    }
    let claim = within("a claim", queue.claim()).await.unwrap();
    assert_eq!(claim.items, ["a"]);
    // They do not get what we work on.
    assert_eq!(theirs.ask(&format!("take locking {PATH}")).await, "b");
    within("the end", claim.done()).await.unwrap();
    within("a put", queue.put("d")).await.unwrap();
    assert_eq!(theirs.ask(&format!("take locking {PATH}")).await, "c");
    assert_eq!(worked(queue.claim()).await, "d");
}
