//! Reads behind a sync (C3, E24): they show what anybody was told is written before the sync
//! was called, and of one session they never go back, whichever server answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use zk_client::Epoch;
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// The first writes, the others read.
const WORKERS: usize = 3;
const PATH: &str = "/sync-read";

/// A writer and readers.
#[derive(Debug, Default)]
pub(super) struct SyncRead(Arc<AtomicI32>);

impl Workload for SyncRead {
    fn name(&self) -> &'static str {
        "sync read"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("sync-read", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        // The newest version that the writer was told of.
        let newest = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(client) = connect(&stage, || builder(&stage)).await else {
                return;
            };
            if establish(&stage, &client, PATH).await {
                if stage.host().ends_with("-1") {
                    write(&stage, &client, &newest).await;
                } else {
                    read(&stage, &client, &newest).await;
                }
            }
            close(client).await;
        })
    }
}

async fn write(stage: &Stage, client: &RecordedClient, newest: &AtomicI32) {
    while stage.goes_on() {
        match client.set_data(PATH, stage.host(), None).await {
            Ok(stat) => {
                newest.fetch_max(stat.version, Ordering::Relaxed);
                stage.progress("write");
            }
            Err(error) => _ = bears(stage, PATH, &error),
        }
        stage.pause(ms(10, 200)).await;
    }
}

async fn read(stage: &Stage, client: &RecordedClient, newest: &AtomicI32) {
    let mut seen: (Epoch, i32) = (client.epoch(), 0);
    while stage.goes_on() {
        let (known, reign) = (newest.load(Ordering::Relaxed), stage.reign());
        let epoch = client.epoch();
        let (sync, read) = (client.sync(PATH), client.get_data(PATH, None));
        let is_synced = settle(stage, PATH, sync.await).is_some();
        if let Some((_, stat)) = settle(stage, PATH, read.await) {
            // A leader that was deposed and does not know answers from what it has.
            let has_one_leader = reign.is_some() && stage.reign() == reign;
            if stage.has_ensemble() && !has_one_leader {
                let probe = stage.env().probe();
                probe.reached("workload: read behind a sync while leaders change");
            }
            let is_newest = is_synced && (has_one_leader || !stage.has_ensemble());
            if is_newest && stat.version < known {
                let version = stat.version;
                stage.fail(format!(
                    "{PATH}: version {version} behind a sync, though {known} was known before"
                ));
            }
            if seen.0 == epoch && client.epoch() == epoch && stat.version < seen.1 {
                let (version, before) = (stat.version, seen.1);
                stage.fail(format!("{PATH}: version {version} after {before}"));
            }
            seen = (epoch, stat.version);
            stage.progress("read");
        }
        stage.pause(ms(20, 200)).await;
    }
}
