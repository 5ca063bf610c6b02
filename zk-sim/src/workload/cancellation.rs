//! Futures dropped after any number of polls: nobody gets another's answer, nothing is
//! left behind (C20).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use zk_client::{CreateMode, Error};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who calls and lets go.
const WORKERS: usize = 2;
const ROOT: &str = "/cancellation";
/// Znodes of each worker, each with its name as data.
const ZNODES: u64 = 8;

/// Workers that seldom wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Cancellation(Arc<Starts>);

/// How often each host was started: what a client that was killed meant to clean up
/// stays.
#[derive(Debug, Default)]
struct Starts(Mutex<BTreeMap<String, u32>>);

impl Starts {
    fn count(&self, host: &str) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *starts.entry(host.to_owned()).or_default() += 1;
    }

    fn started_once(&self, host: &str) -> bool {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.get(host) == Some(&1)
    }
}

impl Workload for Cancellation {
    fn name(&self) -> &'static str {
        "cancellation"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("cancellation", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        self.0.count(stage.host());
        Box::pin(async move { work(&stage).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let starts = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &starts).await })
    }
}

async fn work(stage: &Stage) {
    let mut rng = stage.rng("cancellation");
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    let own = format!("{ROOT}/{}", stage.host());
    if prepare(stage, &client, &own).await {
        while stage.goes_on() {
            for _ in 0..rng.below(6) {
                drop_one(stage, &client, &own, &mut rng).await;
            }
            keep_one(stage, &client, &own, &mut rng).await;
            stage.pause(ms(10, 150)).await;
        }
        settle_deletes(stage, &client).await;
    }
    close(client).await;
}

async fn prepare(stage: &Stage, client: &RecordedClient, own: &str) -> bool {
    for n in 0..ZNODES {
        let path = format!("{own}/{n}");
        if !establish(stage, client, &path).await {
            return false;
        }
        while client.set_data(&path, &path, None).await.is_err() {
            if !stage.goes_on() {
                return false;
            }
            stage.pause(ms(50, 200)).await;
        }
    }
    establish(stage, client, &format!("{own}/protected")).await
}

/// Polls `future` up to `polls` times, then drops it.
async fn poll_and_drop<F: Future>(future: F, polls: u64) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(cx).map(drop)
    })
    .await;
}

async fn drop_one(stage: &Stage, client: &RecordedClient, own: &str, rng: &mut EnvRng) {
    let path = format!("{own}/{}", rng.below(ZNODES));
    let polls = rng.below(3);
    match rng.below(6) {
        0 => poll_and_drop(client.get_data(&path, None), polls).await,
        1 => poll_and_drop(client.set_data(&path, &path, None), polls).await,
        2 => {
            let watcher = client.watcher(4);
            poll_and_drop(client.exists(&path, Some(&watcher)), polls).await;
        }
        3 => poll_and_drop(client.get_children2(own, None), polls).await,
        4 => poll_and_drop(client.ready(), polls).await,
        _ => {
            let path = format!("{own}/protected/znode-");
            let mode = CreateMode::PersistentSequential;
            let create = client.bare().create_protected(&path, b"", mode);
            let patience = stage.pause(ms(0, 30));
            tokio::select! {
                biased;
                created = create => if let Some(created) = settle(stage, &path, created) {
                    client.bare().guaranteed_delete(zk_client::GuaranteedDelete::path(&created));
                },
                () = patience => {}
            }
        }
    }
}

/// The answer to a call that is awaited is its own.
async fn keep_one(stage: &Stage, client: &RecordedClient, own: &str, rng: &mut EnvRng) {
    let path = format!("{own}/{}", rng.below(ZNODES));
    match client.get_data(&path, None).await {
        Ok((data, _)) if data == path => stage.progress("own answer"),
        Ok((data, _)) => stage.fail(format!("{path} is answered with {data:?}")),
        Err(error) => {
            bears(stage, &path, &error);
        }
    }
}

/// Waits until the client has cleaned up, as long as its session lives.
async fn settle_deletes(stage: &Stage, client: &RecordedClient) {
    while client.bare().guaranteed_deletes() > 0 {
        stage.pause(ms(50, 100)).await;
    }
}

async fn verify(stage: &Stage, starts: &Starts) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    for host in hosts("cancellation", WORKERS) {
        if starts.started_once(&host)
            && let Err(why) = nothing_left(&client, &host).await
        {
            stage.fail(why);
        }
    }
    close(client).await;
}

async fn nothing_left(client: &RecordedClient, host: &str) -> Result<(), String> {
    let path = format!("{ROOT}/{host}/protected");
    let left: Result<Vec<String>, Error> = client.get_children(&path, None).await;
    match left {
        Ok(left) if left.is_empty() => Ok(()),
        Ok(left) => Err(format!("{path}: left behind: {left:?}")),
        // The run ended before it was made.
        Err(error) if error.code() == Some(zk_client::ErrorCode::NoNode) => Ok(()),
        Err(error) => Err(format!("{path}: {error} after the faults")),
    }
}
