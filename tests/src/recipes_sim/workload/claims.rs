//! A queue with claims, whose consumers die, stall and give back (R22): every item has its effect at
//! last, and effects are fenced.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::{Client, CreateMode, ErrorCode};
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{DistributedQueue, Error, OwnershipState, QueueClaim};
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::invariants::Worked;
use crate::recipes_sim::life::{self, Player, bears, connect_after, establish, live, ms, note};

const QUEUE: &str = "/claims/queue";
/// One znode for each item that was worked on.
const EFFECTS: &str = "/claims/effects";

type Book = Arc<Mutex<Worked>>;

/// Producers and consumers: every host is both.
#[derive(Debug)]
pub(crate) struct Claims {
    hosts: usize,
    worked: Book,
}

impl Claims {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            worked: Book::default(),
        }
    }
}

fn locked(worked: &Book) -> MutexGuard<'_, Worked> {
    worked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queue(client: &Client) -> DistributedQueue {
    let queue = DistributedQueue::builder(client, QUEUE).build();
    queue.expect("the path is valid")
}

impl Workload for Claims {
    fn name(&self) -> &'static str {
        "claims"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("claims", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let host = Host {
            worked: Arc::clone(&self.worked),
            rng: stage.rng("claims"),
            number: 0,
        };
        Box::pin(async move { live(&stage, host).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let worked = Arc::clone(&self.worked);
        Box::pin(async move {
            let Some(client) = connect_after(&stage).await else {
                return;
            };
            let effects = client.get_children(EFFECTS, None).await;
            let effects = effects.unwrap_or_default().into_iter().collect();
            match left(&client).await {
                Ok(left) => {
                    if let Err(why) = locked(&worked).add_up(&left, &effects) {
                        stage.fail(why);
                    }
                }
                Err(error) => stage.fail(format!("{QUEUE}: {error} after the faults")),
            }
            drop(client.close().await);
        })
    }
}

/// What is still in the queue, whoever may still seem to work on it: a session that died
/// lately keeps its lock.
async fn left(client: &Client) -> Result<BTreeSet<String>, zk_client::Error> {
    let mut left = BTreeSet::new();
    let names = client.get_children(QUEUE, None).await.unwrap_or_default();
    for name in names {
        let (data, _) = client.get_data(&format!("{QUEUE}/{name}"), None).await?;
        let item = data.get(ENVELOPE.0..data.len().saturating_sub(ENVELOPE.1));
        left.insert(String::from_utf8_lossy(item.unwrap_or_default()).into_owned());
    }
    Ok(left)
}

/// What Curator puts before and behind a single item.
const ENVELOPE: (usize, usize) = (9, 1);

fn item_of(claim: &QueueClaim) -> String {
    String::from_utf8_lossy(&claim.items[0]).into_owned()
}

struct Host {
    worked: Book,
    rng: EnvRng,
    number: u64,
}

impl Player for Host {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        establish(stage, client, EFFECTS, "").await;
        if self.rng.below(2) == 0 || stage.phase() >= Phase::Healed {
            self.put(stage, client).await;
        }
        match queue(client).try_claim().await {
            Ok(Some(claim)) => self.work(stage, claim).await,
            Ok(None) => {}
            Err(error) => _ = bears(stage, QUEUE, &error),
        }
    }
}

impl Host {
    async fn put(&mut self, stage: &Stage, client: &Client) {
        self.number += 1;
        // A machine that starts anew counts anew.
        let now = stage.now().as_nanos();
        let item = format!("{}-{}-{now}", stage.host(), self.number);
        locked(&self.worked).begin_put(&item);
        match queue(client).put(&item).await {
            Ok(_) => {
                locked(&self.worked).end_put(&item, true);
                stage.progress("put");
            }
            Err(Error::Client(error)) if error.is_outcome_unknown() => {}
            Err(error) => {
                locked(&self.worked).end_put(&item, false);
                bears(stage, QUEUE, &error);
            }
        }
    }

    async fn work(&mut self, stage: &Stage, claim: QueueClaim) {
        let item = item_of(&claim);
        let token = claim.fencing_token().as_u64();
        // One that comes from before a stall says itself that it is none any more.
        if matches!(claim.current(), OwnershipState::Held { .. })
            && let Err(why) = locked(&self.worked).claimed(&item, token)
        {
            stage.fail(why);
        }
        stage.env().probe().reached("recipes: item claimed");
        if self.rng.below(3) == 0 {
            stage.pause(ms(0, 1_500)).await;
        }
        let ended = match self.rng.below(8) {
            0 => claim.release().await,
            1 => claim.put_back().await,
            _ => self.finish(stage, claim, &item).await,
        };
        match ended {
            Ok(()) => stage.progress("claim"),
            // Somebody else has it by now.
            Err(error @ (Error::Fenced { .. } | Error::Lost(_))) => note(stage, &error),
            Err(error) => _ = bears(stage, QUEUE, &error),
        }
    }

    /// The effect, under the claim, then the item's end.
    async fn finish(&self, stage: &Stage, claim: QueueClaim, item: &str) -> Result<(), Error> {
        let effect = format!("{EFFECTS}/{item}");
        let effect = claim
            .transaction()
            .create(&effect, b"", CreateMode::Persistent);
        match effect.commit().await {
            Ok(_) => {}
            // Whoever had it before has come so far.
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::NodeExists) => {
                let probe = stage.env().probe();
                probe.reached("recipes: item worked on again");
            }
            Err(error) => return Err(error),
        }
        claim.done().await
    }
}
