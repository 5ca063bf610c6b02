//! Ephemeral znodes (S5, E33): each goes once, with its session, and is never there again;
//! what a session that goes on has made stays.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::{CreateMode, EventType, SessionId};
use zk_env::BoxFuture;

use super::clients::{bears, builder, catch_up, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who has ephemerals; the first watches those of all.
const WORKERS: usize = 3;
const ROOT: &str = "/ephemerals";

/// Owners of ephemeral znodes.
#[derive(Debug, Default)]
pub(super) struct Ephemerals(Arc<Gone>);

/// Names, each of which is used once, that were seen to go.
#[derive(Debug, Default)]
struct Gone(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    /// In the present session of the one who watches.
    here: BTreeSet<String>,
    /// In any.
    ever: BTreeSet<String>,
}

impl Gone {
    fn with<R>(&self, visit: impl FnOnce(&mut Names) -> R) -> R {
        visit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Workload for Ephemerals {
    fn name(&self) -> &'static str {
        "ephemerals"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("ephemerals", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let gone = Arc::clone(&self.0);
        Box::pin(async move {
            if stage.host().ends_with("-1") {
                watch(&stage, &gone).await;
            } else {
                own(&stage).await;
            }
        })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let gone = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &gone).await })
    }
}

/// Sessions one after the other, each with some ephemerals; some end by themselves.
async fn own(stage: &Stage) {
    let mut rng = stage.rng("ephemerals");
    let mut n = 0;
    while stage.goes_on() {
        let timeout = Duration::from_millis(1_000 + rng.below(3_000));
        let settings = || builder(stage).session_timeout(timeout);
        let Some(client) = connect(stage, settings).await else {
            return;
        };
        if establish(stage, &client, ROOT).await {
            for _ in 0..2 + rng.below(20) {
                n += 1;
                let path = format!("{ROOT}/{}-{:?}-{n}", stage.host(), stage.now());
                let made = client.create(&path, b"", CreateMode::Ephemeral).await;
                if settle(stage, &path, made).is_some() {
                    stage.progress("ephemeral");
                }
                stage.pause(ms(20, 400)).await;
            }
        }
        if rng.below(4) == 0 {
            // As if the process had died.
            drop(client);
        } else {
            close(client).await;
        }
    }
}

/// Sees them come and go. A name that is gone does not come back.
async fn watch(stage: &Stage, gone: &Gone) {
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let mut before = (client.epoch(), BTreeSet::new());
        while stage.goes_on() {
            let changes = client.watcher(16);
            let listed = client.get_children(ROOT, Some(&changes)).await;
            let epoch = client.epoch();
            let Some(names) = settle(stage, ROOT, listed) else {
                stage.pause(ms(50, 300)).await;
                continue;
            };
            let names: BTreeSet<String> = names.into_iter().collect();
            // Within a session nothing older is ever seen.
            if before.0 == epoch {
                look(stage, gone, &before.1, &names);
            } else {
                gone.with(|gone| gone.here.clear());
            }
            before = (epoch, names);
            stage.progress("look");
            tokio::select! {
                biased;
                event = changes.next() => if event.is_some_and(|e| e.event_type == EventType::None) {
                    stage.pause(ms(20, 100)).await;
                },
                () = stage.pause(ms(1_000, 2_000)) => {}
            }
        }
    }
    close(client).await;
}

fn look(stage: &Stage, gone: &Gone, before: &BTreeSet<String>, now: &BTreeSet<String>) {
    gone.with(|gone| {
        gone.here.extend(before.difference(now).cloned());
        gone.ever.extend(before.difference(now).cloned());
        if let Some(back) = now.intersection(&gone.here).next() {
            stage.fail(format!("{ROOT}/{back} is there again"));
        }
    });
}

/// None is left but of sessions that have not timed out yet, which get the time for it; then
/// none at all.
async fn verify(stage: &Stage, gone: &Gone) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    catch_up(stage, &client).await;
    let changes = client.watcher(64);
    loop {
        match client.get_children(ROOT, Some(&changes)).await {
            Ok(names) => {
                let names: BTreeSet<String> = names.into_iter().collect();
                let back = gone.with(|gone| names.intersection(&gone.ever).next().cloned());
                if let Some(back) = back {
                    stage.fail(format!("{ROOT}/{back} is there again in the end"));
                }
                let Some(first) = names.first() else { break };
                check_owner(stage, &client, &format!("{ROOT}/{first}")).await;
                drop(changes.next().await);
            }
            Err(error) => {
                stage.fail(format!("{ROOT}: {error} after the faults"));
                break;
            }
        }
    }
    close(client).await;
}

async fn check_owner(stage: &Stage, client: &RecordedClient, path: &str) {
    match client.exists(path, None).await {
        Ok(Some(stat)) if stat.ephemeral_owner == SessionId::NONE => {
            stage.fail(format!("{path} is not ephemeral"));
        }
        Ok(_) => {}
        Err(error) => _ = bears(stage, path, &error),
    }
}
