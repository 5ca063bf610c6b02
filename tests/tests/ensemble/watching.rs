//! A subtree that changes, and a subscriber who follows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Locked};
use std::time::Duration;

use zk_client::{Client, CreateMode};
use zk_env::TaskHandle;
use zk_recipes::{Depth, Subscription, Update};
use zk_tests::wait::eventually;

use crate::stage::{Part, Stage};

const ROOT: &str = "/watched";
const ZNODES: u64 = 12;

/// Path → czxid and mzxid.
type Tree = BTreeMap<String, (i64, i64)>;

pub(crate) struct Watching {
    writes: Arc<Locked<usize>>,
    seen: Arc<Locked<Tree>>,
    writer: TaskHandle,
    subscriber: TaskHandle,
}

impl Watching {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let client = stage.client().await;
        let created = client.create(ROOT, b"", CreateMode::Persistent);
        created.await.unwrap();
        let (writes, seen) = (Arc::default(), Arc::default());
        let for_writer = Arc::clone(&writes);
        let for_subscriber = Arc::clone(&seen);
        Self {
            writer: stage.spawn(|part| write(part, for_writer)).await,
            subscriber: stage.spawn(|part| follow(part, for_subscriber)).await,
            writes,
            seen,
        }
    }

    pub(crate) fn progress(&self) -> usize {
        *self.writes.lock().unwrap()
    }

    /// After the end: what was told adds up to what there is.
    pub(crate) async fn verify(self, stage: &Stage) -> String {
        self.writer.await;
        let client = stage.client().await;
        client.sync(ROOT).await.unwrap();
        let there = tree(&client).await;
        eventually("the subscriber knows what there is", async || {
            *self.seen.lock().unwrap() == there
        })
        .await;
        self.subscriber.abort();
        let writes = *self.writes.lock().unwrap();
        format!("{writes} writes watched, {} znodes left", there.len())
    }
}

async fn tree(client: &Client) -> Tree {
    let names = client.get_children(ROOT, None).await.unwrap();
    let paths = names.iter().map(|name| format!("{ROOT}/{name}"));
    let mut tree = Tree::new();
    for path in paths.chain([ROOT.to_owned()]) {
        let stat = client.exists(&path, None).await.unwrap().unwrap();
        tree.insert(path, (stat.czxid.0, stat.mzxid.0));
    }
    tree
}

/// Creates, changes and deletes; whatever fails is left at that.
async fn write(part: Part, writes: Arc<Locked<usize>>) {
    let mut rng = part.client.env().rng("writes");
    while !part.is_over() {
        let path = format!("{ROOT}/{}", rng.below(ZNODES));
        let written = match rng.below(3) {
            0 => part
                .client
                .create(&path, b"", CreateMode::Persistent)
                .await
                .map(drop),
            1 => part.client.set_data(&path, b"x", None).await.map(drop),
            _ => part.client.delete(&path, None).await,
        };
        if written.is_ok() {
            *writes.lock().unwrap() += 1;
        }
        part.pause(Duration::from_millis(5)).await;
    }
}

async fn follow(part: Part, seen: Arc<Locked<Tree>>) {
    let subscription = Subscription::builder(&part.client, ROOT).depth(Depth::Subtree);
    let mut subscription = match subscription.build() {
        Ok(subscription) => subscription,
        Err(error) => return part.violation(error),
    };
    loop {
        match subscription.next().await {
            Ok(update) => apply(&mut seen.lock().unwrap(), update),
            Err(error) => return part.violation(error),
        }
    }
}

fn apply(seen: &mut Tree, update: Update) {
    match update {
        Update::Snapshot { znodes, .. } => {
            let znodes = znodes.into_iter();
            *seen = znodes
                .map(|(path, znode)| (path, (znode.stat.czxid.0, znode.stat.mzxid.0)))
                .collect();
        }
        Update::Change { change, .. } => match change.after {
            Some(znode) => {
                let zxids = (znode.stat.czxid.0, znode.stat.mzxid.0);
                seen.insert(change.path, zxids);
            }
            None => drop(seen.remove(&change.path)),
        },
    }
}
