//! Counters that many increment, with and without witnesses (R23).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::Client;
use zk_env::BoxFuture;
use zk_recipes::{AtomicLong, Error};
use zk_sim::runner::{Stage, Workload};

use crate::recipes_sim::invariants::Count;
use crate::recipes_sim::life::{self, Player, bears, connect_after, live};

const PLAIN: &str = "/counters/plain";
const EXACT: &str = "/counters/exact";
const WITNESSES: &str = "/counters/witnesses";

type Counts = Arc<Mutex<[Count; 2]>>;

/// Who increments.
#[derive(Debug)]
pub(crate) struct Counters {
    hosts: usize,
    counts: Counts,
}

impl Counters {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            counts: Counts::default(),
        }
    }
}

fn locked(counts: &Counts) -> MutexGuard<'_, [Count; 2]> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workload for Counters {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("counter", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let counts = Arc::clone(&self.counts);
        let adder = Adder { counts };
        Box::pin(async move { live(&stage, adder).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let counts = Arc::clone(&self.counts);
        Box::pin(async move {
            let Some(client) = connect_after(&stage).await else {
                return;
            };
            for (path, which) in [(PLAIN, 0), (EXACT, 1)] {
                let number = AtomicLong::builder(&client, path).build();
                match number.expect("the path is valid").get().await {
                    Ok(last) => {
                        if let Err(why) = locked(&counts)[which].is_exact(last) {
                            stage.fail(format!("{path}: {why}"));
                        }
                    }
                    Err(error) => stage.fail(format!("{path}: {error} after the faults")),
                }
            }
            drop(client.close().await);
        })
    }
}

struct Adder {
    counts: Counts,
}

impl Player for Adder {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let plain = AtomicLong::builder(client, PLAIN).build();
        let exact = AtomicLong::builder(client, EXACT).exactly_once(WITNESSES);
        let numbers = [plain, exact.build()].map(|number| number.expect("paths are valid"));
        // A witness is left to the reaper with the number that has it.
        for (which, number) in numbers.iter().enumerate() {
            locked(&self.counts)[which].begin();
            let changed = number.increment().await;
            let counts = &mut locked(&self.counts)[which];
            match changed {
                Ok(changed) => {
                    counts.acknowledged(changed.after);
                    stage.progress("increment");
                }
                Err(Error::Client(error)) if error.is_outcome_unknown() => {
                    let probe = stage.env().probe();
                    probe.reached("recipes: increment of unknown outcome");
                }
                Err(error) => {
                    counts.not_applied();
                    bears(stage, PLAIN, &error);
                }
            }
        }
    }
}
