//! Planned handover of leadership to a named participant.

use std::time::Duration;

use zk_client::CreateMode;
use zk_recipes::{Candidate, CloseMode, Error, LeaderLatch, Leadership};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;

/// More than a healthy line takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a test waits for a refusal.
const IMPATIENCE: Duration = Duration::from_millis(300);

fn latch(client: &Client, id: &str) -> LeaderLatch {
    LeaderLatch::builder(client, LOCK).id(id).build().unwrap()
}

/// Candidates in line, in this order.
async fn line(target: &Target, observer: &Client, ids: &[&str]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for id in ids {
        let before = contenders(observer).await.len();
        candidates.push(latch(&target.client().await, id).start());
        until_contenders(observer, before + 1).await;
    }
    candidates
}

async fn ids(observer: &Client) -> Vec<String> {
    observer.sync("/").await.unwrap();
    let participants = latch(observer, "").participants().await.unwrap();
    participants.into_iter().map(|it| it.id).collect()
}

async fn until_leading(candidate: &Candidate) -> Ownership {
    let mut leadership = candidate.leadership();
    let leads = leadership.wait_for(|leadership| matches!(leadership, Leadership::Leading(_)));
    match &*within("leadership", leads).await.unwrap() {
        Leadership::Leading(ownership) => ownership.clone(),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn those_ahead_of_the_target_make_way_and_stay_in_line() {
    let target = Target::start().await;
    let observer = target.client().await;
    let candidates = line(&target, &observer, &["a", "b", "c", "d", "e"]).await;
    let before = until_leading(&candidates[0]).await;
    let handed_over = candidates[0].hand_over("d", PATIENCE);
    within("the handover", handed_over).await.unwrap();
    assert_eq!(lost(&before).await, Why::Released);
    let after = until_leading(&candidates[3]).await;
    assert!(after.fencing_token() > before.fencing_token());
    // The others kept their order behind whom they let pass; who led stands again.
    eventually("five in line", async || ids(&observer).await.len() == 5).await;
    assert_eq!(ids(&observer).await, ["d", "e", "b", "c", "a"]);
    // And on: tokens rise with every term although the line was changed.
    let handed_over = candidates[3].hand_over("c", PATIENCE);
    within("the handover", handed_over).await.unwrap();
    let later = until_leading(&candidates[2]).await;
    assert!(later.fencing_token() > after.fencing_token());
}

#[tokio::test]
async fn the_next_in_line_needs_nobody_to_make_way() {
    let target = Target::start().await;
    let observer = target.client().await;
    let client = target.client().await;
    let first = latch(&client, "first");
    let guard = within("leadership", first.campaign()).await.unwrap();
    let next = line(&target, &observer, &["next"]).await.remove(0);
    let own = contenders(&observer).await.remove(1);
    let handed_over = first.hand_over(guard, "next", PATIENCE);
    within("the handover", handed_over).await.unwrap();
    assert!(
        until_leading(&next).await.path().ends_with(&own),
        "no new znode"
    );
}

#[tokio::test]
async fn a_foreign_contender_ahead_of_the_target_is_a_refusal_and_the_leader_goes_on() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let first = latch(&client, "first");
    let guard = within("leadership", first.campaign()).await.unwrap();
    let foreign = format!("{LOCK}/_c_6f5902ac-237e-4b0b-8ac6-1fb0d5f6a1e8-latch-");
    let mode = CreateMode::EphemeralSequential;
    let foreign = observer.create(&foreign, b"foreign", mode).await.unwrap();
    let second = line(&target, &observer, &["second"]).await.remove(0);
    let refused = first.hand_over(guard, "second", IMPATIENCE).await;
    let Err((Some(guard), Error::HandoverRefused { .. })) = refused else {
        panic!("{refused:?}")
    };
    // Nobody was touched, and the request is taken back.
    assert!(matches!(guard.current(), OwnershipState::Held { .. }));
    assert_eq!(ids(&observer).await[1..], ["foreign", "second"]);
    eventually("the id", async || {
        let (data, _) = observer.get_data(guard.path(), None).await.unwrap();
        data == "first"
    })
    .await;
    observer.delete(&foreign, None).await.unwrap();
    let handed_over = first.hand_over(guard, "second", PATIENCE);
    within("the handover", handed_over).await.unwrap();
    until_leading(&second).await;
}

#[tokio::test]
async fn nobody_of_that_name_is_a_refusal() {
    let target = Target::start().await;
    let observer = target.client().await;
    let candidates = line(&target, &observer, &["a", "b"]).await;
    until_leading(&candidates[0]).await;
    let refused = candidates[0].hand_over("c", PATIENCE).await;
    assert!(
        matches!(refused, Err(Error::HandoverRefused { .. })),
        "{refused:?}"
    );
    // Nor does one hand over to oneself, nor without leading.
    let refused = candidates[0].hand_over("a", PATIENCE).await;
    assert!(
        matches!(refused, Err(Error::HandoverRefused { .. })),
        "{refused:?}"
    );
    let refused = candidates[1].hand_over("a", PATIENCE).await;
    assert!(
        matches!(refused, Err(Error::HandoverRefused { .. })),
        "{refused:?}"
    );
    assert_eq!(ids(&observer).await, ["a", "b"]);
}

#[tokio::test]
async fn a_target_that_leaves_meanwhile_is_a_refusal() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let first = latch(&client, "first");
    let guard = within("leadership", first.campaign()).await.unwrap();
    let foreign = format!("{LOCK}/_c_6f5902ac-237e-4b0b-8ac6-1fb0d5f6a1e8-latch-");
    let mode = CreateMode::EphemeralSequential;
    observer.create(&foreign, b"foreign", mode).await.unwrap();
    let second = line(&target, &observer, &["second"]).await.remove(0);
    let leave = async {
        eventually("the request", async || {
            let (data, _) = observer.get_data(guard.path(), None).await.unwrap();
            data != "first"
        })
        .await;
        // Whoever asks who leads sees the id alone.
        assert_eq!(ids(&observer).await[0], "first");
        second.close(CloseMode::Silent).await.unwrap();
    };
    let make_way = first.make_way(&guard, "second", PATIENCE);
    let (refused, ()) = within("the refusal", futures_util::future::join(make_way, leave)).await;
    assert!(
        matches!(
            refused,
            Err(Error::HandoverRefused { reason, .. }) if reason == "it has left the line"
        ),
        "{refused:?}"
    );
    release(guard).await;
}

#[tokio::test]
async fn work_in_a_term_hands_over_by_returning() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let first = latch(&client, "first");
    let (start, started) = tokio::sync::oneshot::channel();
    let term = first.lead(async |term| {
        started.await.unwrap();
        first.make_way(&term, "c", PATIENCE).await.unwrap().id
    });
    let others = async {
        until_contenders(&observer, 1).await;
        let others = line(&target, &observer, &["b", "c"]).await;
        start.send(()).unwrap();
        others
    };
    let both = futures_util::future::join(term, others);
    let (ended, others) = within("the term", both).await;
    assert_eq!(ended.unwrap().finished().as_deref(), Some("c"));
    until_leading(&others[1]).await;
    assert_eq!(ids(&observer).await, ["c", "b"]);
}
