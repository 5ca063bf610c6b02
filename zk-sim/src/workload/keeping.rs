//! Writers of znodes that nobody ever changes: what was acknowledged is there in the end,
//! whole, on every server, and what was refused is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use zk_client::CreateMode;
use zk_env::BoxFuture;

use super::clients::{bears, builder, builder_for, catch_up, close, connect, establish, hosts, ms};
use super::ledger::{Fate, Ledger};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who writes.
const WORKERS: usize = 2;
const ROOT: &str = "/ledger";
/// Writes under way at once, at most.
const PIPELINE: u64 = 4;

/// Writers, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Keeping(Arc<Ledger>);

impl Workload for Keeping {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("ledger", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.0);
        Box::pin(async move { work(&stage, &ledger).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let ledger = Arc::clone(&self.0);
        Box::pin(async move {
            let servers = stage.connect_string().to_owned();
            for server in servers.split(',') {
                verify(&stage, server, &ledger).await;
            }
        })
    }
}

async fn work(stage: &Stage, ledger: &Ledger) {
    let mut rng = stage.rng("ledger");
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let mut n = 0;
        while stage.goes_on() {
            let writes: Vec<_> = (0..1 + rng.below(PIPELINE))
                .map(|_| {
                    n += 1;
                    let name = format!("{}-{:?}-{n}", stage.host(), stage.now());
                    ledger.begin(&name);
                    let path = format!("{ROOT}/{name}");
                    let write = client.create(&path, &name, CreateMode::Persistent);
                    (name, write)
                })
                .collect();
            for (name, write) in writes {
                let answer = write.await;
                ledger.settle(&name, Fate::of(&answer));
                match answer {
                    Ok(_) => stage.progress("write"),
                    Err(error) => _ = bears(stage, &name, &error),
                }
            }
            stage.pause(ms(10, 250)).await;
        }
    }
    close(client).await;
}

/// Holds the ledger against what one server has.
async fn verify(stage: &Stage, server: &str, ledger: &Ledger) {
    let settings = builder_for(stage, server);
    let connected = RecordedClient::connect(settings, stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail(format!("no session with {server} after the faults"));
    };
    catch_up(stage, &client).await;
    let names: BTreeSet<_> = match client.get_children(ROOT, None).await {
        Ok(names) => names.into_iter().collect(),
        Err(error) => return stage.fail(format!("{server}, {ROOT}: {error} after the faults")),
    };
    if let Err(why) = ledger.compare(&names) {
        stage.fail(format!("{server}: {why}"));
    }
    // The replay compares what they hold.
    for name in names {
        if let Err(error) = client.get_data(&format!("{ROOT}/{name}"), None).await {
            stage.fail(format!("{server}, {name}: {error} after the faults"));
        }
    }
    close(client).await;
}
