//! A queue of sequential znodes: what was put is taken once or still there.

use std::collections::BTreeSet;
use std::sync::Arc;

use zk_client::{CreateMode, ErrorCode, Outcome};
use zk_env::BoxFuture;

use super::clients::{bears, builder, catch_up, close, connect, establish, hosts, ms, settle};
use super::ledger::{Fate, Ledger};
use super::observed::Observed;
use crate::checkers::linearizability::specs::fifo_queue::{
    FifoQueue, QueueOp, QueueRet, bad_pattern,
};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who puts and takes, each both.
const WORKERS: usize = 2;
const ROOT: &str = "/queue";
/// Elements in the queue above which nobody puts.
const FULL: usize = 30;

/// Workers that put and take.
#[derive(Debug, Default)]
pub(super) struct Queue(Arc<Books>);

#[derive(Debug, Default)]
struct Books {
    /// By value.
    put: Ledger,
    /// The same values.
    taken: Ledger,
    /// Both as their callers saw them.
    seen: Observed<QueueOp<String>, QueueRet<String>>,
}

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("queue", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let books = Arc::clone(&self.0);
        Box::pin(async move { work(&stage, &books).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let books = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &books).await })
    }
}

async fn work(stage: &Stage, books: &Books) {
    let mut rng = stage.rng("queue");
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let mut n = 0;
        while stage.goes_on() {
            let there = settle(stage, ROOT, client.get_children(ROOT, None).await);
            match there {
                Some(there) if there.is_empty() || (there.len() < FULL && rng.below(2) == 0) => {
                    n += 1;
                    put(stage, &client, books, n).await;
                }
                Some(there) => take(stage, &client, books, there).await,
                None => {}
            }
            stage.pause(ms(10, 150)).await;
        }
    }
    close(client).await;
}

async fn put(stage: &Stage, client: &RecordedClient, books: &Books, n: u64) {
    let value = format!("{} {:?} {n}", stage.host(), stage.now());
    books.put.begin(&value);
    let putting = books.seen.begin(QueueOp::Put(value.clone()), stage.now());
    let put = client
        .create(
            &format!("{ROOT}/element-"),
            &value,
            CreateMode::PersistentSequential,
        )
        .await;
    let fate = Fate::of(&put);
    match fate {
        Fate::Applied if put.is_ok() => books.seen.returned(putting, stage.now(), QueueRet::Put),
        Fate::NotApplied => books.seen.not_applied(putting),
        _ => {}
    }
    books.put.settle(&value, fate);
    if settle(stage, ROOT, put).is_some() {
        stage.progress("turn");
    }
}

/// Takes the first. Whoever deletes it has it.
async fn take(stage: &Stage, client: &RecordedClient, books: &Books, there: Vec<String>) {
    let Some(first) = there.iter().min() else {
        return;
    };
    let path = format!("{ROOT}/{first}");
    let Some((value, _)) = settle(stage, &path, client.get_data(&path, None).await) else {
        return;
    };
    let value = String::from_utf8_lossy(&value).into_owned();
    if books.put.fate(&value).is_none() {
        stage.fail(format!("{path}: nobody put {value}"));
    }
    if books.taken.fate(&value) != Some(Fate::Applied) {
        books.taken.begin(&value);
    }
    let taking = books.seen.begin(QueueOp::Take, stage.now());
    let deleted = client.delete(&path, None).await;
    match &deleted {
        Ok(()) => {
            let took = QueueRet::Took(value.clone());
            books.seen.returned(taking, stage.now(), took);
        }
        // It may have been taken, by this.
        Err(error) if error.outcome() == Outcome::Unknown => {}
        Err(_) => books.seen.not_applied(taking),
    }
    match deleted {
        Ok(()) => {
            if books.taken.fate(&value) == Some(Fate::Applied) {
                stage.fail(format!("{value} was taken twice"));
            }
            books.taken.settle(&value, Fate::Applied);
            stage.progress("turn");
        }
        // Who came first may not know it; then it stays open.
        Err(error) if error.code() == Some(ErrorCode::NoNode) => stage.progress("turn"),
        Err(error) => {
            bears(stage, &path, &error);
        }
    }
}

async fn verify(stage: &Stage, books: &Books) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    catch_up(stage, &client).await;
    let Some(left) = contents(stage, &client).await else {
        return stage.fail(format!("{ROOT} cannot be read after the faults"));
    };
    for value in &left {
        if books.put.fate(value) == Some(Fate::NotApplied) || books.put.fate(value).is_none() {
            stage.fail(format!("{value} is there and was not put"));
        }
        if books.taken.fate(value) == Some(Fate::Applied) {
            stage.fail(format!("{value} was taken and is there"));
        }
    }
    for value in books.put.applied() {
        if !left.contains(&value) && books.taken.fate(&value).is_none() {
            stage.fail(format!("{value} was put and is lost"));
        }
    }
    // The search alone may not come to an end; the patterns are quick.
    if let Some(bad) = bad_pattern(&books.seen.operations()) {
        stage.fail(format!("{ROOT} is no queue: {bad:?}"));
    }
    books.seen.verify(stage, ROOT, &FifoQueue::default());
    close(client).await;
}

async fn contents(stage: &Stage, client: &RecordedClient) -> Option<BTreeSet<String>> {
    let names = settle(stage, ROOT, client.get_children(ROOT, None).await)?;
    let mut values = BTreeSet::new();
    for name in names {
        let path = format!("{ROOT}/{name}");
        let (value, _) = settle(stage, &path, client.get_data(&path, None).await)?;
        if !values.insert(String::from_utf8_lossy(&value).into_owned()) {
            stage.fail(format!("{value:?} is there twice"));
        }
    }
    Some(values)
}
