//! A simple queue, whose consumers die (R22): what was offered is taken once, or was in the hands
//! of a consumer that never heard of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::SimpleQueue;
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::invariants::Items;
use crate::recipes_sim::life::{self, Player, bears, connect_after, live, ms};

const QUEUE: &str = "/queues/simple";

type Book = Arc<Mutex<Items>>;

/// Producers and consumers: every host is both.
#[derive(Debug)]
pub(crate) struct Queue {
    hosts: usize,
    items: Book,
}

impl Queue {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            items: Book::default(),
        }
    }
}

fn locked(items: &Book) -> MutexGuard<'_, Items> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("queue", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let host = Host {
            items: Arc::clone(&self.items),
            rng: stage.rng("queue"),
            number: 0,
        };
        Box::pin(async move { live(&stage, host).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let items = Arc::clone(&self.items);
        Box::pin(async move {
            let Some(client) = connect_after(&stage).await else {
                return;
            };
            match left(&client).await {
                Ok(left) => {
                    if let Err(why) = locked(&items).add_up(&left) {
                        stage.fail(why);
                    }
                }
                Err(error) => stage.fail(format!("{QUEUE}: {error} after the faults")),
            }
            drop(client.close().await);
        })
    }
}

async fn left(client: &Client) -> Result<BTreeSet<String>, zk_client::Error> {
    let mut left = BTreeSet::new();
    let names = client.get_children(QUEUE, None).await.unwrap_or_default();
    for name in names {
        let (data, _) = client.get_data(&format!("{QUEUE}/{name}"), None).await?;
        left.insert(String::from_utf8_lossy(&data).into_owned());
    }
    Ok(left)
}

struct Host {
    items: Book,
    rng: EnvRng,
    number: u64,
}

/// Counts a take as open until it is answered.
struct Take<'i>(&'i Book);

impl<'i> Take<'i> {
    fn begin(items: &'i Book) -> Self {
        locked(items).open_takes += 1;
        Self(items)
    }

    fn answered(self) {
        locked(self.0).open_takes -= 1;
    }
}

impl Player for Host {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let queue = SimpleQueue::builder(client, QUEUE).build();
        let queue = queue.expect("the path is valid");
        // In the end everybody only gives: there is something to take for all.
        if self.rng.below(2) == 0 || stage.phase() >= Phase::Healed {
            self.offer(stage, &queue).await;
        }
        if self.rng.below(2) == 0 {
            self.take(stage, &queue).await;
        }
    }
}

impl Host {
    async fn offer(&mut self, stage: &Stage, queue: &SimpleQueue) {
        self.number += 1;
        // A machine that starts anew counts anew.
        let item = format!("{}-{}-{:?}", stage.host(), self.number, stage.now());
        locked(&self.items).begin_offer(&item);
        match queue.offer(&item).await {
            Ok(_) => {
                locked(&self.items).end_offer(&item, true);
                stage.progress("offer");
            }
            Err(zk_recipes::Error::Client(error)) if error.is_outcome_unknown() => {}
            Err(error) => {
                locked(&self.items).end_offer(&item, false);
                bears(stage, QUEUE, &error);
            }
        }
    }

    async fn take(&mut self, stage: &Stage, queue: &SimpleQueue) {
        let take = Take::begin(&self.items);
        let taken = if self.rng.below(4) != 0 {
            queue.poll().await
        } else {
            // Nobody may be offering: whoever is not served goes, and may take an item along.
            tokio::select! {
                biased;
                taken = queue.take() => taken.map(Some),
                () = stage.pause(ms(200, 2_000)) => return,
            }
        };
        match taken {
            Ok(Some(item)) => {
                locked(&self.items).taken(&String::from_utf8_lossy(&item.data));
                take.answered();
                stage.env().probe().reached("recipes: item taken");
                stage.progress("take");
            }
            Ok(None) => take.answered(),
            Err(zk_recipes::Error::Client(error)) if error.is_outcome_unknown() => {
                stage
                    .env()
                    .probe()
                    .reached("recipes: take of unknown outcome");
            }
            Err(error) => {
                take.answered();
                bears(stage, QUEUE, &error);
            }
        }
    }
}
