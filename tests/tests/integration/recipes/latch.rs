//! Leader election.

use zk_recipes::{Candidate, CloseMode, Ended, Error, LeaderLatch, Leadership};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;

fn latch(client: &Client, id: &str) -> LeaderLatch {
    LeaderLatch::builder(client, LOCK).id(id).build().unwrap()
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
async fn the_first_leads_and_the_others_follow_in_line() {
    let target = Target::start().await;
    let observer = target.client().await;
    assert_eq!(latch(&observer, "").participants().await.unwrap(), []);
    let mut candidates = Vec::new();
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        candidates.push(latch(&target.client().await, id).start());
        until_contenders(&observer, number + 1).await;
    }
    let ids = async || -> Vec<String> {
        let participants = latch(&observer, "").participants().await.unwrap();
        assert!(
            participants
                .iter()
                .enumerate()
                .all(|(at, p)| p.is_leader == (at == 0))
        );
        participants.into_iter().map(|p| p.id).collect()
    };
    let first = until_leading(&candidates[0]).await;
    assert!(matches!(
        *candidates[1].leadership().borrow(),
        Leadership::Waiting
    ));
    assert_eq!(ids().await, ["a", "b", "c"]);
    // The second leaves the line, the third moves up.
    let second = candidates.remove(1);
    within("the close", second.close(CloseMode::Silent))
        .await
        .unwrap();
    // At once, unless its server was behind and it had not heard yet that it stood in line.
    eventually("the second leaves", async || ids().await == ["a", "c"]).await;
    within("the close", candidates.remove(0).close(CloseMode::Notify))
        .await
        .unwrap();
    assert_eq!(lost(&first).await, Why::Released);
    let next = until_leading(&candidates[0]).await;
    assert!(next.fencing_token() > first.fencing_token());
    let leader = latch(&observer, "").leader().await.unwrap().unwrap();
    assert_eq!(
        (leader.id.as_str(), leader.path.as_str()),
        ("c", next.path())
    );
}

#[tokio::test]
async fn a_term_ends_with_its_work() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let latch = latch(&client, "me");
        let term = latch.lead(async |term| term.fencing_token());
        match within("the term", term).await.unwrap() {
            Ended::Finished(token) => tokens.push(token),
            Ended::Lost(why) => panic!("{why}"),
        }
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

#[tokio::test]
async fn a_candidate_stands_again_in_its_next_session() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let candidate = latch(&client, "first").start();
    let before = until_leading(&candidate).await;
    let rival = latch(&other, "second").start();
    until_contenders(&other, 2).await;
    target.expire(&client).await;
    let rivals = until_leading(&rival).await;
    assert_eq!(lost(&before).await, Why::EpochEnded);
    assert!(rivals.fencing_token() > before.fencing_token());
    until_contenders(&other, 2).await;
    drop(rival);
    let mut leadership = candidate.leadership();
    let again = leadership.wait_for(|leadership| match leadership {
        Leadership::Leading(ownership) => ownership.fencing_token() > rivals.fencing_token(),
        Leadership::Waiting | Leadership::Closed(_) => false,
    });
    within("leadership again", again).await.unwrap();
}

#[tokio::test]
async fn whoever_watches_a_candidate_hears_of_its_end() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let candidate = latch(&client, "me").start();
    let mut leadership = candidate.leadership();
    until_leading(&candidate).await;
    drop(candidate);
    let closed = leadership.wait_for(|leadership| matches!(leadership, Leadership::Closed(None)));
    within("the end", closed).await.unwrap();
    // The task is dropped, and with it the place handed to the reaper, when it is next polled.
    until_contenders(&observer, 0).await;
    // A client that is closed cannot stand.
    let candidate = latch(&client, "me").start();
    client.close().await.unwrap();
    let mut leadership = candidate.leadership();
    let failed =
        leadership.wait_for(|leadership| matches!(leadership, Leadership::Closed(Some(_))));
    let failed = within("the end", failed).await.unwrap().clone();
    assert!(
        matches!(failed, Leadership::Closed(Some(Error::Client(_)))),
        "{failed:?}"
    );
    assert!(
        within("the close", candidate.close(CloseMode::Silent))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_silent_close_changes_the_value_without_waking_anybody() {
    let target = Target::start().await;
    let client = target.client().await;
    let candidate = latch(&client, "me").start();
    until_leading(&candidate).await;
    let mut leadership = candidate.leadership();
    leadership.mark_unchanged();
    within("the close", candidate.close(CloseMode::Silent))
        .await
        .unwrap();
    assert!(matches!(*leadership.borrow(), Leadership::Closed(None)));
    assert!(!leadership.has_changed().unwrap_or(false));
    eventually("no contender", async || {
        contenders(&client).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn who_stands_for_a_limited_time_leaves_the_line() {
    let target = Target::start().await;
    let (client, observer) = (target.client().await, target.client().await);
    let leader = within("the lead", latch(&observer, "a").campaign())
        .await
        .unwrap();
    let limit = std::time::Duration::from_millis(50);
    let late = within("the limit", latch(&client, "b").campaign_within(limit)).await;
    assert_eq!(
        late.unwrap_err(),
        Error::DeadlineExceeded { deadline: limit }
    );
    until_contenders(&observer, 1).await;
    release(leader).await;
    let patience = zk_tests::wait::PATIENCE;
    let next = latch(&client, "b").campaign_within(patience).await;
    release(next.unwrap()).await;
    settled(&client, &observer).await;
}
