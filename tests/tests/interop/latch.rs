//! One leader, whoever it is, and everybody knows which.

use zk_recipes::{Dialect, Ended, LeaderLatch, LeaderSelector};

use super::*;

const PATH: &str = "/leader";

fn latch(client: &Client, dialect: Dialect) -> LeaderLatch {
    let builder = LeaderLatch::builder(client, PATH).id("ours");
    builder.dialect(dialect).build().unwrap()
}

/// We lead and they wait, then the other way round; each knows the other's id.
async fn takes_turns(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let (theirs, observer) = (both.peer.handle("l"), both.peer.handle("o"));
    let latch = latch(&both.client, dialect);
    let ours = within("our term", latch.campaign()).await.unwrap();
    theirs.tell(&format!("lead latch {PATH} theirs")).await;
    both.until_count(PATH, 2).await;
    both.assert_waits(&theirs).await;
    assert_eq!(observer.ask(&format!("leader latch {PATH}")).await, "ours");
    let participants = latch.participants().await.unwrap();
    let ids: Vec<_> = participants.iter().map(|one| &*one.id).collect();
    assert_eq!(ids, ["ours", "theirs"]);
    within("the end", ours.release()).await.unwrap();
    theirs.done().await;
    assert_eq!(latch.leader().await.unwrap().unwrap().id, "theirs");

    let mut attempt = Box::pin(latch.campaign());
    both.assert_pending(attempt.as_mut()).await;
    theirs.ask("release").await;
    let ours = within("our term", attempt).await.unwrap();
    within("the end", ours.release()).await.unwrap();
}

#[tokio::test]
async fn curator_takes_turns() {
    takes_turns(Library::Curator, Dialect::Curator).await;
}

/// kazoo's election is its lock.
#[tokio::test]
async fn kazoo_takes_turns() {
    takes_turns(Library::Kazoo, Dialect::Kazoo).await;
}

#[tokio::test]
async fn curators_selector_takes_turns() {
    let both = Both::start(Library::Curator).await;
    let theirs = both.peer.handle("l");
    let selector = LeaderSelector::builder(&both.client, PATH).id("ours");
    let selector = selector.build().unwrap();
    theirs.ask(&format!("lead selector {PATH} theirs")).await;
    assert_eq!(selector.leader().await.unwrap().unwrap().id, "theirs");
    let mut term = Box::pin(selector.lead(async |term| term.fencing_token()));
    both.assert_pending(term.as_mut()).await;
    theirs.ask("release").await;
    let ended = within("our term", term).await.unwrap();
    assert!(matches!(ended, Ended::Finished(_)), "{ended:?}");
}
