//! Queues.

use zk_client::CreateMode;
use zk_recipes::Error;
use zk_recipes::queue::SimpleQueue;
use zk_tests::Target;
use zk_tests::wait::within;

use super::*;

const QUEUE: &str = "/queue";

fn queue(client: &Client) -> SimpleQueue {
    SimpleQueue::builder(client, QUEUE).build().unwrap()
}

#[tokio::test]
async fn items_are_taken_in_the_order_of_the_offers() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    assert_eq!(queue(&client).poll().await.unwrap(), None);
    for number in 0..12 {
        let name = queue(&client).offer(number.to_string()).await.unwrap();
        assert_eq!(name, format!("qn-{number:010}"));
    }
    let stranger = other.create("/queue/stranger", b"", CreateMode::Persistent);
    stranger.await.unwrap();
    let mut tokens = Vec::new();
    for number in 0..12 {
        let item = within("an item", queue(&other).take()).await.unwrap();
        assert_eq!(item.data, number.to_string());
        tokens.push(item.czxid);
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(queue(&other).poll().await.unwrap(), None);
}

#[tokio::test]
async fn each_item_is_taken_once_and_takers_wait() {
    let target = Target::start().await;
    let mut takers = Vec::new();
    for _ in 0..4 {
        let client = target.client().await;
        takers.push(async move {
            let mut taken = Vec::new();
            for _ in 0..5 {
                taken.push(within("an item", queue(&client).take()).await.unwrap().data);
            }
            taken
        });
    }
    let client = target.client().await;
    let offers = async {
        for number in 0_u8..20 {
            within("the offer", queue(&client).offer([number]))
                .await
                .unwrap();
        }
    };
    let takers = futures_util::future::join_all(takers);
    let (taken, ()) = futures_util::future::join(takers, offers).await;
    let mut taken: Vec<u8> = taken.into_iter().flatten().map(|item| item[0]).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..20).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_full_queue_refuses_offers() {
    let target = Target::start().await;
    let client = target.client().await;
    let queue = SimpleQueue::builder(&client, QUEUE)
        .limit(2)
        .build()
        .unwrap();
    for _ in 0..2 {
        queue.offer("x").await.unwrap();
    }
    let full = queue.offer("x").await.unwrap_err();
    assert!(matches!(full, Error::QueueFull { limit: 2, .. }), "{full}");
    queue.take().await.unwrap();
    queue.offer("x").await.unwrap();
}

/// A server reaps a container that is empty, and the next one counts from 0 again: whoever has
/// read an item, and deletes it late, would delete another of the same name and hand out the first
/// twice (recipes-sim).
#[tokio::test]
async fn an_empty_queue_keeps_its_znode_so_that_no_name_comes_twice() {
    let target = Target::start().await;
    let client = target.client().await;
    queue(&client).offer("x").await.unwrap();
    queue(&client).take().await.unwrap();
    let stat = client.exists(QUEUE, None).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, zk_client::SessionId::NONE);
}
