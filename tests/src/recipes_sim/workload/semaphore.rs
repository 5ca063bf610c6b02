//! Leases of a semaphore whose size is changed while they are out (R15).

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Error, Guard, Semaphore};
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::invariants::{Wait, never_over_its_size};
use crate::recipes_sim::life::{self, Player, bears, live, ms};
use crate::recipes_sim::roll::{Right, Roll};

use super::mutex::dawdle;

const PATH: &str = "/limits/leases";
const SIZE: &str = "/limits/size";
/// It is changed, but never above this. Leases that are out when it shrinks stay valid.
const MOST: u32 = 3;

/// Takers of leases.
#[derive(Debug)]
pub(crate) struct Leases {
    hosts: usize,
    roll: Arc<Roll>,
}

impl Leases {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            roll: Roll::new(|held| never_over_its_size(held, MOST as usize)),
        }
    }
}

impl Workload for Leases {
    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("semaphore", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.roll.forget(stage.host());
        let taker = Taker {
            roll: Arc::clone(&self.roll),
            rng: stage.rng("semaphore"),
        };
        Box::pin(async move {
            taker.roll.watch(&stage);
            live(&stage, taker).await;
        })
    }
}

struct Taker {
    roll: Arc<Roll>,
    rng: EnvRng,
}

impl Player for Taker {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let builder = Semaphore::builder(client, PATH, 2).size_from(SIZE);
        let semaphore = builder.build().expect("paths and size are valid");
        if self.rng.below(16) == 0 {
            self.resize(stage, &semaphore).await;
        }
        match self.lease(stage, &semaphore).await {
            Ok(Some(lease)) => {
                self.roll.enter(stage, Right::Share, &lease);
                stage.progress("lease");
                dawdle(stage, &mut self.rng).await;
                if let Err(error) = lease.release().await {
                    bears(stage, PATH, &error);
                }
            }
            Ok(None) => {}
            Err(error) => _ = bears(stage, PATH, &error),
        }
    }
}

impl Taker {
    /// From one to the most there may be; in the end there is one for everybody to wait for.
    async fn resize(&mut self, stage: &Stage, semaphore: &Semaphore) {
        let size = match stage.phase() {
            Phase::WarmUp | Phase::Chaos => 1 + self.rng.below(u64::from(MOST)),
            Phase::Healed | Phase::Over => 1,
        };
        match semaphore.resize(u32::try_from(size).unwrap_or(MOST)).await {
            Ok(()) => {
                let probe = stage.env().probe();
                probe.reached("recipes: semaphore resized");
            }
            Err(error) => _ = bears(stage, SIZE, &error),
        }
    }

    async fn lease(
        &mut self,
        stage: &Stage,
        semaphore: &Semaphore,
    ) -> Result<Option<Guard>, Error> {
        match self.rng.below(8) {
            0 => {
                let limit = Duration::from_millis(self.rng.below(2_000));
                semaphore.acquire_within(limit).await.map(Some)
            }
            1 => semaphore.try_acquire().await,
            2 => tokio::select! {
                biased;
                lease = semaphore.acquire() => lease.map(Some),
                () = stage.pause(ms(0, 300)) => {
                    stage.env().probe().reached("recipes: waiter dropped");
                    Ok(None)
                }
            },
            _ => {
                let wait = Wait::begin(stage);
                let lease = semaphore.acquire().await?;
                wait.end(stage);
                Ok(Some(lease))
            }
        }
    }
}
