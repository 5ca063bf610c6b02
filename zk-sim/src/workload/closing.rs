//! Clients that come and go: closed, dropped, and closed amid their own calls (C21).

use std::sync::Arc;

use zk_client::{CreateMode, Error};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, establish, hosts, ms};
use super::ledger::{Fate, Ledger};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who comes and goes.
const WORKERS: usize = 2;
const ROOT: &str = "/closing";

/// Short-lived clients, and what they wrote.
#[derive(Debug, Default)]
pub(super) struct Closing(Arc<Ledger>);

impl Workload for Closing {
    fn name(&self) -> &'static str {
        "closing"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("closing", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.0);
        Box::pin(async move { work(&stage, &ledger).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &ledger).await })
    }
}

async fn work(stage: &Stage, ledger: &Ledger) {
    let mut rng = stage.rng("closing");
    let mut n = 0;
    while let Some(client) = connect(stage, || builder(stage)).await {
        if establish(stage, &client, ROOT).await {
            live(stage, client, ledger, &mut rng, &mut n).await;
            stage.progress("life");
        }
        stage.pause(ms(50, 1_000)).await;
    }
}

/// A few writes, and the end, one way or another.
async fn live(
    stage: &Stage,
    client: RecordedClient,
    ledger: &Ledger,
    rng: &mut EnvRng,
    n: &mut u64,
) {
    let writes: Vec<_> = (0..rng.below(6))
        .map(|_| {
            *n += 1;
            let name = format!("{}-{:?}-{n}", stage.host(), stage.now());
            let path = format!("{ROOT}/{name}");
            ledger.begin(&name);
            (name, client.create(&path, b"", CreateMode::Persistent))
        })
        .collect();
    let ephemeral = client.create(
        &format!("{ROOT}/ephemeral-"),
        b"",
        CreateMode::EphemeralSequential,
    );
    match rng.below(5) {
        // With everything answered.
        0 => {
            drop(ephemeral.await);
            settle_all(stage, ledger, writes).await;
            close(client).await;
        }
        // With calls under way: they come first.
        1 => {
            let (closed, ()) = tokio::join!(client.close(), settle_all(stage, ledger, writes));
            drop(ephemeral);
            note_close(stage, closed);
        }
        // Somebody closes, others still call.
        2 => {
            let late = async {
                let path = format!("{ROOT}/late");
                client.create(&path, b"", CreateMode::Persistent).await
            };
            let (closed, late) = tokio::join!(client.close(), late);
            note_close(stage, closed);
            note_close(stage, late.map(drop));
            drop(ephemeral);
            settle_all(stage, ledger, writes).await;
        }
        // The last handle goes while replies are waited for.
        3 => {
            drop(client);
            settle_all(stage, ledger, writes).await;
            drop(ephemeral);
        }
        // Everything goes at once.
        _ => drop((client, writes, ephemeral)),
    }
}

fn note_close(stage: &Stage, closed: Result<(), Error>) {
    match closed {
        Ok(()) | Err(Error::Closed) => {}
        Err(error) => {
            bears(stage, "close", &error);
        }
    }
}

async fn settle_all<F>(stage: &Stage, ledger: &Ledger, writes: Vec<(String, F)>)
where
    F: Future<Output = Result<String, Error>>,
{
    for (name, write) in writes {
        let written = write.await;
        ledger.settle(&name, Fate::of(&written));
        match written {
            // Not sent before the session was closed.
            Ok(_) | Err(Error::Closed) => {}
            Err(error) => {
                bears(stage, &name, &error);
            }
        }
    }
}

/// Every session is closed or will be: no ephemeral stays, and the rest is as told.
async fn verify(stage: &Stage, ledger: &Ledger) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    let changes = client.watcher(64);
    loop {
        let names = match client.get_children(ROOT, Some(&changes)).await {
            Ok(names) => names,
            Err(error) => {
                stage.fail(format!("{ROOT}: {error} after the faults"));
                break;
            }
        };
        if names.iter().any(|name| name.starts_with("ephemeral-")) {
            drop(changes.next().await);
            continue;
        }
        let there = names.into_iter().filter(|name| name != "late").collect();
        if let Err(why) = ledger.compare(&there) {
            stage.fail(why);
        }
        break;
    }
    close(client).await;
}
