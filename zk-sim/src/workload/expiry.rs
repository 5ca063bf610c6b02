//! Short sessions that end while writes are under way (C01, C17, S25, S26): what was
//! told of a write is true in the next session too, and ephemerals end with theirs.

use std::sync::Arc;
use std::time::Duration;

use zk_client::{CreateMode, SessionId};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, catch_up, close, connect, establish, hosts, ms, settle};
use super::ledger::{Fate, Ledger};
use crate::Observation;
use crate::faults::FaultKind;
use crate::history::RecordedClient;
use crate::runner::{SERVER, Stage, Workload};

/// Who writes.
const WORKERS: usize = 2;
const ROOT: &str = "/expiry";

/// Writers with short sessions, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Expiry(Arc<Ledger>);

impl Workload for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("expiry", WORKERS)
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
    let mut rng = stage.rng("expiry");
    let timeout = Duration::from_millis(500 + rng.below(1_500));
    let settings = || builder(stage).session_timeout(timeout);
    let Some(client) = connect(stage, settings).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let mut n = 0;
        while stage.goes_on() {
            round(stage, &client, ledger, &mut rng, &mut n).await;
            stage.pause(ms(50, 600)).await;
        }
    }
    close(client).await;
}

/// Writes under way, now and then with the session ended from the server's side.
async fn round(
    stage: &Stage,
    client: &RecordedClient,
    ledger: &Ledger,
    rng: &mut EnvRng,
    n: &mut u64,
) {
    let (epoch, session) = (client.epoch(), client.session_id());
    let ephemeral = format!("{ROOT}/ephemeral-{}-{:?}", stage.host(), stage.now());
    let own = client.create(&ephemeral, b"", CreateMode::Ephemeral);
    let writes: Vec<_> = (0..1 + rng.below(12))
        .map(|_| {
            *n += 1;
            let name = format!("{}-{:?}-{n}", stage.host(), stage.now());
            ledger.begin(&name);
            let path = format!("{ROOT}/{name}");
            (name, client.create(&path, b"", CreateMode::Persistent))
        })
        .collect();
    if rng.below(8) == 0 {
        stage.pause(ms(0, 6)).await;
        expire(stage, session);
    }
    let is_own = settle(stage, &ephemeral, own.await).is_some();
    for (name, write) in writes {
        let written = write.await;
        ledger.settle(&name, Fate::of(&written));
        if let Err(error) = written {
            bears(stage, &name, &error);
        } else {
            stage.progress("write");
        }
    }
    if !is_own {
        return;
    }
    let is_later = client.epoch() != epoch;
    match client.exists(&ephemeral, None).await {
        Ok(Some(stat)) if is_later && stat.ephemeral_owner == session => {
            stage.fail(format!("{ephemeral} has outlived its session"));
        }
        Ok(Some(_)) => drop(settle(stage, ROOT, client.delete(&ephemeral, None).await)),
        Ok(None) => {}
        Err(error) => {
            bears(stage, &ephemeral, &error);
        }
    }
}

/// Ends the session from the server's side. For those who watch it is a fault like any
/// other.
fn expire(stage: &Stage, session: SessionId) {
    let server = SERVER.to_owned();
    let fault = FaultKind::ExpireSession { server, pick: 0 }.to_string();
    let what = &fault;
    stage.sim().tell(&Observation::Fault { what, begins: true });
    stage.expire_session(session);
}

async fn verify(stage: &Stage, ledger: &Ledger) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    catch_up(stage, &client).await;
    match client.get_children(ROOT, None).await {
        Ok(names) => {
            let persistent = names
                .into_iter()
                .filter(|name| !name.starts_with("ephemeral-"))
                .collect();
            if let Err(why) = ledger.compare(&persistent) {
                stage.fail(why);
            }
        }
        Err(error) => stage.fail(format!("{ROOT}: {error} after the faults")),
    }
    close(client).await;
}
