//! A queue whose items are worked on at least once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as Locked};
use std::time::Duration;

use zk_env::TaskHandle;
use zk_recipes::queue::{DistributedQueue, QueueClaim};
use zk_tests::wait::eventually;

use crate::stage::{Part, Stage};

const QUEUE: &str = "/jobs";
const CONSUMERS: usize = 2;

/// What producer and consumers did.
#[derive(Default)]
struct Book {
    /// Items that the server has acknowledged.
    put: BTreeSet<u64>,
    /// Items that somebody has worked on.
    worked_on: BTreeSet<u64>,
    /// Znodes whose removal was acknowledged.
    done: BTreeSet<String>,
    has_stopped: bool,
}

type Shared = Arc<Locked<Book>>;

pub(crate) struct Jobs {
    book: Shared,
    producer: TaskHandle,
    consumers: Vec<TaskHandle>,
}

impl Jobs {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let book = Shared::default();
        let mut consumers = Vec::new();
        for _ in 0..CONSUMERS {
            let book = Arc::clone(&book);
            consumers.push(stage.spawn(|part| consume(part, book)).await);
        }
        let for_producer = Arc::clone(&book);
        Self {
            producer: stage.spawn(|part| produce(part, for_producer)).await,
            consumers,
            book,
        }
    }

    pub(crate) fn progress(&self) -> usize {
        self.book.lock().unwrap().done.len()
    }

    /// After the end: nothing that was put in is left, and nothing was left out.
    pub(crate) async fn verify(self, stage: &Stage) -> String {
        self.producer.await;
        let client = stage.client().await;
        let queue = DistributedQueue::<zk_recipes::queue::Fifo>::builder(&client, QUEUE);
        let queue = queue.build().unwrap();
        eventually("an empty queue", async || {
            client.sync(QUEUE).await.is_ok() && queue.is_empty().await.unwrap_or(false)
        })
        .await;
        self.book.lock().unwrap().has_stopped = true;
        for consumer in self.consumers {
            consumer.await;
        }
        let book = self.book.lock().unwrap();
        let left_out: Vec<_> = book.put.difference(&book.worked_on).collect();
        assert!(left_out.is_empty(), "never worked on: {left_out:?}");
        format!("{} items put, {} removed", book.put.len(), book.done.len())
    }
}

async fn produce(part: Part, book: Shared) {
    let queue =
        match DistributedQueue::<zk_recipes::queue::Fifo>::builder(&part.client, QUEUE).build() {
            Ok(queue) => queue,
            Err(error) => return part.violation(error),
        };
    for item in 0.. {
        if part.is_over() {
            return;
        }
        // Whether a put without an answer was made, nobody promises.
        if queue.put(item.to_string()).await.is_ok() {
            book.lock().unwrap().put.insert(item);
        }
        part.pause(Duration::from_millis(20)).await;
    }
}

/// Goes on after the end, for as long as there are items.
async fn consume(part: Part, book: Shared) {
    let queue =
        match DistributedQueue::<zk_recipes::queue::Fifo>::builder(&part.client, QUEUE).build() {
            Ok(queue) => queue,
            Err(error) => return part.violation(error),
        };
    while !book.lock().unwrap().has_stopped {
        match queue.try_claim().await {
            Ok(Some(claim)) => work(&part, claim, &book).await,
            Ok(None) | Err(_) => part.pause(Duration::from_millis(20)).await,
        }
    }
}

async fn work(part: &Part, claim: QueueClaim, book: &Shared) {
    for item in &claim.items {
        match std::str::from_utf8(item).map(str::parse) {
            Ok(Ok(item)) => drop(book.lock().unwrap().worked_on.insert(item)),
            _ => part.violation(format!("not what was put in: {item:?}")),
        }
    }
    let name = claim.name.clone();
    if claim.done().await.is_ok() && !book.lock().unwrap().done.insert(name.clone()) {
        part.violation(format!("{name} was removed twice"));
    }
}
