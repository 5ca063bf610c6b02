//! The list of servers is replaced while calls are under way (C37).

use std::sync::Arc;

use zk_client::CreateMode;
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms};
use super::ledger::{Fate, Ledger};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Whose lists change.
const WORKERS: usize = 1;
const ROOT: &str = "/server-list";

/// A client that is told of servers that are not there, and loses no call over it.
#[derive(Debug, Default)]
pub(super) struct ServerList(Arc<Ledger>);

impl Workload for ServerList {
    fn name(&self) -> &'static str {
        "server list"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("server-list", WORKERS)
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

/// The server, with others that do not exist or do not listen there.
fn lists(server: &str) -> [String; 4] {
    [
        server.to_owned(),
        format!("{server},nowhere:2181"),
        format!("nowhere:2181,{server},elsewhere:2181"),
        format!("{server},server-list-1:9"),
    ]
}

async fn work(stage: &Stage, ledger: &Ledger) {
    let mut rng = stage.rng("server list");
    let lists = lists(stage.connect_string());
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let mut n = 0;
        while stage.goes_on() {
            let writes: Vec<_> = (0..rng.below(10))
                .map(|_| {
                    n += 1;
                    let name = format!("{:?}-{n}", stage.now());
                    ledger.begin(&name);
                    let path = format!("{ROOT}/{name}");
                    (name, client.create(&path, b"", CreateMode::Persistent))
                })
                .collect();
            let list = &lists[rng.below(lists.len() as u64) as usize];
            if let Err(error) = client.bare().update_hosts(list) {
                stage.fail(format!("{list}: {error}"));
            }
            for (name, write) in writes {
                let written = write.await;
                ledger.settle(&name, Fate::of(&written));
                match written {
                    Ok(_) => stage.progress("write"),
                    Err(error) => {
                        bears(stage, &name, &error);
                    }
                }
            }
            stage.pause(ms(100, 2_000)).await;
        }
    }
    close(client).await;
}

async fn verify(stage: &Stage, ledger: &Ledger) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    match client.get_children(ROOT, None).await {
        Ok(names) => {
            if let Err(why) = ledger.compare(&names.into_iter().collect()) {
                stage.fail(why);
            }
        }
        Err(error) => stage.fail(format!("{ROOT}: {error} after the faults")),
    }
    close(client).await;
}
