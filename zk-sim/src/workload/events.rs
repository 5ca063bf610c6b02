//! Event handlers that call the client they heard from (C36), and watchers at which
//! nobody looks until they have lagged (C33).

use zk_client::EventType;
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms};
use crate::history::{RecordedClient, RecordedWatcher};
use crate::runner::{Stage, Workload};

/// Events that the watcher nobody looks at keeps.
const CAPACITY: usize = 4;
/// Changes between two looks at it.
const CHANGES: usize = 40;

/// A worker that changes a znode, and two that hear of it.
#[derive(Debug)]
pub(super) struct Events;

impl Workload for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("events", 1)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move { work(&stage).await })
    }
}

async fn work(stage: &Stage) {
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    let path = format!("/events/{}", stage.host());
    if establish(stage, &client, &path).await {
        let handled = client.watcher(64);
        tokio::select! {
            biased;
            () = handle(stage, &client, &path, &handled) => {}
            () = neglect(stage, &client, &path) => {}
        }
    }
    close(client).await;
}

/// Each event leads to a call that leaves the next watch.
async fn handle(stage: &Stage, client: &RecordedClient, path: &str, watcher: &RecordedWatcher) {
    loop {
        if let Err(error) = client.get_data(path, Some(watcher)).await {
            bears(stage, path, &error);
            stage.pause(ms(20, 100)).await;
            continue;
        }
        match watcher.next().await {
            Some(event) if event.event_type == EventType::NodeDataChanged => {
                stage.progress("handled event");
                // The next turn is the call.
                stage
                    .env()
                    .probe()
                    .reached("workload: call from an event handler");
            }
            Some(_) => {}
            None => return,
        }
    }
}

/// Changes until the run is over; the watcher that is not looked at keeps few events,
/// and says of how many it told nobody.
async fn neglect(stage: &Stage, client: &RecordedClient, path: &str) {
    while stage.goes_on() {
        let neglected = client.watcher(CAPACITY);
        let mode = zk_client::AddWatchMode::Persistent;
        let states = client.state();
        let is_left = client.add_watch(path, mode, &neglected).await.is_ok();
        let mut changed = 0;
        for _ in 0..CHANGES {
            match client.set_data(path, b"", None).await {
                Ok(_) => changed += 1,
                Err(error) => {
                    bears(stage, path, &error);
                }
            }
            stage.pause(ms(10, 60)).await;
        }
        // What happens between two connections is not heard of (ZOOKEEPER-4698).
        if is_left && changed == CHANGES && matches!(states.has_changed(), Ok(false)) {
            look(stage, path, &neglected);
        }
    }
}

fn look(stage: &Stage, path: &str, neglected: &RecordedWatcher) {
    let (mut kept, mut lagged) = (0, 0);
    while let Some(event) = neglected.try_next() {
        kept += 1;
        lagged += event.lagged;
    }
    if kept > CAPACITY || lagged + (kept as u64) < CHANGES as u64 {
        stage.fail(format!(
            "{path}: of {CHANGES} events {kept} were kept and {lagged} counted as lost"
        ));
    }
    stage.progress("neglected events");
}
