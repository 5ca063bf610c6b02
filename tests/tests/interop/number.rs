//! One number, added to by both.

use zk_recipes::{AtomicLong, NumberFormat, SharedCount};

use super::*;

const PATH: &str = "/number";
const ROUNDS: i64 = 50;

async fn adds_up(library: Library, kind: &str, format: NumberFormat) {
    let both = Both::start(library).await;
    let number = AtomicLong::builder(&both.client, PATH).format(format);
    let number = number.build().unwrap();
    let theirs = both.peer.handle("n");
    let add = format!("add {kind} {PATH} 3");
    assert_eq!(theirs.ask(&add).await, "3");
    assert_eq!(within("a sum", number.add(4)).await.unwrap().after, 7);
    assert_eq!(theirs.ask(&add).await, "10");
    // At the same time.
    for _ in 0..ROUNDS {
        theirs.tell(&add).await;
        within("a sum", number.increment()).await.unwrap();
    }
    for _ in 0..ROUNDS {
        theirs.done().await;
    }
    let sum = within("the sum", number.get()).await.unwrap();
    assert_eq!(sum, 10 + 4 * ROUNDS);
}

#[tokio::test]
async fn curators_long_adds_up() {
    adds_up(Library::Curator, "long", NumberFormat::Long).await;
}

#[tokio::test]
async fn curators_shared_count_adds_up() {
    adds_up(Library::Curator, "count", NumberFormat::Int).await;
}

#[tokio::test]
async fn kazoos_text_adds_up() {
    adds_up(Library::Kazoo, "text", NumberFormat::Text).await;
}

#[tokio::test]
async fn kazoos_count_for_curator_adds_up() {
    adds_up(Library::Kazoo, "count", NumberFormat::Int).await;
}

#[tokio::test]
async fn our_shared_count_hears_of_curators() {
    let both = Both::start(Library::Curator).await;
    let count = SharedCount::start(&both.client, PATH, 5).await.unwrap();
    let seen = count.current().unwrap();
    let theirs = both.peer.handle("n");
    assert_eq!(theirs.ask(&format!("add count {PATH} 2")).await, "7");
    let heard = within("the change", count.changed(seen.stamp))
        .await
        .unwrap();
    assert_eq!(heard.value, 7);
}
