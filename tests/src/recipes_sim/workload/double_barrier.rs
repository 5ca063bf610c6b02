//! Parties at a double barrier, whose members die, give up, and come late (R16).

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{DoubleBarrier, Error};
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::invariants::{Parties, Wait};
use crate::recipes_sim::life::{self, Player, bears, live, ms};

use super::mutex::dawdle;

const BARRIER: &str = "/barriers/double";

/// Members of parties: all but one of the hosts make one, so that one more may come late.
#[derive(Debug)]
pub(crate) struct Members {
    hosts: usize,
    parties: Arc<Parties>,
}

impl Members {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            parties: Arc::default(),
        }
    }
}

impl Workload for Members {
    fn name(&self) -> &'static str {
        "double barrier"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("double-barrier", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.parties.leaves(stage.host());
        let member = Member {
            parties: Arc::clone(&self.parties),
            size: self.hosts.saturating_sub(1).max(2),
            rng: stage.rng("double barrier"),
        };
        Box::pin(async move { live(&stage, member).await })
    }
}

struct Member {
    parties: Arc<Parties>,
    size: usize,
    rng: EnvRng,
}

impl Player for Member {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let staying = Staying(Arc::clone(&self.parties), stage.host().to_owned());
        if let Err(error) = self.round(stage, client, staying).await {
            // Whoever is alone may have to wait for somebody else to begin.
            bears(stage, BARRIER, &error);
        }
    }
}

/// Who is inside until it leaves, is dropped, or never was.
struct Staying(Arc<Parties>, String);

impl Drop for Staying {
    fn drop(&mut self) {
        self.0.leaves(&self.1);
    }
}

impl Member {
    async fn round(
        &mut self,
        stage: &Stage,
        client: &Client,
        staying: Staying,
    ) -> Result<(), Error> {
        let builder = DoubleBarrier::builder(client, BARRIER, self.size);
        let barrier = builder.build()?;
        let inside = match self.rng.below(6) {
            0 if stage.phase() == Phase::Chaos => {
                let limit = Duration::from_millis(self.rng.below(3_000));
                barrier.enter_within(limit).await?
            }
            _ => {
                let wait = Wait::begin(stage);
                let inside = barrier.enter().await?;
                wait.end(stage);
                inside
            }
        };
        let party = inside.party();
        if let Some(znode) = inside.path() {
            self.parties.entered(stage.host(), party, znode);
        }
        dawdle(stage, &mut self.rng).await;
        if self.rng.below(16) == 0 {
            drop(staying);
            drop(inside);
            stage
                .env()
                .probe()
                .reached("recipes: member left without the others");
            return Ok(());
        }
        drop(staying);
        inside.leave().await?;
        stage.progress("round");
        if let Err(why) = self.parties.left(client, party).await {
            stage.fail(why);
        }
        stage.pause(ms(0, 100)).await;
        Ok(())
    }
}
