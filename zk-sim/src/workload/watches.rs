//! Watches of every kind: their owners wait for events and for nothing else, so that a
//! lost one leaves them waiting for ever (C05, C06).

use zk_client::{AddWatchMode, CreateMode, Error, ErrorCode, EventType, WatchedEvent};
use zk_env::{BoxFuture, EnvRng};

use super::clients::{bears, builder, close, connect, establish, ms};
use crate::history::{RecordedClient, RecordedWatcher};
use crate::runner::{Stage, Workload};

const ROOT: &str = "/watches";
/// Who watches, and who changes what is watched.
const WATCHING: &str = "watches-1";
const CHANGING: &str = "watches-2";
/// Znodes watched besides, usually and sometimes.
const MANY: (u64, u64) = (20, 1_500);
/// Bytes of the largest request of a client that has many watches: they are left again
/// in pieces.
const SMALL_FRAME: usize = 4 * 1024;

/// One host that watches and one that changes.
#[derive(Debug)]
pub(super) struct Watches;

impl Workload for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn hosts(&self) -> Vec<String> {
        vec![WATCHING.to_owned(), CHANGING.to_owned()]
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        if stage.host() == WATCHING {
            Box::pin(async move { watch(&stage).await })
        } else {
            Box::pin(async move { change(&stage).await })
        }
    }
}

/// A way to hear of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Child,
    Exists,
    Persistent,
    Recursive,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Data,
        Self::Child,
        Self::Exists,
        Self::Persistent,
        Self::Recursive,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Child => "child",
            Self::Exists => "exists",
            Self::Persistent => "persistent",
            Self::Recursive => "recursive",
        }
    }

    /// Each kind has a znode of its own, and all have one in common.
    fn paths(self) -> [String; 2] {
        [format!("{ROOT}/{}", self.name()), format!("{ROOT}/common")]
    }
}

async fn watch(stage: &Stage) {
    let mut rng = stage.rng("watches");
    let many = if rng.below(8) == 0 { MANY.1 } else { MANY.0 };
    let settings = || builder(stage).frame_limit(SMALL_FRAME);
    let Some(client) = connect(stage, settings).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        let besides = watch_many(stage, &client, many).await;
        let followers = Kind::ALL
            .into_iter()
            .flat_map(|kind| kind.paths().map(|path| (kind, path)))
            .map(|(kind, path)| follow(stage, &client, kind, path));
        futures_util::future::join_all(followers).await;
        drop(besides);
    }
    close(client).await;
}

/// Leaves watches on many znodes that are not there.
async fn watch_many(stage: &Stage, client: &RecordedClient, many: u64) -> RecordedWatcher {
    let watcher = client.watcher(64);
    let mut left = 0;
    while left < many && stage.goes_on() {
        let wave = (left..many.min(left + 100)).map(|n| {
            let path = format!("{ROOT}/znode-with-a-rather-long-name-{n}");
            client.exists(&path, Some(&watcher))
        });
        let answers = futures_util::future::join_all(wave).await;
        match answers.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(found) => left += found.len() as u64,
            Err(error) => {
                bears(stage, ROOT, &error);
                stage.pause(ms(50, 200)).await;
            }
        }
    }
    watcher
}

/// Follows one path by events alone, until the run is over.
async fn follow(stage: &Stage, client: &RecordedClient, kind: Kind, path: String) {
    while stage.goes_on() {
        let watcher = client.watcher(64);
        tokio::select! {
            biased;
            () = stage.over() => return,
            () = listen(stage, client, kind, &path, &watcher) => {}
        }
        stage.pause(ms(20, 100)).await;
    }
}

/// Leaves watches and takes their events; returns when it has to begin anew.
async fn listen(
    stage: &Stage,
    client: &RecordedClient,
    kind: Kind,
    path: &str,
    watcher: &RecordedWatcher,
) {
    loop {
        if let Err(error) = leave(client, kind, path, watcher).await {
            if error.code() != Some(ErrorCode::NoNode) {
                bears(stage, path, &error);
            }
            return;
        }
        let heard = match kind {
            Kind::Data | Kind::Child | Kind::Exists => watcher.next().await,
            Kind::Persistent | Kind::Recursive => next_of_many(stage, kind, path, watcher).await,
        };
        match heard {
            Some(event) if event.is_session_expired() => {}
            Some(event) => {
                check(stage, kind, path, &event);
                stage.progress(kind.name());
            }
            None => return,
        }
    }
}

async fn leave(
    client: &RecordedClient,
    kind: Kind,
    path: &str,
    watcher: &RecordedWatcher,
) -> Result<(), Error> {
    match kind {
        Kind::Data => client.get_data(path, Some(watcher)).await.map(drop),
        Kind::Child => client.get_children(path, Some(watcher)).await.map(drop),
        Kind::Exists => client.exists(path, Some(watcher)).await.map(drop),
        Kind::Persistent => {
            let mode = AddWatchMode::Persistent;
            client.add_watch(path, mode, watcher).await
        }
        Kind::Recursive => {
            let mode = AddWatchMode::PersistentRecursive;
            client.add_watch(path, mode, watcher).await
        }
    }
}

/// Events of a watch that stays; the last of them, once it is gone.
async fn next_of_many(
    stage: &Stage,
    kind: Kind,
    path: &str,
    watcher: &RecordedWatcher,
) -> Option<WatchedEvent> {
    loop {
        let event = watcher.next().await?;
        if event.is_session_expired() {
            return Some(event);
        }
        check(stage, kind, path, &event);
        stage.progress(kind.name());
    }
}

/// Whether a watch of this kind may say so.
fn check(stage: &Stage, kind: Kind, path: &str, event: &WatchedEvent) {
    let is_own = match kind {
        Kind::Recursive => event.path.starts_with(path),
        Kind::Data | Kind::Child | Kind::Exists | Kind::Persistent => event.path == path,
    };
    let is_of_kind = match event.event_type {
        EventType::NodeCreated => !matches!(kind, Kind::Data | Kind::Child),
        EventType::NodeDeleted => true,
        EventType::NodeDataChanged => kind != Kind::Child,
        EventType::NodeChildrenChanged => matches!(kind, Kind::Child | Kind::Persistent),
        // Word of a reconnection, for watches that stay.
        EventType::None => return,
        _ => false,
    };
    if !is_own || !is_of_kind {
        stage.fail(format!("a {} watch of {path} heard {event:?}", kind.name()));
    }
}

async fn change(stage: &Stage) {
    let mut rng = stage.rng("changes");
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, ROOT).await {
        while stage.goes_on() {
            for kind in Kind::ALL {
                for path in kind.paths() {
                    let changed = change_one(&client, &path, &mut rng).await;
                    note(stage, &path, changed);
                }
            }
            let n = rng.below(MANY.0);
            let path = format!("{ROOT}/znode-with-a-rather-long-name-{n}");
            let changed = change_one(&client, &path, &mut rng).await;
            note(stage, &path, changed);
            stage.pause(ms(200, 1_000)).await;
        }
    }
    close(client).await;
}

fn note(stage: &Stage, path: &str, changed: Result<(), Error>) {
    match changed {
        Ok(()) => stage.progress("change"),
        Err(error) => {
            bears(stage, path, &error);
        }
    }
}

/// Creates the znode, or changes its data and children, or deletes it.
async fn change_one(client: &RecordedClient, path: &str, rng: &mut EnvRng) -> Result<(), Error> {
    let child = format!("{path}/child");
    match rng.below(6) {
        0 => {
            let (first, second) = (client.delete(&child, None), client.delete(path, None));
            first.await.or_else(missing)?;
            second.await.or_else(missing)
        }
        1 | 2 => client
            .set_data(path, b"x", None)
            .await
            .map(drop)
            .or_else(missing),
        _ => {
            let mode = CreateMode::Persistent;
            let (node, below) = (
                client.create(path, b"", mode),
                client.create(&child, b"", mode),
            );
            let set = client.set_data(path, b"y", None);
            node.await.map(drop).or_else(there)?;
            set.await.map(drop).or_else(missing)?;
            match below.await {
                Ok(_) => Ok(()),
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                    client.delete(&child, None).await.or_else(missing)
                }
                Err(error) => missing(error),
            }
        }
    }
}

fn missing(error: Error) -> Result<(), Error> {
    match error.code() {
        Some(ErrorCode::NoNode) => Ok(()),
        _ => Err(error),
    }
}

fn there(error: Error) -> Result<(), Error> {
    match error.code() {
        Some(ErrorCode::NodeExists) => Ok(()),
        _ => Err(error),
    }
}
