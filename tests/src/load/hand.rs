//! A writer of a few znodes that nobody else writes, one write after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zk_client::{Client, CreateMode, Epoch, Error, ErrorCode, Outcome};
use zk_env::{EnvRng, sleep_until};

use super::ledger::{Fate, Write};
use super::{REGISTER, ROOT, Shared};
use crate::processes::Failure;

/// Znodes of each sort, apart from sequential ones.
const SLOTS: u64 = 6;

/// Sequential znodes that are kept; then one is deleted for each that is made.
const SEQUENTIAL: usize = 20;

pub(super) struct Hand {
    client: Client,
    shared: Arc<Shared>,
    rng: EnvRng,
    pause: Duration,
    root: String,
    /// Numbers its values.
    writes: u64,
    sequential: Vec<String>,
    /// The session that owns its ephemerals.
    epoch: Epoch,
}

impl Hand {
    pub(super) fn new(number: usize, client: Client, shared: Arc<Shared>, pause: Duration) -> Self {
        Self {
            rng: client.env().rng("hand"),
            epoch: client.epoch(),
            client,
            shared,
            pause,
            root: format!("{ROOT}/hand-{number}"),
            writes: 0,
            sequential: Vec::new(),
        }
    }

    /// Makes what it needs.
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
        let created = self.client.create(&self.root, b"", CreateMode::Persistent);
        created
            .await
            .map_err(|error| format!("{}: {error}", self.root))?;
        self.shared.ledger().prepared(&self.root);
        Ok(())
    }

    pub(super) async fn work(mut self) {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            let Ok(turn) = shared.turns.acquire().await else {
                return;
            };
            self.write().await;
            self.forget_expired();
            drop(turn);
            let env = Arc::clone(self.client.env());
            sleep_until(&mut *env.timer(), env.now() + self.pause).await;
        }
    }

    async fn write(&mut self) {
        self.writes += 1;
        match self.rng.below(8) {
            0 | 1 => self.write_sequential().await,
            2 | 3 => self.write_one("znode", CreateMode::Persistent).await,
            4 => self.write_one("ephemeral", CreateMode::Ephemeral).await,
            5 => self.write_pair().await,
            6 => self.set_register().await,
            _ => self.write_nothing().await,
        }
    }

    /// Of all writes of all hands no two have the same.
    fn value(&self) -> String {
        format!("{} write {}", self.root, self.writes)
    }

    fn slot(&mut self, name: &str) -> String {
        format!("{}/{name}-{}", self.root, self.rng.below(SLOTS))
    }

    /// A write that should succeed on such a znode.
    fn write_for(&mut self, path: &str) -> Write {
        let may_be_there = self
            .shared
            .ledger()
            .may_be(path)
            .iter()
            .any(Option::is_some);
        match self.rng.below(2) {
            _ if !may_be_there => Write::Create(self.value()),
            0 => Write::Set(self.value()),
            _ => Write::Delete,
        }
    }

    async fn write_one(&mut self, name: &str, mode: CreateMode) {
        let path = self.slot(name);
        let write = self.write_for(&path);
        self.carry_out(&path, &write, mode).await;
    }

    async fn carry_out(&self, path: &str, write: &Write, mode: CreateMode) {
        let client = &self.client;
        let answer = match write {
            Write::Create(value) => client.create(path, value, mode).await.map(drop),
            Write::Set(value) => client.set_data(path, value, None).await.map(drop),
            Write::Delete => client.delete(path, None).await,
        };
        let mut ledger = self.shared.ledger();
        if answer
            .as_ref()
            .is_err_and(|error| does_not_fit(write, error))
        {
            return ledger.did_not_fit(path, write);
        }
        let mut fate = self.fate(answer, &mut ledger);
        // An ephemeral of which session, if the session has just changed?
        if self.client.epoch() != self.epoch && mode == CreateMode::Ephemeral {
            fate = Fate::Unknown;
        }
        ledger.wrote(path, write, &fate);
    }

    async fn write_sequential(&mut self) {
        if self.sequential.len() >= SEQUENTIAL {
            let at = self.rng.below(self.sequential.len() as u64);
            let path = self
                .sequential
                .swap_remove(usize::try_from(at).unwrap_or(0));
            return self
                .carry_out(&path, &Write::Delete, CreateMode::Persistent)
                .await;
        }
        let value = self.value();
        let path = format!("{}/sequential-", self.root);
        let created = self
            .client
            .create(&path, &value, CreateMode::PersistentSequential);
        let answer = created.await;
        if let Ok(path) = &answer {
            self.sequential.push(path.clone());
        }
        let mut ledger = self.shared.ledger();
        let fate = self.fate(answer, &mut ledger);
        ledger.created_somewhere(&value, &fate);
    }

    /// Two znodes by one transaction.
    async fn write_pair(&mut self) {
        let first = self.slot("pair");
        let second = format!("{first}-too");
        let write = self.write_for(&first);
        let transaction = [&first, &second].iter().fold(
            self.client.transaction().check(&self.root, None),
            |transaction, path| match &write {
                Write::Create(value) => transaction.create(path, value, CreateMode::Persistent),
                Write::Set(value) => transaction.set_data(path, value, None),
                Write::Delete => transaction.delete(path, None),
            },
        );
        let answer = transaction.commit().await.map(drop);
        let mut ledger = self.shared.ledger();
        if answer
            .as_ref()
            .is_err_and(|error| does_not_fit(&write, error))
        {
            // Both are there or neither, and it failed at the first one.
            return ledger.did_not_fit(&first, &write);
        }
        let fate = self.fate(answer, &mut ledger);
        ledger.wrote_pair([&first, &second], &write, &fate);
    }

    async fn set_register(&self) {
        let value = self.value();
        let answer = self.client.set_data(REGISTER, &value, None).await;
        let answer = answer.map(|stat| stat.version);
        let mut ledger = self.shared.ledger();
        let fate = self.fate(answer, &mut ledger);
        ledger.set_register(value, fate);
    }

    /// A transaction that would make a znode and cannot.
    async fn write_nothing(&self) {
        let path = format!("{}/never-{}", self.root, self.writes);
        let transaction = self.client.transaction();
        let transaction = transaction
            .create(&path, self.value(), CreateMode::Persistent)
            .check(&self.root, 77);
        let answer = transaction.commit().await.map(drop);
        let mut ledger = self.shared.ledger();
        let fate = match answer {
            Err(Error::Transaction { .. }) => Fate::Refused,
            answer => self.fate(answer, &mut ledger),
        };
        ledger.wrote_nothing(&fate);
    }

    fn fate<T>(&self, answer: Result<T, Error>, ledger: &mut super::Ledger) -> Fate<T> {
        match answer {
            Ok(told) => Fate::Acknowledged(told),
            Err(error) => {
                ledger.failed(&error);
                match error.outcome() {
                    Outcome::NotApplied => Fate::Refused,
                    // The answer cannot be read: what it tells is not known either.
                    Outcome::Unknown | Outcome::Applied => Fate::Unknown,
                }
            }
        }
    }

    /// A new session: ephemerals of the old one are gone.
    fn forget_expired(&mut self) {
        let epoch = self.client.epoch();
        if epoch != self.epoch {
            self.epoch = epoch;
            let slots = 0..SLOTS;
            let paths: Vec<_> = slots
                .map(|slot| format!("{}/ephemeral-{slot}", self.root))
                .collect();
            self.shared.ledger().expired(&paths);
        }
    }
}

/// Whether the server has said that the znode is there, or that it is not.
fn does_not_fit(write: &Write, error: &Error) -> bool {
    let expected = match write {
        Write::Create(_) => ErrorCode::NodeExists,
        Write::Set(_) | Write::Delete => ErrorCode::NoNode,
    };
    error.code() == Some(expected)
}
