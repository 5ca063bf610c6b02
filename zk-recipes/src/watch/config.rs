//! A typed document that is watched.
//!
//! ```text
//! <path>     any znode, data: the document
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zk_client::{Client, Zxid};
use zk_env::{Env, TaskHandle, TokioEnv};

use super::feed::Watched;
use super::format::Format;
use super::mirror::Depth;
use super::pending::{Update, Znode};
use super::snapshot_file::SnapshotFile;
use super::subscription;
use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;

mod update;

/// How long [`ConfigWatchBuilder::build`] waits for the first good document.
const FIRST_WITHIN: Duration = zk_client::DEFAULT_OPERATION_DEADLINE;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the znode, in this state.
    Znode {
        /// When the znode was created.
        czxid: Zxid,
        /// When the document was written.
        mzxid: Zxid,
        /// Its version, for a write that demands it. It starts over when the znode is created
        /// anew.
        version: i32,
    },
    /// From the local snapshot: what the znode once had.
    Snapshot,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// Why the newest state of the znode is not the current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDocument {
    /// When it was written; `None` if the znode is gone.
    pub mzxid: Option<Zxid>,
    /// What is wrong with it, as the format's function says.
    pub reason: Box<str>,
}

/// A document, decoded whenever it changes. Cheap to clone; it watches as long as one clone lives.
///
/// A document that cannot be decoded, or a deleted znode, is reported by [`bad`](Self::bad) and
/// leaves the last good value in place.
///
/// | | |
/// |---|---|
/// | what is missed | nothing that lasts; of quick successive writes the last is seen |
/// | connection lost | the value stays, [`age`](Self::age) grows; afterwards the newest |
/// | session expired | as well; the next session watches anew |
/// | slow consumer | sees the newest value |
/// | two who update | compare and set: the second starts over from the first one's value |
/// | a lost reply to an update | found out by reading if that can tell, else the error says unknown |
/// | token | none: nothing is owned |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::watch::{ConfigWatch, Format};
/// let format = Format::decoding(|bytes| String::from_utf8_lossy(bytes).trim().parse::<u64>());
/// let limit = ConfigWatch::builder(&client, "/config/limit", format).build().await?;
/// let mut changes = limit.subscribe();
/// println!("{}", limit.current().value);
/// while changes.changed().await.is_ok() {
///     println!("{}", changes.borrow_and_update().value);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ConfigWatch<T> {
    inner: Arc<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    client: Client,
    path: String,
    format: Format<T>,
    values: watch::Receiver<Arc<Versioned<T>>>,
    bad: watch::Receiver<Option<BadDocument>>,
    watched: Arc<Watched>,
    task: TaskHandle,
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> Clone for ConfigWatch<T> {
    fn clone(&self) -> Self {
        let inner = Arc::clone(&self.inner);
        Self { inner }
    }
}

impl<T: Send + Sync + 'static> ConfigWatch<T> {
    /// Watches the document at `path`.
    pub fn builder(client: &Client, path: &str, format: Format<T>) -> ConfigWatchBuilder<T> {
        ConfigWatchBuilder {
            client: client.clone(),
            path: path.to_owned(),
            format,
            deadline: FIRST_WITHIN,
            snapshot: None,
        }
    }

    /// Watches a JSON document, with good defaults.
    ///
    /// # Errors
    ///
    /// As [`ConfigWatchBuilder::build`].
    #[cfg(feature = "json")]
    pub async fn json(client: &Client, path: &str) -> Result<Self, Error>
    where
        T: serde::de::DeserializeOwned,
    {
        Self::builder(client, path, Format::json()).build().await
    }

    /// What a local snapshot holds, for a service that must boot while ZooKeeper is away and has no
    /// client yet; `None` if there is none that is good. Watch, with the same snapshot, as
    /// soon as there is a client.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn last_known(
        snapshot: impl AsRef<Path>,
        format: &Format<T>,
    ) -> Option<Versioned<T>> {
        let disk = TokioEnv::new().disk();
        from_snapshot(
            &SnapshotFile::new(disk, snapshot.as_ref().to_owned()),
            format,
        )
        .await
    }

    /// The last good value.
    pub fn current(&self) -> Arc<Versioned<T>> {
        Arc::clone(&self.inner.values.borrow())
    }

    /// The last good value, as one that can be read, awaited, and not missed. It
    /// ends with the last clone of this.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Versioned<T>>> {
        self.inner.values.clone()
    }

    /// Why the znode's newest state is not the current value; `None` while it is.
    pub fn bad(&self) -> watch::Receiver<Option<BadDocument>> {
        self.inner.bad.clone()
    }

    /// How long ago the value was last known to be what the znode has (or, if that is bad, to be the last
    /// good one); `None` before the znode was read.
    pub fn age(&self) -> Option<Duration> {
        self.inner.watched.age()
    }

    /// Why it does not follow the znode any more.
    pub fn error(&self) -> Option<Error> {
        self.inner.watched.progress().borrow().ended.clone()
    }

    /// The document's znode.
    pub fn path(&self) -> &str {
        &self.inner.path
    }
}

/// Options of a [`ConfigWatch`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct ConfigWatchBuilder<T> {
    client: Client,
    path: String,
    format: Format<T>,
    deadline: Duration,
    snapshot: Option<SnapshotFile>,
}

impl<T: Send + Sync + 'static> ConfigWatchBuilder<T> {
    /// How long [`build`](Self::build) waits for the znode's first document before it takes the
    /// snapshot, or fails. Default: 30 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Keeps the last good document in a local file, and starts from there while there is no
    /// better one. The file holds the document as it is; its directory is made if it is missing.
    /// Default: none.
    pub fn snapshot(mut self, file: impl AsRef<Path>) -> Self {
        let disk = self.client.env().disk();
        self.snapshot = Some(SnapshotFile::new(disk, file.as_ref().to_owned()));
        self
    }

    /// Waits for the first good value: of the znode, or else of the snapshot.
    ///
    /// # Errors
    ///
    /// There is none: `BadDocument` if the znode's cannot be decoded, `Client` with `NoNode` if
    /// there is no znode, `DeadlineExceeded` if the server cannot be reached; or the path is
    /// not valid.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn build(self) -> Result<ConfigWatch<T>, Error> {
        let Self {
            client,
            path,
            format,
            deadline,
            snapshot,
        } = self;
        let watched = subscription::watch(&client, &path, Depth::Node, 1)?;
        let deadline = Deadline::within(&client, deadline);
        let loaded = deadline.bound(&client, watched.loaded()).await;
        let first = match loaded.unwrap_or_else(|| Err(deadline.exceeded())) {
            Ok(()) => decode_first(&format, &path, watched.get(&path).as_deref()),
            Err(error) => Err(error),
        };
        let first = match (first, &snapshot) {
            (Err(error), Some(snapshot)) => from_snapshot(snapshot, &format).await.ok_or(error)?,
            (first, _) => first?,
        };
        let (values, subscriber) = watch::channel(Arc::new(first));
        let (bad, reports) = watch::channel(None);
        let publisher = Publisher {
            path: path.clone(),
            format: format.clone(),
            values,
            bad,
            snapshot,
        };
        let following = follow(Arc::clone(&watched), publisher);
        let inner = Inner {
            task: client.env().spawn("zk-recipes-config", Box::pin(following)),
            client,
            path,
            format,
            values: subscriber,
            bad: reports,
            watched,
        };
        Ok(ConfigWatch {
            inner: Arc::new(inner),
        })
    }
}

fn decode_first<T>(
    format: &Format<T>,
    path: &str,
    znode: Option<&Znode>,
) -> Result<Versioned<T>, Error> {
    let Some(znode) = znode else {
        let (code, path) = (zk_client::ErrorCode::NoNode, path.into());
        return Err(Error::Client(zk_client::Error::Server { code, path }));
    };
    match format.decode(&znode.data) {
        Ok(value) => Ok(Versioned {
            value,
            source: source(znode),
        }),
        Err(reason) => Err(Error::BadDocument {
            path: path.into(),
            reason,
        }),
    }
}

const fn source(znode: &Znode) -> Source {
    Source::Znode {
        czxid: znode.stat.czxid,
        mzxid: znode.stat.mzxid,
        version: znode.stat.version,
    }
}

async fn from_snapshot<T>(snapshot: &SnapshotFile, format: &Format<T>) -> Option<Versioned<T>> {
    let file = snapshot.path().display();
    let document = match snapshot.read().await {
        Ok(document) => document?,
        Err(error) => {
            tracing::warn!(%file, %error, "the local snapshot cannot be read");
            return None;
        }
    };
    match format.decode(&document) {
        Ok(value) => Some(Versioned {
            value,
            source: Source::Snapshot,
        }),
        Err(reason) => {
            tracing::warn!(%file, reason, "the local snapshot is no good document");
            None
        }
    }
}

/// Where values go.
struct Publisher<T> {
    path: String,
    format: Format<T>,
    values: watch::Sender<Arc<Versioned<T>>>,
    bad: watch::Sender<Option<BadDocument>>,
    snapshot: Option<SnapshotFile>,
}

/// Until the feed ends.
async fn follow<T: Send + Sync>(watched: Arc<Watched>, publisher: Publisher<T>) {
    let mailbox = watched.subscribe(1);
    while let Ok(update) = watched.next(&mailbox).await {
        let znode = match update {
            Update::Snapshot { mut znodes, .. } => znodes.remove(&publisher.path),
            Update::Change { change, .. } => change.after,
        };
        let is_good = publisher.publish(znode.as_deref());
        if is_good && let (Some(snapshot), Some(znode)) = (&publisher.snapshot, znode) {
            save(snapshot, &znode).await;
        }
    }
}

async fn save(snapshot: &SnapshotFile, znode: &Znode) {
    if let Err(error) = snapshot.write(znode.data.clone()).await {
        let file = snapshot.path().display();
        tracing::warn!(%file, %error, "the local snapshot cannot be written");
    }
}

impl<T> Publisher<T> {
    /// Whether the document is good.
    fn publish(&self, znode: Option<&Znode>) -> bool {
        let Some(znode) = znode else {
            self.report(None, "the znode is gone".into());
            return false;
        };
        match self.format.decode(&znode.data) {
            Ok(value) => {
                let source = source(znode);
                if self.values.borrow().source != source {
                    self.values
                        .send_replace(Arc::new(Versioned { value, source }));
                }
                self.bad.send_if_modified(|bad| bad.take().is_some());
                true
            }
            Err(reason) => {
                self.report(Some(znode.stat.mzxid), reason);
                false
            }
        }
    }

    fn report(&self, mzxid: Option<Zxid>, reason: Box<str>) {
        tracing::warn!(
            path = self.path,
            reason,
            "bad document, the last good one stays"
        );
        self.bad.send_replace(Some(BadDocument { mzxid, reason }));
    }
}
