//! Leaders by a latch, who hand over to one another, resign, or lead in scopes (R07, R09).

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Guard, LeaderLatch};
use zk_sim::runner::{Stage, Workload};

use crate::recipes_sim::invariants::{Wait, at_most_one_owner};
use crate::recipes_sim::ledger::Ledger;
use crate::recipes_sim::life::{self, Player, bears, connect_after, live};
use crate::recipes_sim::roll::{Right, Roll};

use super::mutex::dawdle;

const ELECTION: &str = "/elections/leader";
/// What the others have to make way in.
const PATIENCE: Duration = Duration::from_secs(4);

/// Candidates.
#[derive(Debug)]
pub(crate) struct Candidates {
    hosts: usize,
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
}

impl Candidates {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            roll: Roll::new(at_most_one_owner),
            ledger: Arc::new(Ledger::new("/ledgers/leader", false)),
        }
    }
}

impl Workload for Candidates {
    fn name(&self) -> &'static str {
        "leader"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("leader", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.roll.forget(stage.host());
        let candidate = Candidate {
            roll: Arc::clone(&self.roll),
            ledger: Arc::clone(&self.ledger),
            rng: stage.rng("leader"),
            all: self.hosts(),
            is_prepared: false,
        };
        Box::pin(async move {
            candidate.roll.watch(&stage);
            live(&stage, candidate).await;
        })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.ledger);
        Box::pin(async move {
            if let Some(client) = connect_after(&stage).await {
                ledger.verify(&stage, &client).await;
                drop(client.close().await);
            }
        })
    }
}

struct Candidate {
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
    rng: EnvRng,
    all: Vec<String>,
    is_prepared: bool,
}

impl Player for Candidate {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if !self.is_prepared {
            self.ledger.establish(stage, client).await;
            self.is_prepared = true;
        }
        let builder = LeaderLatch::builder(client, ELECTION).id(stage.host());
        let latch = builder.build().expect("the path is valid");
        let wait = Wait::begin(stage);
        let guard = match latch.campaign().await {
            Ok(guard) => guard,
            Err(error) => {
                bears(stage, ELECTION, &error);
                return;
            }
        };
        wait.end(stage);
        self.roll.enter(stage, Right::Write, &guard);
        if let Some(value) = self.ledger.value(client).await {
            dawdle(stage, &mut self.rng).await;
            if self.ledger.write(stage, &guard, value + 1).await {
                stage.progress("term");
            }
        }
        self.leave(stage, &latch, guard).await;
    }
}

impl Candidate {
    async fn leave(&mut self, stage: &Stage, latch: &LeaderLatch, guard: Guard) {
        let left = match self.rng.below(3) {
            0 => guard.release().await,
            1 => {
                drop(guard);
                Ok(())
            }
            _ => {
                let to = &self.all[self.rng.below(self.all.len() as u64) as usize];
                match latch.hand_over(guard, to, PATIENCE).await {
                    Ok(()) => {
                        let probe = stage.env().probe();
                        probe.reached("recipes: leadership handed over");
                        Ok(())
                    }
                    Err((guard, error)) => {
                        bears(stage, ELECTION, &error);
                        match guard {
                            Some(guard) => guard.release().await,
                            None => Ok(()),
                        }
                    }
                }
            }
        };
        if let Err(error) = left {
            bears(stage, ELECTION, &error);
        }
    }
}
