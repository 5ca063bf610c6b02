//! A mutex, by those who wait for ever, for a while, or not at all, and those who change their
//! minds (R01–R05, R09–R12).

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Guard, Mutex, MutexBuilder, Ownership, OwnershipState, Policy, Proof};
use zk_sim::runner::{Stage, Workload};

use crate::recipes_sim::invariants::{Wait, at_most_one_owner};
use crate::recipes_sim::ledger::Ledger;
use crate::recipes_sim::life::{self, Player, bears, connect_after, live, ms};
use crate::recipes_sim::roll::{Right, Roll};

const LOCK: &str = "/locks/mutex";

/// Contenders for a mutex.
#[derive(Debug)]
pub(crate) struct Contenders {
    hosts: usize,
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
}

impl Contenders {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            roll: Roll::new(at_most_one_owner),
            ledger: Arc::new(Ledger::new("/ledgers/mutex", false)),
        }
    }
}

impl Workload for Contenders {
    fn name(&self) -> &'static str {
        "mutex"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("mutex", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.roll.forget(stage.host());
        let contender = Contender {
            roll: Arc::clone(&self.roll),
            ledger: Arc::clone(&self.ledger),
            rng: stage.rng("mutex"),
            is_prepared: false,
        };
        Box::pin(async move {
            contender.roll.watch(&stage);
            live(&stage, contender).await;
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

struct Contender {
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
    rng: EnvRng,
    is_prepared: bool,
}

impl Player for Contender {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if !self.is_prepared {
            self.ledger.establish(stage, client).await;
            self.is_prepared = true;
        }
        let lock = self.lock(client);
        if self.rng.below(8) == 0 {
            return self.run(stage, &lock).await;
        }
        let Some(guard) = self.acquire(stage, &lock).await else {
            return;
        };
        self.roll.enter(stage, Right::Write, &guard);
        self.work(stage, &guard).await;
        match self.rng.below(4) {
            0 => drop(guard),
            _ => {
                if let Err(error) = guard.release().await {
                    bears(stage, LOCK, &error);
                }
            }
        }
    }
}

impl Contender {
    /// Now and then with the stronger proof.
    fn lock(&mut self, client: &Client) -> Mutex {
        let builder: MutexBuilder = Mutex::builder(client, LOCK);
        let builder = match self.rng.below(4) {
            0 => builder.proof(Proof::Quorum),
            _ => builder,
        };
        builder.build().expect("the path is valid")
    }

    async fn acquire(&mut self, stage: &Stage, lock: &Mutex) -> Option<Guard> {
        let acquired = match self.rng.below(8) {
            0 => {
                let limit = Duration::from_millis(self.rng.below(2_000));
                lock.acquire_within(limit).await
            }
            1 => lock.try_acquire().await.transpose()?,
            2 => tokio::select! {
                biased;
                acquired = lock.acquire() => acquired,
                () = stage.pause(ms(0, 300)) => {
                    stage.env().probe().reached("recipes: waiter dropped");
                    return None;
                }
            },
            _ => {
                let wait = Wait::begin(stage);
                let acquired = lock.acquire().await;
                if acquired.is_ok() {
                    wait.end(stage);
                }
                acquired
            }
        };
        match acquired {
            Ok(guard) => Some(guard),
            Err(error) => {
                bears(stage, LOCK, &error);
                None
            }
        }
    }

    /// Looks, takes time in which faults may strike, and acts.
    async fn work(&mut self, stage: &Stage, owner: &Ownership) {
        let Some(value) = self.ledger.value(owner.client()).await else {
            return;
        };
        dawdle(stage, &mut self.rng).await;
        if self.ledger.write(stage, owner, value + 1).await {
            stage.progress("write under the lock");
        }
        if self.rng.below(4) == 0 {
            self.ledger.write_unfenced(stage, owner).await;
        }
    }

    /// The same in a scope.
    async fn run(&mut self, stage: &Stage, lock: &Mutex) {
        let margin = Duration::from_millis(self.rng.below(500));
        let policies = [
            Policy::OnSuspend,
            Policy::AtDeadline { margin },
            Policy::OnLost,
        ];
        let policy = policies[self.rng.below(3) as usize];
        let (roll, ledger, rng) = (&self.roll, &self.ledger, &mut self.rng);
        let ran = lock.run(policy, async |term| {
            let owner = term.ownership();
            roll.enter(stage, Right::Write, &owner);
            let value = ledger.value(owner.client()).await?;
            dawdle(stage, rng).await;
            if policy == Policy::OnSuspend && owner.current() == OwnershipState::InDoubt {
                stage.fail(format!("{}: work goes on in doubt", stage.host()));
            }
            ledger.write(stage, &owner, value + 1).await.then_some(())
        });
        match ran.await {
            Ok(ended) => {
                if ended.finished().flatten().is_some() {
                    stage.progress("work in a scope");
                } else {
                    stage
                        .env()
                        .probe()
                        .reached("recipes: work ended by its policy");
                }
            }
            Err(error) => _ = bears(stage, LOCK, &error),
        }
    }
}

/// Mostly short, now and then longer than a session may live without a word.
pub(super) async fn dawdle(stage: &Stage, rng: &mut EnvRng) {
    let long = match rng.below(16) {
        0 => ms(0, 4_000),
        1..4 => ms(0, 400),
        _ => ms(0, 20),
    };
    stage.pause(long).await;
}
