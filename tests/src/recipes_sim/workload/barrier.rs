//! A barrier that is set and removed while others are about to wait at it (R16).

use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Barrier, Error};
use zk_sim::runner::{Stage, Workload};

use crate::recipes_sim::life::{self, Player, bears, live, ms};

const BARRIER: &str = "/barriers/gate";
/// Longer than whoever sets it lets it stand, unless faults are in the way.
const PATIENCE: Duration = Duration::from_secs(20);

/// One host that sets and removes, and others that wait.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: usize,
}

impl Gate {
    pub(crate) const fn new(hosts: usize) -> Self {
        Self { hosts }
    }
}

impl Workload for Gate {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("barrier", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let rng = stage.rng("barrier");
        let is_keeper = self
            .hosts()
            .first()
            .is_some_and(|first| first == stage.host());
        if is_keeper {
            return Box::pin(async move { live(&stage, Keeper { rng }).await });
        }
        Box::pin(async move { live(&stage, Passer { rng }).await })
    }
}

struct Keeper {
    rng: EnvRng,
}

impl Player for Keeper {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let barrier = Barrier::new(client, BARRIER);
        let done = async {
            barrier.set().await?;
            let long = Duration::from_millis(self.rng.below(400));
            stage.pause(long..long + Duration::from_millis(100)).await;
            barrier.remove().await?;
            Ok::<(), Error>(())
        };
        match done.await {
            Ok(()) => stage.progress("set and removed"),
            Err(error) => _ = bears(stage, BARRIER, &error),
        }
    }
}

struct Passer {
    rng: EnvRng,
}

impl Player for Passer {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        let barrier = Barrier::new(client, BARRIER);
        let waited = match self.rng.below(6) {
            0 => barrier.wait_within(PATIENCE).await,
            _ => barrier.wait().await,
        };
        match waited {
            Ok(()) => stage.progress("passed"),
            Err(error) => _ = bears(stage, BARRIER, &error),
        }
        stage.pause(ms(0, 50)).await;
    }
}
