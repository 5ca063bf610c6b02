//! A read-write lock, with downgrades: whoever may read sees the number stand still (R14).

use std::sync::Arc;
use std::time::Duration;

use zk_client::Client;
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Ownership, OwnershipState, ReadWriteLock, WriteGuard};
use zk_sim::runner::{Stage, Workload};

use crate::recipes_sim::invariants::{Wait, no_reader_beside_a_writer};
use crate::recipes_sim::ledger::Ledger;
use crate::recipes_sim::life::{self, Player, bears, connect_after, live, ms};
use crate::recipes_sim::roll::{Right, Roll};

use super::mutex::dawdle;

const LOCK: &str = "/locks/read-write";

/// Readers and writers.
#[derive(Debug)]
pub(crate) struct ReadersAndWriters {
    hosts: usize,
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
}

impl ReadersAndWriters {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            roll: Roll::new(no_reader_beside_a_writer),
            ledger: Arc::new(Ledger::new("/ledgers/read-write", false)),
        }
    }
}

impl Workload for ReadersAndWriters {
    fn name(&self) -> &'static str {
        "read-write lock"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("read-write", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.roll.forget(stage.host());
        let player = ReaderWriter {
            roll: Arc::clone(&self.roll),
            ledger: Arc::clone(&self.ledger),
            rng: stage.rng("read-write lock"),
            is_prepared: false,
        };
        Box::pin(async move {
            player.roll.watch(&stage);
            live(&stage, player).await;
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

struct ReaderWriter {
    roll: Arc<Roll>,
    ledger: Arc<Ledger>,
    rng: EnvRng,
    is_prepared: bool,
}

impl Player for ReaderWriter {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if !self.is_prepared {
            self.ledger.establish(stage, client).await;
            self.is_prepared = true;
        }
        let lock = ReadWriteLock::new(client, LOCK);
        let done = match self.rng.below(4) {
            0 => self.write(stage, &lock).await,
            1 => self.write_and_read(stage, &lock).await,
            _ => self.read(stage, &lock).await,
        };
        if let Err(error) = done {
            bears(stage, LOCK, &error);
        }
    }
}

type Done = Result<(), zk_recipes::Error>;

impl ReaderWriter {
    async fn read(&mut self, stage: &Stage, lock: &ReadWriteLock) -> Done {
        let guard = match self.rng.below(8) {
            0 => {
                let limit = Duration::from_millis(self.rng.below(2_000));
                lock.read_within(limit).await?
            }
            1 => match lock.try_read().await? {
                Some(guard) => guard,
                None => return Ok(()),
            },
            _ => {
                let wait = Wait::begin(stage);
                let guard = lock.read().await?;
                wait.end(stage);
                guard
            }
        };
        self.roll.enter(stage, Right::Share, &guard);
        self.look_twice(stage, &guard, None).await;
        guard.release().await
    }

    /// Nobody writes as long as it may read.
    async fn look_twice(&mut self, stage: &Stage, reader: &Ownership, known: Option<u64>) {
        let client = reader.client();
        let before = match known {
            Some(known) => Some(known),
            None => self.ledger.value(client).await,
        };
        dawdle(stage, &mut self.rng).await;
        let after = self.ledger.value(client).await;
        let (Some(before), Some(after)) = (before, after) else {
            return;
        };
        if !matches!(reader.current(), OwnershipState::Held { .. }) {
            return;
        }
        if before != after {
            let host = stage.host();
            stage.fail(format!(
                "readers and writers: {after} was written beside {host}, which read {before}"
            ));
        }
        stage.progress("read");
    }

    async fn write(&mut self, stage: &Stage, lock: &ReadWriteLock) -> Done {
        match self.written(stage, lock).await? {
            Some((guard, _)) => guard.release().await,
            None => Ok(()),
        }
    }

    async fn written(
        &mut self,
        stage: &Stage,
        lock: &ReadWriteLock,
    ) -> Result<Option<(WriteGuard, u64)>, zk_recipes::Error> {
        let guard = match self.rng.below(8) {
            0 => tokio::select! {
                biased;
                guard = lock.write() => guard?,
                () = stage.pause(ms(0, 300)) => {
                    stage.env().probe().reached("recipes: waiter dropped");
                    return Ok(None);
                }
            },
            _ => {
                let wait = Wait::begin(stage);
                let guard = lock.write().await?;
                wait.end(stage);
                guard
            }
        };
        self.roll.enter(stage, Right::Write, &guard);
        let Some(value) = self.ledger.value(guard.client()).await else {
            return Ok(None);
        };
        dawdle(stage, &mut self.rng).await;
        if !self.ledger.write(stage, &guard, value + 1).await {
            return Ok(None);
        }
        stage.progress("write");
        Ok(Some((guard, value + 1)))
    }

    async fn write_and_read(&mut self, stage: &Stage, lock: &ReadWriteLock) -> Done {
        let Some((guard, value)) = self.written(stage, lock).await? else {
            return Ok(());
        };
        let downgrade = guard.downgrade();
        let reader = match self.rng.below(8) {
            0 => tokio::select! {
                biased;
                reader = downgrade => reader?,
                () = stage.pause(ms(0, 30)) => {
                    stage.env().probe().reached("recipes: downgrade dropped");
                    return Ok(());
                }
            },
            _ => downgrade.await?,
        };
        self.roll.enter(stage, Right::Share, &reader);
        stage.env().probe().reached("recipes: downgraded");
        self.look_twice(stage, &reader, Some(value)).await;
        reader.release().await
    }
}
