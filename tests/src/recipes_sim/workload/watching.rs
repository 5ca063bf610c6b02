//! A subtree and a document that are watched while they are written, deleted and made again
//! (R20, R21): every view ends equal to the server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use zk_client::{Client, CreateMode, Error, ErrorCode};
use zk_env::{BoxFuture, EnvRng};
use zk_recipes::{Cache, ConfigWatch, Format, Subscription, Update, Znode};
use zk_sim::runner::{Phase, Stage, Workload};

use crate::recipes_sim::invariants::{View, views_end_equal};
use crate::recipes_sim::life::{self, Player, bears, connect, establish, is_over, live, ms};

const ROOT: &str = "/watched/tree";
const DOCUMENT: &str = "/watched/document";
/// Below the root.
const BELOW: [&str; 7] = ["", "/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/x"];
/// Between two looks at whether the views have become equal.
const LOOKS: std::ops::Range<Duration> = ms(100, 300);

/// What views may take to become equal once nobody writes and nothing is in the way.
const CONVERGED: Duration = Duration::from_secs(40);

/// One host that writes, and others that watch.
#[derive(Debug)]
pub(crate) struct Watching {
    hosts: usize,
}

impl Watching {
    pub(crate) const fn new(hosts: usize) -> Self {
        Self { hosts }
    }
}

impl Workload for Watching {
    fn name(&self) -> &'static str {
        "watching"
    }

    fn hosts(&self) -> Vec<String> {
        life::hosts("watching", self.hosts)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let is_writer = self
            .hosts()
            .first()
            .is_some_and(|first| first == stage.host());
        if is_writer {
            let rng = stage.rng("writes");
            return Box::pin(async move { live(&stage, Writer { rng, number: 0 }).await });
        }
        Box::pin(async move { watch(&stage).await })
    }
}

struct Writer {
    rng: EnvRng,
    number: u64,
}

impl Player for Writer {
    async fn turn(&mut self, stage: &Stage, client: &Client) {
        if stage.phase() >= Phase::Healed {
            stage.progress("rest");
            stage.pause(ms(200, 500)).await;
            return;
        }
        establish(stage, client, DOCUMENT, "0").await;
        for _ in 0..1 + self.rng.below(20) {
            self.write(stage, client).await;
        }
        stage.progress("writes");
    }
}

impl Writer {
    /// A random write; many are refused.
    async fn write(&mut self, stage: &Stage, client: &Client) {
        let path = format!(
            "{ROOT}{}",
            BELOW[self.rng.below(BELOW.len() as u64) as usize]
        );
        let written = match self.rng.below(6) {
            0 => client.delete(&path, None).await,
            1 => {
                let again = client.transaction().delete(&path, None);
                let again = again.create(&path, b"again", CreateMode::Persistent);
                let made = again.commit().await.map(drop);
                if made.is_ok() {
                    let probe = stage.env().probe();
                    probe.reached("recipes: watched znode deleted and made again");
                }
                made
            }
            2 => client.set_data(&path, b"x", None).await.map(drop),
            3 => {
                // There and back: the last value counts.
                let (there, back) = (self.number + 1, self.number);
                let there = client.set_data(DOCUMENT, there.to_string(), None);
                let back = client.set_data(DOCUMENT, back.to_string(), None);
                let both = there.await.and(back.await).map(drop);
                if both.is_ok() {
                    let probe = stage.env().probe();
                    probe.reached("recipes: document changed there and back");
                }
                both
            }
            4 => {
                self.number += 1;
                let write = client.set_data(DOCUMENT, self.number.to_string(), None);
                write.await.map(drop)
            }
            _ => {
                let made = client.create_all(&path, b"", CreateMode::Persistent);
                made.await.map(drop)
            }
        };
        if let Err(error) = written
            && error.code() != Some(ErrorCode::NotEmpty)
        {
            bears(stage, &path, &error.into());
        }
    }
}

/// Watches until the run is over, with one client through all its sessions.
async fn watch(stage: &Stage) {
    let mut rng = stage.rng("watching");
    while stage.goes_on() {
        let Some(client) = connect(stage).await else {
            return;
        };
        if let Some(mut views) = Views::open(stage, &client, &mut rng).await {
            tokio::select! {
                biased;
                () = stage.over() => {}
                () = views.watch(stage, &client, &mut rng) => {}
            }
        }
        drop(client.close().await);
    }
}

/// One machine's views.
struct Views {
    cache: Cache,
    subscription: Subscription,
    told: BTreeMap<String, Arc<Znode>>,
    document: ConfigWatch<u64>,
    is_lazy: bool,
    differs_since: Option<Duration>,
}

impl Views {
    async fn open(stage: &Stage, client: &Client, rng: &mut EnvRng) -> Option<Self> {
        let document = loop {
            establish(stage, client, DOCUMENT, "0").await;
            let format = Format::decoding(|bytes: &[u8]| {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                Ok::<u64, Infallible>(text.parse().unwrap_or(u64::MAX))
            });
            match ConfigWatch::builder(client, DOCUMENT, format).build().await {
                Ok(document) => break document,
                Err(error) => _ = bears(stage, DOCUMENT, &error),
            }
            if !stage.goes_on() || is_over(client) {
                return None;
            }
            stage.pause(LOOKS).await;
        };
        let cache = Cache::builder(client, ROOT).build().ok()?;
        Some(Self {
            subscription: cache.subscribe(),
            cache,
            told: BTreeMap::new(),
            document,
            is_lazy: rng.below(3) == 0,
            differs_since: None,
        })
    }

    /// Listens, now and then or never, and compares once nobody writes any more.
    async fn watch(&mut self, stage: &Stage, client: &Client, rng: &mut EnvRng) {
        loop {
            if stage.phase() >= Phase::Healed {
                self.listen(stage).await;
                self.compare(stage, client).await;
                stage.pause(LOOKS).await;
                continue;
            }
            if !self.is_lazy {
                self.listen(stage).await;
                stage.progress("listen");
            }
            let quiet = if rng.below(8) == 0 {
                ms(0, 5_000)
            } else {
                ms(0, 200)
            };
            stage.pause(quiet).await;
        }
    }

    /// Takes what there is to hear by now.
    async fn listen(&mut self, stage: &Stage) {
        loop {
            let update = tokio::select! {
                biased;
                update = self.subscription.next() => update,
                () = stage.pause(ms(1, 2)) => return,
            };
            match update {
                Ok(Update::Snapshot { znodes, .. }) => self.told = znodes,
                Ok(Update::Change { change, .. }) => match change.after {
                    Some(after) => drop(self.told.insert(change.path, after)),
                    None => drop(self.told.remove(&change.path)),
                },
                Err(error) => {
                    let host = stage.host();
                    return stage
                        .fail(format!("views equal: {host} is told nothing more: {error}"));
                }
            }
        }
    }

    /// Progress is made by views that show what the server has.
    async fn compare(&mut self, stage: &Stage, client: &Client) {
        let Ok((server, document)) = server_has(client).await else {
            return;
        };
        let equal = views_end_equal(&seen(&self.cache.snapshot()), &server)
            .and_then(|()| views_end_equal(&seen(&self.told), &server));
        let shown = self.document.current().value;
        let equal = equal.and_then(|()| match shown == document {
            true => Ok(()),
            false => Err(format!(
                "views equal: the document {document} shows as {shown}"
            )),
        });
        match equal {
            Ok(()) => {
                self.differs_since = None;
                stage.progress("equal to the server");
            }
            Err(why) => {
                let since = *self.differs_since.get_or_insert_with(|| stage.now());
                if stage.now().saturating_sub(since) > CONVERGED {
                    stage.fail(format!("{}: {why}", stage.host()));
                }
            }
        }
    }
}

fn seen(znodes: &BTreeMap<String, Arc<Znode>>) -> View {
    let identity = |znode: &Znode| (znode.stat.czxid, znode.stat.mzxid);
    let znodes = znodes.iter();
    znodes
        .map(|(path, znode)| (path.clone(), identity(znode)))
        .collect()
}

/// The subtree and the document, read when nobody writes.
async fn server_has(client: &Client) -> Result<(View, u64), Error> {
    client.sync("/").await?;
    let (mut all, mut todo) = (View::new(), vec![ROOT.to_owned()]);
    while let Some(path) = todo.pop() {
        if let Some(stat) = client.exists(&path, None).await? {
            let children = client.get_children(&path, None).await?;
            todo.extend(children.iter().map(|name| format!("{path}/{name}")));
            all.insert(path, (stat.czxid, stat.mzxid));
        }
    }
    let (document, _) = client.get_data(DOCUMENT, None).await?;
    let text = std::str::from_utf8(&document).unwrap_or_default();
    Ok((all, text.parse().unwrap_or(u64::MAX)))
}
