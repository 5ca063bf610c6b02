//! Queues whose items come back.

use std::time::{Duration, SystemTime};

use zk_client::{CreateMode, ErrorCode};
use zk_recipes::{DistributedQueue, Error, Proof, QueueClaim, QueueLayout};
use zk_tests::target::repetitions;
use zk_tests::wait::{eventually, until_connected, within};
use zk_tests::{Cut, Direction, Proxy, Target};

use super::*;
use crate::cancel::drop_after;

const QUEUE: &str = "/queue";
const LOCKS: &str = "/queue-locks";

fn queue(client: &Client) -> DistributedQueue {
    DistributedQueue::builder(client, QUEUE).build().unwrap()
}

async fn put(queue: &DistributedQueue, item: &str) -> String {
    within("a put", queue.put(item)).await.unwrap()
}

async fn claim(queue: &DistributedQueue) -> QueueClaim {
    within("a claim", queue.claim()).await.unwrap()
}

async fn done(claim: QueueClaim) {
    within("the end", claim.done()).await.unwrap();
}

fn text(claim: &QueueClaim) -> &str {
    std::str::from_utf8(&claim.items[0]).unwrap()
}

async fn names(observer: &Client, path: &str) -> Vec<String> {
    observer.sync("/").await.unwrap();
    match observer.get_children(path, None).await {
        Ok(mut names) => {
            names.sort_unstable();
            names
        }
        Err(error) => {
            assert_eq!(error.code(), Some(ErrorCode::NoNode));
            Vec::new()
        }
    }
}

/// That nobody holds anything, and nothing is left of those who did.
async fn until_nobody_works(observer: &Client) {
    eventually("no lock and no owner", async || {
        names(observer, LOCKS).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn items_come_in_order_with_rising_tokens_and_are_gone_when_done() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    for item in ["a", "b", "c"] {
        put(&queue, item).await;
    }
    assert_eq!(within("a count", queue.len()).await.unwrap(), 3);
    let mut tokens = Vec::new();
    for item in ["a", "b", "c"] {
        let claim = claim(&queue).await;
        assert_eq!(text(&claim), item);
        tokens.push(claim.fencing_token());
        done(claim).await;
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert!(queue.try_claim().await.unwrap().is_none());
    assert!(queue.is_empty().await.unwrap());
    until_nobody_works(&client).await;
}

#[tokio::test]
async fn the_layout_is_curators() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    assert_eq!(put(&queue, "ab").await, "queue-0000000000");
    let together = queue.put_together(&["c", "d"]).await.unwrap();
    assert_eq!(together, "queue-0000000001");
    let (data, _) = client
        .get_data("/queue/queue-0000000000", None)
        .await
        .unwrap();
    assert_eq!(&data[..], b"\0\x01\0\x01\x01\0\0\0\x02ab\x02");
    let first = claim(&queue).await;
    let locks = names(&client, LOCKS).await;
    assert_eq!(locks.len(), 2, "{locks:?}");
    assert!(locks.contains(&"queue-0000000000".to_owned()));
    let second = claim(&queue).await;
    assert_eq!(second.items, ["c", "d"]);
    done(second).await;
    done(first).await;
}

#[tokio::test]
async fn nobody_gets_what_somebody_works_on() {
    let target = Target::start().await;
    let (a, b) = (target.client().await, target.client().await);
    let (ours, theirs) = (queue(&a), queue(&b));
    put(&ours, "one").await;
    let claim_a = claim(&ours).await;
    assert!(theirs.try_claim().await.unwrap().is_none());
    let mut waiting = Box::pin(theirs.claim());
    for _ in 0..20 {
        tokio::select! {
            biased;
            claim = &mut waiting => panic!("{claim:?}"),
            synced = b.sync("/") => synced.unwrap(),
        }
    }
    // Given back: it is the other's.
    within("the release", claim_a.release()).await.unwrap();
    let claim_b = within("the item", waiting).await.unwrap();
    assert_eq!(text(&claim_b), "one");
    done(claim_b).await;
    a.sync("/").await.unwrap();
    assert!(ours.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_dropped_claim_gives_the_item_back() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    put(&queue, "one").await;
    let first = claim(&queue).await;
    let token = first.fencing_token();
    drop(first);
    let second = claim(&queue).await;
    assert_eq!(text(&second), "one");
    assert!(second.fencing_token() > token);
    done(second).await;
    until_nobody_works(&client).await;
}

#[tokio::test]
async fn an_expired_owner_is_fenced_and_the_item_is_anothers() {
    let target = Target::start().await;
    let (a, b) = (target.client().await, target.client().await);
    let (ours, theirs) = (queue(&a), queue(&b));
    put(&ours, "one").await;
    let old = claim(&ours).await;
    target.expire(&a).await;
    let new = claim(&theirs).await;
    assert_eq!(text(&new), "one");
    assert!(new.fencing_token() > old.fencing_token());
    until_connected(&a).await;
    let fenced = old
        .transaction()
        .create("/effect", b"", CreateMode::Persistent);
    let fenced = within("an answer", fenced.commit()).await;
    assert!(matches!(fenced, Err(Error::Fenced { .. })), "{fenced:?}");
    let ended = within("an answer", old.done()).await;
    assert!(matches!(ended, Err(Error::Fenced { .. })), "{ended:?}");
    let effect = new
        .transaction()
        .create("/effect", b"", CreateMode::Persistent);
    within("the effect", effect.commit()).await.unwrap();
    done(new).await;
    assert!(theirs.is_empty().await.unwrap());
    until_nobody_works(&b).await;
}

#[tokio::test]
async fn what_is_put_back_goes_to_the_end() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    for item in ["a", "b"] {
        put(&queue, item).await;
    }
    let a = claim(&queue).await;
    within("the end", a.put_back()).await.unwrap();
    for item in ["b", "a"] {
        let claim = claim(&queue).await;
        assert_eq!(text(&claim), item);
        done(claim).await;
    }
    until_nobody_works(&client).await;
}

#[tokio::test]
async fn taking_removes_and_respects_locks() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    for item in ["a", "b"] {
        put(&queue, item).await;
    }
    let a = claim(&queue).await;
    assert_eq!(within("an item", queue.take()).await.unwrap(), ["b"]);
    done(a).await;
    let mut taking = Box::pin(queue.take());
    assert!(futures_util::poll!(&mut taking).is_pending());
    let ((), taken) = futures_util::join!(
        async { drop(put(&queue, "c").await) },
        within("an item", taking)
    );
    assert_eq!(taken.unwrap(), ["c"]);
}

#[tokio::test]
async fn a_full_queue_refuses_or_makes_wait() {
    let target = Target::start().await;
    let client = target.client().await;
    let builder = DistributedQueue::builder(&client, QUEUE).limit(2);
    let queue = builder.build().unwrap();
    for item in ["a", "b"] {
        put(&queue, item).await;
    }
    let refused = queue.put("c").await;
    assert!(
        matches!(refused, Err(Error::QueueFull { limit: 2, .. })),
        "{refused:?}"
    );
    let (added, ()) = futures_util::join!(within("room", queue.put_when_room("c")), async {
        done(claim(&queue).await).await
    });
    added.unwrap();
    assert_eq!(queue.len().await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_in_no_envelope_is_an_error_that_names_it() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    put(&queue, "a").await;
    client
        .set_data("/queue/queue-0000000000", b"raw", None)
        .await
        .unwrap();
    let refused = within("an answer", queue.claim()).await;
    assert!(
        matches!(&refused, Err(Error::BadDocument { path, .. }) if path.ends_with("queue-0000000000")),
        "{refused:?}"
    );
    until_nobody_works(&client).await;
}

#[tokio::test]
async fn the_lowest_priority_number_comes_first() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = DistributedQueue::builder(&client, QUEUE)
        .by_priority()
        .build()
        .unwrap();
    for (item, priority) in [("c", 5), ("a", -7), ("d", 5), ("b", 0)] {
        within("a put", queue.put(item, priority)).await.unwrap();
    }
    for item in ["a", "b", "c", "d"] {
        let claim = within("a claim", queue.claim()).await.unwrap();
        assert_eq!(text(&claim), item);
        done(claim).await;
    }
}

#[tokio::test]
async fn a_delayed_item_waits_for_its_time_and_lets_others_pass() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = DistributedQueue::builder(&client, QUEUE)
        .delayed()
        .build()
        .unwrap();
    let hour = Duration::from_secs(3600);
    within("a put", queue.put_after("late", hour))
        .await
        .unwrap();
    assert!(queue.try_claim().await.unwrap().is_none());
    let soon = Duration::from_millis(200);
    within("a put", queue.put_after("soon", soon))
        .await
        .unwrap();
    within("a put", queue.put("past", SystemTime::UNIX_EPOCH))
        .await
        .unwrap();
    for item in ["past", "soon"] {
        let claim = within("a claim", queue.claim()).await.unwrap();
        assert_eq!(text(&claim), item);
        done(claim).await;
    }
    assert_eq!(queue.len().await.unwrap(), 1);
}

#[tokio::test]
async fn items_are_removed_by_id_unless_somebody_works_on_them() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = DistributedQueue::builder(&client, QUEUE)
        .with_ids()
        .build()
        .unwrap();
    for (item, id) in [("1", "x/y"), ("2", "z"), ("3", "x/y"), ("4", "x/y")] {
        within("a put", queue.put(item, id)).await.unwrap();
    }
    let first = within("a claim", queue.claim()).await.unwrap();
    assert_eq!(text(&first), "1");
    assert_eq!(within("removal", queue.remove("x/y")).await.unwrap(), 2);
    assert_eq!(within("removal", queue.remove("nobody")).await.unwrap(), 0);
    done(first).await;
    let last = within("a claim", queue.claim()).await.unwrap();
    assert_eq!(text(&last), "2");
    done(last).await;
}

#[tokio::test]
async fn kazoos_layouts_have_kazoos_names() {
    let target = Target::start().await;
    let client = target.client().await;
    let builder = DistributedQueue::builder(&client, QUEUE);
    let queue = builder.layout(QueueLayout::KazooLocking).build().unwrap();
    assert_eq!(put(&queue, "raw").await, "entry-100-0000000000");
    let claim = claim(&queue).await;
    assert_eq!(text(&claim), "raw");
    let taken = names(&client, "/queue/taken").await;
    assert!(
        taken.contains(&"entry-100-0000000000".to_owned()),
        "{taken:?}"
    );
    done(claim).await;
    let builder = DistributedQueue::builder(&client, "/plain");
    let plain = builder.layout(QueueLayout::Kazoo).build().unwrap();
    put(&plain, "raw").await;
    assert!(matches!(
        plain.claim().await,
        Err(Error::InvalidArgument { .. })
    ));
    assert_eq!(within("an item", plain.take()).await.unwrap(), ["raw"]);
}

/// Whatever request or reply is lost: the item is claimed once and done once.
#[tokio::test]
async fn lost_requests_and_replies_are_resolved() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (client, observer) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    let (cut, plain) = (queue(&client), queue(&observer));
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut at = 2;
        loop {
            put(&plain, "one").await;
            until_connected(&client).await;
            let before = proxy.forwarded(direction);
            proxy.cut_after(direction, at, Cut::Reset);
            let claim = claim(&cut).await;
            assert_eq!(text(&claim), "one", "{direction:?} after {at} bytes");
            done(claim).await;
            assert!(plain.is_empty().await.unwrap(), "{direction:?} after {at}");
            until_connected(&client).await;
            until_nobody_works(&observer).await;
            let has_been_cut = proxy.forwarded(direction) >= before + at;
            // Without a cut, the whole of claim and end has been through.
            if !has_been_cut {
                break;
            }
            at += 24;
        }
        proxy.cut(Cut::Reset);
        until_connected(&client).await;
    }
}

/// The session ends before an answer is known, and somebody else does the work: whose end the
/// item's was cannot be told, and is not claimed.
#[tokio::test]
async fn an_end_that_may_be_anothers_is_not_told_as_ones_own() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let (a, b) = (
        target.client_through(&proxy.host()).await,
        target.client().await,
    );
    // Its keeper asks nothing that would hold back what comes after it.
    let ours = DistributedQueue::builder(&a, QUEUE).proof(Proof::Soft);
    let (ours, theirs) = (ours.build().unwrap(), queue(&b));
    for is_put_back in [false, true] {
        put(&theirs, "one").await;
        until_connected(&a).await;
        let old = claim(&ours).await;
        // Behind the removal of the watch that the claim waited with.
        within("an answer", a.sync("/")).await.unwrap();
        proxy.freeze(true);
        let ending = async {
            if is_put_back {
                old.put_back().await
            } else {
                old.done().await
            }
        };
        let others = async {
            target.expire(&a).await;
            done(claim(&theirs).await).await;
            proxy.cut(Cut::Reset);
            proxy.freeze(false);
        };
        let both = futures_util::future::join(ending, others);
        let (ended, ()) = within("both ends", both).await;
        let is_open = match &ended {
            Err(Error::Client(error)) => error.is_outcome_unknown(),
            _ => false,
        };
        assert!(is_open, "{ended:?}");
        assert!(theirs.is_empty().await.unwrap());
        until_nobody_works(&b).await;
    }
}

/// Dropped after its k-th poll, a claim leaves nothing behind and the item is there.
#[tokio::test]
async fn a_claim_can_be_dropped_anywhere() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    put(&queue, "one").await;
    for polls in 0..repetitions(40, 20) {
        drop(drop_after(polls, queue.claim()).await);
        eventually("the item", async || {
            let locks = names(&client, LOCKS).await;
            !locks.contains(&"queue-0000000000".to_owned())
        })
        .await;
    }
    let claim = claim(&queue).await;
    done(claim).await;
    until_nobody_works(&client).await;
}

/// So can a release: the lock goes all the same (found by recipes-sim, claims, seed 341).
#[tokio::test]
async fn a_release_can_be_dropped_anywhere() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = queue(&client);
    put(&queue, "one").await;
    for polls in 0..repetitions(12, 6) {
        let claim = claim(&queue).await;
        drop(drop_after(polls, claim.release()).await);
        until_nobody_works(&client).await;
    }
    done(claim(&queue).await).await;
}
