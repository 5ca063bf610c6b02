//! A document that workers change by compare-and-set: a register, read with and
//! without sync.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use zk_client::{Error, ErrorCode, Outcome, Stat};
use zk_env::BoxFuture;

use super::clients::{bears, builder, catch_up, close, connect, establish, hosts, ms, settle};
use super::observed::Observed;
use crate::checkers::linearizability::specs::znode::{Znode, ZnodeOp, ZnodeRet};
use crate::history::{At, RecordedClient};
use crate::runner::{Stage, Workload};

/// Writers, who are readers too.
const WORKERS: usize = 3;
const PATH: &str = "/document";

/// Writers of one znode, and what is known of its versions.
#[derive(Debug, Default)]
pub(super) struct Document(Arc<Versions>);

/// Reads and writes as their callers saw them.
type Seen = Observed<ZnodeOp<Bytes>, ZnodeRet<Bytes>>;

/// Which value each version has, as far as its writers and readers know.
#[derive(Debug, Default)]
struct Versions {
    known: Mutex<Known>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Known {
    /// What a version holds for certain.
    values: BTreeMap<i32, Bytes>,
    /// What it holds if that write took effect.
    open: BTreeMap<i32, Vec<Bytes>>,
    /// The newest that a writer or reader was told of.
    newest: i32,
}

impl Versions {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest version anybody was told of.
    fn newest(&self) -> i32 {
        self.lock().newest
    }

    /// Before the write that would make this version is called.
    fn begin(&self, version: i32, value: &Bytes) {
        let mut known = self.lock();
        known.open.entry(version).or_default().push(value.clone());
    }

    /// The write that `begin` announced did not take effect.
    fn withdraw(&self, version: i32, value: &Bytes) -> Result<(), String> {
        let mut known = self.lock();
        if known.values.get(&version) == Some(value) {
            return Err(format!("{value:?} was said not to be written and was read"));
        }
        if let Some(open) = known.open.get_mut(&version) {
            open.retain(|other| other != value);
        }
        Ok(())
    }

    /// This version was written or read with this value.
    fn hold(&self, version: i32, value: &Bytes) -> Result<(), String> {
        let mut known = self.lock();
        known.newest = known.newest.max(version);
        match known.values.get(&version) {
            Some(held) if held == value => return Ok(()),
            Some(held) => return Err(format!("version {version} is {held:?} and {value:?}")),
            None => {}
        }
        // Version 0 is that of the create.
        let is_open = known
            .open
            .get(&version)
            .is_some_and(|open| open.contains(value));
        if version != 0 && !is_open {
            return Err(format!("nobody wrote {value:?} as version {version}"));
        }
        known.values.insert(version, value.clone());
        Ok(())
    }
}

impl Workload for Document {
    fn name(&self) -> &'static str {
        "document"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("document", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let versions = Arc::clone(&self.0);
        Box::pin(async move { work(&stage, &versions).await })
    }

    fn verify(&self, stage: Stage) -> BoxFuture<()> {
        let versions = Arc::clone(&self.0);
        Box::pin(async move { verify(&stage, &versions).await })
    }
}

async fn work(stage: &Stage, versions: &Versions) {
    let mut rng = stage.rng("document");
    let Some(client) = connect(stage, || builder(stage)).await else {
        return;
    };
    if establish(stage, &client, PATH).await {
        // What this client has seen; it never sees less.
        let mut seen = 0;
        let mut n = 0;
        while stage.goes_on() {
            let called = stage.now();
            let (read, is_newest) = if rng.below(3) == 0 {
                read_newest(stage, &client, versions).await
            } else {
                // One of several servers may be behind.
                (read(stage, &client).await, !stage.has_ensemble())
            };
            if let Some((data, stat)) = read {
                let saw = ZnodeRet::Data(stat.version, data.clone());
                if is_newest {
                    let read = versions.seen.begin(ZnodeOp::Read, called);
                    versions.seen.returned(read, stage.now(), saw);
                }
                note(stage, versions.hold(stat.version, &data));
                if stat.version < seen {
                    stage.fail(format!("{PATH}: version {} after {seen}", stat.version));
                }
                seen = stat.version;
                n += 1;
                let value = Bytes::from(format!("{} {:?} {n}", stage.host(), stage.now()));
                seen = write(stage, &client, versions, seen, value).await;
            }
            stage.pause(ms(20, 300)).await;
        }
    }
    close(client).await;
}

fn note(stage: &Stage, checked: Result<(), String>) {
    if let Err(why) = checked {
        stage.fail(format!("{PATH}: {why}"));
    }
}

async fn read(stage: &Stage, client: &RecordedClient) -> Option<(Bytes, Stat)> {
    settle(stage, PATH, client.get_data(PATH, None).await)
}

/// A sync and a read: no older than the newest anybody was told of before; whether that is
/// so. A leader that was deposed without knowing answers a sync from what it has, so that of
/// an ensemble it is only so if one leader led all the time.
async fn read_newest(
    stage: &Stage,
    client: &RecordedClient,
    versions: &Versions,
) -> (Option<(Bytes, Stat)>, bool) {
    let (newest, reign) = (versions.newest(), stage.reign());
    let (sync, read) = (client.sync(PATH), client.get_data(PATH, None));
    let is_synced = settle(stage, PATH, sync.await).is_some();
    let Some((data, stat)) = settle(stage, PATH, read.await) else {
        return (None, false);
    };
    let is_newest = is_synced && reign.is_some() && stage.reign() == reign;
    let is_synced = is_newest || (is_synced && !stage.has_ensemble());
    if is_synced && stat.version < newest {
        stage.fail(format!(
            "{PATH}: after a sync version {}, though {newest} was known before",
            stat.version
        ));
    }
    stage.progress("read");
    (Some((data, stat)), is_newest || !stage.has_ensemble())
}

/// Replaces version `seen`, and gives the version that the client knows of then.
async fn write(
    stage: &Stage,
    client: &RecordedClient,
    versions: &Versions,
    seen: i32,
    value: Bytes,
) -> i32 {
    let next = seen + 1;
    versions.begin(next, &value);
    let op = ZnodeOp::WriteIf(seen, value.clone());
    let writing = versions.seen.begin(op, stage.now());
    let written = client.set_data(PATH, &value, seen).await;
    note_write(&versions.seen, writing, stage.now(), &written);
    match &written {
        Ok(stat) if stat.version == next => note(stage, versions.hold(next, &value)),
        Ok(stat) => stage.fail(format!("{PATH}: {} instead of {next}", stat.version)),
        Err(error) => withdraw(stage, versions, next, &value, error),
    }
    match written {
        Ok(stat) => {
            stage.progress("write");
            stat.version
        }
        Err(_) => seen,
    }
}

/// A write without effect is no part of what happened, unless its refusal says something.
fn note_write(seen: &Seen, writing: usize, at: At, written: &Result<Stat, Error>) {
    match written {
        Ok(stat) => seen.returned(writing, at, ZnodeRet::Version(stat.version)),
        Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
            seen.returned(writing, at, ZnodeRet::BadVersion);
        }
        Err(error) if error.outcome() == Outcome::NotApplied => seen.not_applied(writing),
        Err(_) => {}
    }
}

fn withdraw(stage: &Stage, versions: &Versions, version: i32, value: &Bytes, error: &Error) {
    bears(stage, PATH, error);
    match error.outcome() {
        Outcome::NotApplied => note(stage, versions.withdraw(version, value)),
        Outcome::Unknown | Outcome::Applied => {}
    }
}

async fn verify(stage: &Stage, versions: &Versions) {
    let connected = RecordedClient::connect(builder(stage), stage.recorder(), stage.sim()).await;
    let Ok(client) = connected else {
        return stage.fail("no session after the faults");
    };
    catch_up(stage, &client).await;
    match client.get_data(PATH, None).await {
        Ok((data, stat)) => {
            note(stage, versions.hold(stat.version, &data));
            if stat.version < versions.newest() {
                let newest = versions.newest();
                stage.fail(format!("{PATH}: {} left of {newest}", stat.version));
            }
        }
        Err(error) => stage.fail(format!("{PATH}: {error} after the faults")),
    }
    // A lone server answers reads from what it has: they are linearizable too.
    let created = Znode::holding(0, Bytes::new());
    versions.seen.verify(stage, PATH, &created);
    close(client).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_value_and_a_writer() {
        let versions = Versions::default();
        let (a, b) = (Bytes::from("a"), Bytes::from("b"));
        versions.begin(1, &a);
        versions.begin(1, &b);
        assert_eq!(versions.hold(1, &b), Ok(()));
        assert_eq!(versions.hold(1, &b), Ok(()));
        assert!(versions.hold(1, &a).is_err(), "a lost update");
        assert!(versions.hold(2, &a).is_err(), "nobody wrote it");
        assert_eq!(versions.newest(), 2);
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let versions = Versions::default();
        let a = Bytes::from("a");
        versions.begin(1, &a);
        assert_eq!(versions.withdraw(1, &a), Ok(()));
        assert!(versions.hold(1, &a).is_err());
        versions.begin(1, &a);
        assert_eq!(versions.hold(1, &a), Ok(()));
        assert!(versions.withdraw(1, &a).is_err());
    }
}
