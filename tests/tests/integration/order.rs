//! Promise 1: requests take effect in the order of the calls, replies complete in
//! that order, and events come before what could show their change.

use futures_util::future::{join_all, join3};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use zk_client::{CreateMode, EventType, Watcher};
use zk_proto::path::sequence;
use zk_proto::{OpCode, Xid};
use zk_tests::target::connect;
use zk_tests::wait::eventually;
use zk_tests::{Tap, Target};

#[tokio::test]
async fn requests_take_effect_in_the_order_of_the_calls_however_they_are_awaited() {
    let target = Target::start().await;
    let client = target.client().await;
    let mode = CreateMode::PersistentSequential;
    let mut calls: Vec<_> = (0..500).map(|_| client.create("/n-", b"", mode)).collect();
    let mut numbers = Vec::new();
    while let Some(call) = calls.pop() {
        numbers.push(sequence(&call.await.unwrap()).unwrap());
    }
    assert!(numbers.is_sorted_by(|later, earlier| later > earlier));
}

#[tokio::test]
async fn replies_complete_in_the_order_of_the_calls() {
    let target = Target::start().await;
    let client = target.client().await;
    let calls = (0..300).map(|n| {
        // Writes, reads and a sync take different ways through a server.
        let call = match n % 3 {
            0 => client
                .set_data("/", n.to_string(), None)
                .map(|done| done.is_ok())
                .boxed(),
            1 => client.get_data("/", None).map(|done| done.is_ok()).boxed(),
            _ => client.sync("/").map(|done| done.is_ok()).boxed(),
        };
        call.map(move |done| (n, done))
    });
    let completed: Vec<_> = calls.collect::<FuturesUnordered<_>>().collect().await;
    assert!(completed.iter().all(|(_, done)| *done));
    assert_eq!(completed.len(), 300);

    let calls: Vec<_> = (0..100).map(|_| client.get_data("/", None)).collect();
    let mut calls = calls.into_iter();
    calls.next_back().unwrap().await.unwrap();
    assert!(calls.all(|call| call.now_or_never().is_some()));
}

#[tokio::test]
async fn a_call_that_is_never_polled_is_made_all_the_same() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let unpolled = client.create("/a", b"", CreateMode::Persistent);
    eventually("the znode", async || {
        observer.exists("/a", None).await.unwrap().is_some()
    })
    .await;
    drop(unpolled);
    client.delete("/a", None).await.unwrap();
}

#[tokio::test]
async fn pipelined_calls_see_the_effects_of_those_before() {
    let target = Target::start().await;
    let client = target.client().await;
    let (created, set, read) = join3(
        client.create("/a", b"1", CreateMode::Persistent),
        client.set_data("/a", b"2", 0),
        client.get_data("/a", None),
    )
    .await;
    created.unwrap();
    set.unwrap();
    let (data, stat) = read.unwrap();
    assert_eq!((&data[..], stat.version), (&b"2"[..], 1));
}

#[tokio::test]
async fn clones_share_one_line() {
    let target = Target::start().await;
    let clients: Vec<_> = std::iter::repeat_n(target.client().await, 8).collect();
    let calls = (0..400).map(|n| clients[n % 8].set_data("/", n.to_string(), n as i32));
    // Each version expected is right only if the order is that of the calls.
    let calls: Vec<_> = calls.collect();
    for result in join_all(calls).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn ones_own_event_comes_before_the_reply_that_made_it() {
    let target = Target::start().await;
    let client = target.client().await;
    for _ in 0..100 {
        let watcher = Watcher::new();
        client.get_data("/", &watcher).await.unwrap();
        client.set_data("/", b"x", None).await.unwrap();
        assert_eq!(
            watcher.try_next().unwrap().event_type,
            EventType::NodeDataChanged
        );
    }
}

#[tokio::test]
async fn a_read_never_shows_a_change_before_its_event() {
    let target = Target::start().await;
    let (client, writer) = (target.client().await, target.client().await);
    let watcher = Watcher::new();
    let (_, mut known) = client.get_data("/", &watcher).await.unwrap();
    for n in 0..200 {
        let write = writer.set_data("/", n.to_string(), None);
        // Read until the change shows; its event must be there by then.
        loop {
            let (_, stat) = client.get_data("/", None).await.unwrap();
            if stat.mzxid != known.mzxid {
                assert!(watcher.try_next().is_some(), "round {n}");
                break;
            }
        }
        write.await.unwrap();
        known = client.get_data("/", &watcher).await.unwrap().1;
        assert_eq!(watcher.try_next(), None);
    }
}

#[tokio::test]
async fn request_numbers_wrap_clear_of_the_reserved_ones() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let builder = target.builder_through(&tap.host());
    let client = connect(builder.last_xid(Xid(i32::MAX - 5))).await;
    let calls: Vec<_> = (0..20).map(|n| client.set_data("/", b"x", n)).collect();
    for result in join_all(calls).await {
        result.unwrap();
    }
    let writes = tap
        .seen()
        .into_iter()
        .filter(|seen| seen.is(OpCode::SetData));
    let xids: Vec<i32> = writes.map(|seen| seen.request.xid.0).collect();
    let expected: Vec<i32> = (i32::MAX - 4..=i32::MAX).chain(1..=15).collect();
    assert_eq!(xids, expected);
}

#[tokio::test]
async fn what_was_seen_is_never_unseen() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut last = client.last_zxid();
    for n in 0..50 {
        let stat = client.set_data("/", n.to_string(), None).await.unwrap();
        assert!(stat.mzxid > last);
        last = client.last_zxid();
        assert!(last >= stat.mzxid);
    }
}
