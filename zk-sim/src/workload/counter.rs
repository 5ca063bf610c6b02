//! A counter incremented by compare-and-set. An increment whose answer was lost is
//! neither repeated nor counted, and the sum is right all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zk_client::{Error, ErrorCode, Outcome};
use zk_env::BoxFuture;

use super::clients::{bears, builder, catch_up, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who increments.
const WORKERS: usize = 2;
const PATH: &str = "/counter";

/// Workers that count together, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Counter(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    /// Increments that may have taken effect. Counted before the call, so that a kill
    /// of the worker's host leaves them counted.
    possible: AtomicU64,
    /// Increments that have.
    sure: AtomicU64,
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("counter", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let told = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(client) = connect(&stage, || builder(&stage)).await {
                if establish(&stage, &client, PATH).await {
                    while stage.goes_on() {
                        increment(&stage, &client, &told).await;
                        stage.pause(ms(20, 200)).await;
                    }
                }
                close(client).await;
            }
        })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let told = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &told).await })
    }
}

async fn value(stage: &Stage, client: &RecordedClient) -> Option<(u64, i32)> {
    let (data, stat) = settle(stage, PATH, client.get_data(PATH, None).await)?;
    if data.is_empty() {
        return Some((0, stat.version));
    }
    let number = std::str::from_utf8(&data)
        .ok()
        .and_then(|text| text.parse().ok());
    if number.is_none() {
        stage.fail(format!("{PATH} holds {data:?}"));
    }
    Some((number?, stat.version))
}

async fn increment(stage: &Stage, client: &RecordedClient, told: &Told) {
    let Some((number, version)) = value(stage, client).await else {
        return;
    };
    told.possible.fetch_add(1, Ordering::Relaxed);
    match client
        .set_data(PATH, (number + 1).to_string(), version)
        .await
    {
        Ok(_) => {
            told.sure.fetch_add(1, Ordering::Relaxed);
            stage.progress("attempt");
        }
        Err(error) => {
            withdraw(told, &error);
            bears(stage, PATH, &error);
            if error.code() == Some(ErrorCode::BadVersion) {
                stage.progress("attempt");
            }
        }
    }
}

fn withdraw(told: &Told, error: &Error) {
    match error.outcome() {
        Outcome::NotApplied => {
            told.possible.fetch_sub(1, Ordering::Relaxed);
        }
        Outcome::Unknown | Outcome::Applied => {}
    }
}

async fn verify(stage: &Stage, told: &Told) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    catch_up(stage, &client).await;
    let sure = told.sure.load(Ordering::Relaxed);
    let possible = told.possible.load(Ordering::Relaxed);
    match value(stage, &client).await {
        Some((number, _)) if (sure..=possible).contains(&number) => {}
        Some((number, _)) => stage.fail(format!(
            "{PATH} is {number}; {sure} increments were answered, {possible} possible"
        )),
        None => stage.fail(format!("{PATH} cannot be read after the faults")),
    }
    close(client).await;
}
