//! What one puts in, the other takes out, in order.

use zk_recipes::SimpleQueue;

use super::*;

const PATH: &str = "/queue";
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
