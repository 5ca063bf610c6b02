//! A counter read and written under a read-write lock, with downgrades, while machines stall and
//! links break: whoever may read sees it stand still.

use std::sync::{Arc, Mutex as Locked};

use zk_client::CreateMode;
use zk_env::EnvRng;
use zk_recipes::{FencingToken, Ownership, OwnershipState, ReadWriteLock, WriteGuard};
use zk_sim::Sim;

use super::*;
use crate::invariants::{no_reader_beside_a_writer, tokens_rise_from_write_to_write};
use crate::torture::{CHAOS, HOSTS, strike};

const COUNTER: &str = "/counter";

/// What the workers did.
#[derive(Debug, Default)]
struct Book {
    readers: Vec<Ownership>,
    writers: Vec<Ownership>,
    /// Committed: the value written, and under which token.
    written: Vec<(u64, FencingToken)>,
    unknown: u64,
    reads: u64,
    downgrades: u64,
    is_over: bool,
}

type Shared = Arc<Locked<Book>>;

fn book(shared: &Shared) -> std::sync::MutexGuard<'_, Book> {
    shared.lock().unwrap()
}

fn check(shared: &Shared) {
    let mut book = book(shared);
    let is_lost = |guard: &Ownership| matches!(guard.current(), OwnershipState::Lost(_));
    book.readers.retain(|guard| !is_lost(guard));
    book.writers.retain(|guard| !is_lost(guard));
    no_reader_beside_a_writer(&book.readers, &book.writers);
}

/// One of the workers.
struct Worker {
    lock: ReadWriteLock,
    client: Client,
    rng: EnvRng,
    shared: Shared,
}

impl Worker {
    async fn value(&self) -> Option<u64> {
        let (data, _) = self.client.get_data(COUNTER, None).await.ok()?;
        std::str::from_utf8(&data).unwrap().parse().ok()
    }

    /// Time for a fault to strike.
    async fn dawdle(&mut self) {
        let long = Duration::from_millis(self.rng.below(3_000));
        pause(self.client.env(), long).await;
    }

    async fn read(&mut self) -> Option<()> {
        let guard = self.lock.read().await.ok()?;
        book(&self.shared).readers.push(guard.ownership());
        check(&self.shared);
        let before = self.value().await?;
        self.dawdle().await;
        let after = self.value().await?;
        if matches!(guard.current(), OwnershipState::Held { .. }) {
            assert_eq!(before, after, "written beside a reader");
            book(&self.shared).reads += 1;
        }
        guard.release().await.ok()
    }

    async fn write(&mut self) -> Option<(WriteGuard, u64)> {
        let guard = self.lock.write().await.ok()?;
        book(&self.shared).writers.push(guard.ownership());
        check(&self.shared);
        let value = self.value().await? + 1;
        self.dawdle().await;
        let write = guard
            .transaction()
            .set_data(COUNTER, value.to_string(), None);
        match write.commit().await {
            Ok(_) => {
                let token = guard.fencing_token();
                book(&self.shared).written.push((value, token));
                Some((guard, value))
            }
            Err(zk_recipes::Error::Client(error)) if error.is_outcome_unknown() => {
                book(&self.shared).unknown += 1;
                None
            }
            Err(_) => None,
        }
    }

    async fn write_and_read(&mut self) -> Option<()> {
        let (guard, value) = self.write().await?;
        let reader = guard.downgrade().await.ok()?;
        book(&self.shared).readers.push(reader.ownership());
        check(&self.shared);
        self.dawdle().await;
        let read = self.value().await?;
        if matches!(reader.current(), OwnershipState::Held { .. }) {
            assert_eq!(read, value, "written beside a writer that reads");
            book(&self.shared).downgrades += 1;
        }
        reader.release().await.ok()
    }

    async fn work(mut self) {
        while !book(&self.shared).is_over {
            match self.rng.below(4) {
                0 => {
                    if let Some((guard, _)) = self.write().await {
                        let _ = guard.release().await;
                    }
                }
                1 => drop(self.write_and_read().await),
                _ => drop(self.read().await),
            }
            pause(self.client.env(), Duration::from_millis(50)).await;
        }
        self.client.close().await.unwrap();
    }
}

async fn torture(sim: Sim, seed: u64) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let create = stage.create(COUNTER, b"0", CreateMode::Persistent);
    create.await.unwrap();
    let shared = Shared::default();
    for host in HOSTS {
        let client = connect(&sim, host).await;
        let worker = Worker {
            lock: ReadWriteLock::new(&client, LOCK),
            rng: client.env().rng("work"),
            shared: Arc::clone(&shared),
            client,
        };
        drop(sim.env(host).spawn("worker", Box::pin(worker.work())));
    }
    let mut rng = env.rng("strikes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng).await;
        for _ in 0..10 {
            check(&shared);
            pause(&env, Duration::from_millis(rng.below(100))).await;
        }
    }
    let rounds = || {
        let book = book(&shared);
        book.reads + book.written.len() as u64
    };
    let healed = rounds();
    pause(&env, 5 * SESSION_TIMEOUT).await;
    let rounds = rounds() - healed;
    assert!(rounds > 5, "seed {seed}: {rounds} once all is well");
    book(&shared).is_over = true;
    pause(&env, 3 * SESSION_TIMEOUT).await;
    stage.sync("/").await.unwrap();
    let left = stage.get_children(LOCK, None).await.unwrap_or_default();
    assert_eq!(left, [""; 0], "seed {seed}");
    let (data, _) = stage.get_data(COUNTER, None).await.unwrap();
    let last: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
    let book = book(&shared);
    let acknowledged = book.written.len() as u64;
    let possible = acknowledged..=acknowledged + book.unknown;
    assert!(
        possible.contains(&last),
        "seed {seed}: {last} of {possible:?}"
    );
    let (reads, downgrades) = (book.reads, book.downgrades);
    assert!(
        acknowledged > 5 && reads > 10 && downgrades > 0,
        "seed {seed}: {acknowledged} {reads} {downgrades}"
    );
    tokens_rise_from_write_to_write(book.written.clone());
}

#[test]
fn a_counter_stands_still_for_whoever_may_read_it() {
    for seed in 0..15 {
        simulate(seed, async |sim| torture(sim, seed).await);
    }
}
