//! A counter that is read, and written one higher, under a lock.

use std::sync::{Arc, Mutex as Locked};
use std::time::Duration;

use zk_client::{CreateMode, OpResult};
use zk_env::TaskHandle;
use zk_recipes::{FencingToken, Mutex, Proof};

use crate::stage::{Owners, Part, Stage};

const LOCK: &str = "/locks/counter";
const COUNTER: &str = "/counter";
const WORKERS: usize = 3;

/// Every so often a worker wants the better proof before it works.
const PROVEN_EVERY: usize = 10;

/// What the workers did.
#[derive(Default)]
struct Book {
    /// Committed: the value written, the version it made, and under which token.
    done: Vec<(u64, i32, FencingToken)>,
    unknown: u64,
}

pub(crate) struct Counter {
    book: Arc<Locked<Book>>,
    workers: Vec<TaskHandle>,
}

impl Counter {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let client = stage.client().await;
        let created = client.create(COUNTER, b"0", CreateMode::Persistent);
        created.await.unwrap();
        let (book, owners) = (Arc::<Locked<Book>>::default(), Arc::<Owners>::default());
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let (book, owners) = (Arc::clone(&book), Arc::clone(&owners));
            let work = |part| work(part, book, owners);
            workers.push(stage.spawn(work).await);
        }
        Self { book, workers }
    }

    pub(crate) fn progress(&self) -> usize {
        self.book.lock().unwrap().done.len()
    }

    /// After the end: no increment is lost, none was made under a token that was passed.
    pub(crate) async fn verify(self, stage: &Stage) -> String {
        for worker in self.workers {
            worker.await;
        }
        let client = stage.client().await;
        let (data, _) = client.read_linearizable(COUNTER).await.unwrap();
        let last: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
        let mut book = self.book.lock().unwrap();
        let acknowledged = book.done.len() as u64;
        let possible = acknowledged..=acknowledged + book.unknown;
        assert!(possible.contains(&last), "{last} of {possible:?}");
        book.done.sort_by_key(|(_, version, _)| *version);
        for pair in book.done.windows(2) {
            assert!(pair[0].0 < pair[1].0, "a value written twice: {pair:?}");
            assert!(pair[0].2 < pair[1].2, "fenced, and written: {pair:?}");
        }
        format!(
            "counter at {last}, {acknowledged} acknowledged, {} unknown",
            book.unknown
        )
    }
}

async fn work(part: Part, book: Arc<Locked<Book>>, owners: Arc<Owners>) {
    let lock = Mutex::new(&part.client, LOCK);
    for round in 1.. {
        if part.is_over() {
            break;
        }
        increment(&part, &lock, &book, &owners, round % PROVEN_EVERY == 0).await;
        part.pause(Duration::from_millis(5)).await;
    }
    // Else the lock stays taken for as long as the session lasts.
    if let Err(error) = part.client.close().await {
        part.violation(error);
    }
}

/// Reads and adds one, under the lock; whatever fails is tried again by the caller.
async fn increment(
    part: &Part,
    lock: &Mutex,
    book: &Locked<Book>,
    owners: &Owners,
    is_proven: bool,
) -> Option<()> {
    let guard = lock.acquire().await.ok()?;
    owners.add(part, guard.ownership());
    if is_proven {
        guard.proven(Proof::Quorum).await.ok()?;
    }
    let (data, _) = part.client.get_data(COUNTER, None).await.ok()?;
    let value: u64 = std::str::from_utf8(&data).ok()?.parse().ok()?;
    let next = (value + 1).to_string();
    let write = guard.transaction().set_data(COUNTER, next, None);
    match write.commit().await {
        Ok(results) => match results[..] {
            [OpResult::SetData(stat)] => {
                let done = (value + 1, stat.version, guard.fencing_token());
                book.lock().unwrap().done.push(done);
            }
            _ => part.violation(format!("{results:?}")),
        },
        Err(zk_recipes::Error::Client(error)) if error.is_outcome_unknown() => {
            book.lock().unwrap().unknown += 1;
        }
        Err(_) => {}
    }
    guard.release().await.ok()
}
