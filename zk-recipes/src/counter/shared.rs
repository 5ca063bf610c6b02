//! A value that everybody sees, and anybody may change.
//!
//! ```text
//! <path>     persistent, data: the value; of a count four bytes, big-endian
//! ```

use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{Client, CreateMode, ErrorCode, RetryPolicy, Watcher};
use zk_env::TaskHandle;

use super::cell::{CasCell, Stamped};
use super::number::NumberFormat;
use super::outcome::Stamp;
use crate::error::Error;
use crate::parents::create_parents;

/// A read goes on through whatever time heals.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

/// Events of the znode that wait to be looked at; one would do.
const EVENTS: usize = 4;

type Seen<T> = Result<Stamped<T>, Error>;

/// Bytes that everybody sees, as a watch value that follows the znode; Curator's `SharedValue`.
///
/// | | |
/// |---|---|
/// | who wins | the first to write on condition; the others are told |
/// | connection lost | the last value stays; the newest is read on reconnection |
/// | session expired | goes on in the client's next session |
/// | deleted | made anew with the seed |
/// | slow consumer | sees the newest value, not each |
/// | the client is closed, permission refused | the watch value becomes the error, for good |
/// | a lost reply | as [`CasCell`] |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::SharedValue;
/// let motd = SharedValue::start(&client, "/shared/motd", "hello").await?;
/// let seen = motd.current()?;
/// if motd.try_set(seen.stamp, "good bye").await?.is_none() {
///     println!("somebody else was first");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SharedValue {
    cell: CasCell,
    seen: watch::Receiver<Seen<Bytes>>,
    task: TaskHandle,
}

impl SharedValue {
    /// Follows the znode at `path`, which is made with `seed` if it is missing; returns once
    /// it has been read.
    ///
    /// # Errors
    ///
    /// The path cannot be used, or the server's verdict.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the znode made.
    pub async fn start(client: &Client, path: &str, seed: impl Into<Bytes>) -> Result<Self, Error> {
        let cell = CasCell::builder(client, path).build()?;
        let follower = Follower {
            client: client.clone(),
            path: path.to_owned(),
            seed: seed.into(),
        };
        let (first, watcher) = follower.read().await?;
        let (sender, seen) = watch::channel(Ok(first));
        let task = client.env().spawn(
            "zk-recipes-shared",
            Box::pin(follower.follow(sender, watcher)),
        );
        Ok(Self { cell, seen, task })
    }

    /// The value as last seen.
    ///
    /// # Errors
    ///
    /// Why it is followed no longer.
    pub fn current(&self) -> Result<Stamped<Bytes>, Error> {
        self.seen.borrow().clone()
    }

    /// The value as it changes.
    pub fn watch(&self) -> watch::Receiver<Result<Stamped<Bytes>, Error>> {
        self.seen.clone()
    }

    /// Writes `value` whatever was there.
    ///
    /// # Errors
    ///
    /// As [`CasCell::set`].
    ///
    /// # Cancel safety
    ///
    /// As `CasCell::set`.
    pub async fn set(&self, value: impl Into<Bytes>) -> Result<Stamp, Error> {
        self.cell.set(value).await
    }

    /// Writes `value` if the znode is still as it was seen; `None` if it is not.
    ///
    /// # Errors
    ///
    /// As [`CasCell::compare_and_set`].
    ///
    /// # Cancel safety
    ///
    /// As `CasCell::compare_and_set`.
    pub async fn try_set(
        &self,
        seen: Stamp,
        value: impl Into<Bytes>,
    ) -> Result<Option<Stamp>, Error> {
        self.cell.compare_and_set(Some(seen), value).await
    }

    /// The value's znode.
    pub fn path(&self) -> &str {
        self.cell.path()
    }
}

impl Drop for SharedValue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the znode as often as it changes.
struct Follower {
    client: Client,
    path: String,
    seed: Bytes,
}

impl Follower {
    async fn follow(self, seen: watch::Sender<Seen<Bytes>>, mut watcher: Watcher) {
        loop {
            // Whatever it says, even that the session expired: read again.
            let read = match watcher.next().await {
                Some(_) => self.read().await,
                None => Err(zk_client::Error::Closed.into()),
            };
            match read {
                Ok((value, next)) => {
                    watcher = next;
                    seen.send_if_modified(|seen| {
                        let is_news = seen.as_ref() != Ok(&value);
                        if is_news {
                            *seen = Ok(value);
                        }
                        is_news
                    });
                }
                Err(error) => {
                    tracing::warn!(path = self.path, %error, "followed no longer");
                    drop(seen.send_replace(Err(error)));
                    return;
                }
            }
        }
    }

    /// The value, and a watcher that hears of the next one.
    async fn read(&self) -> Result<(Stamped<Bytes>, Watcher), Error> {
        let patient = self.client.retrying(PATIENCE);
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let read = patient.run(|client| client.get_data(&self.path, &watcher));
            match read.await {
                Ok((data, stat)) => {
                    let stamped = Stamped {
                        // A copy: the original pins the chunk it was received in.
                        value: Bytes::copy_from_slice(&data),
                        stamp: Stamp::of(&stat),
                    };
                    return Ok((stamped, watcher));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => self.make().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn make(&self) -> Result<(), Error> {
        let patient = self.client.retrying(PATIENCE);
        let mode = CreateMode::Persistent;
        let made = patient.run(|client| client.create(&self.path, &self.seed, mode));
        match made.await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                let parent = zk_proto::path::parent(&self.path).unwrap_or("/");
                Ok(create_parents(&self.client, parent).await?)
            }
            // Somebody else made it, or an attempt whose answer was lost.
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
            made => Ok(made.map(drop)?),
        }
    }
}

/// A number that everybody sees, as a watch value that follows the znode; Curator's `SharedCount`.
/// A [`SharedValue`] of four bytes: what is said there holds here.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::SharedCount;
/// let workers = SharedCount::start(&client, "/shared/workers", 4).await?;
/// println!("{} workers", workers.current()?.value);
/// workers.set(5).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SharedCount(SharedValue);

impl SharedCount {
    /// As [`SharedValue::start`].
    ///
    /// # Errors
    ///
    /// As `SharedValue::start`.
    pub async fn start(client: &Client, path: &str, seed: i32) -> Result<Self, Error> {
        let seed = Bytes::copy_from_slice(&seed.to_be_bytes());
        SharedValue::start(client, path, seed).await.map(Self)
    }

    /// The number as last seen.
    ///
    /// # Errors
    ///
    /// Why it is followed no longer; `BadDocument` if the znode holds something else.
    pub fn current(&self) -> Result<Stamped<i32>, Error> {
        self.read(&self.0.seen.borrow())
    }

    /// Waits until the number is another than `seen`, and gives it.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn changed(&self, seen: Stamp) -> Result<Stamped<i32>, Error> {
        let mut value = self.0.watch();
        let is_other = |value: &Seen<Bytes>| value.as_ref().map_or(true, |it| it.stamp != seen);
        match value.wait_for(is_other).await {
            Ok(value) => self.read(&value),
            Err(_) => Err(zk_client::Error::Closed.into()),
        }
    }

    /// As [`SharedValue::set`].
    ///
    /// # Errors
    ///
    /// As `SharedValue::set`.
    pub async fn set(&self, count: i32) -> Result<Stamp, Error> {
        self.0
            .set(Bytes::copy_from_slice(&count.to_be_bytes()))
            .await
    }

    /// As [`SharedValue::try_set`].
    ///
    /// # Errors
    ///
    /// As `SharedValue::try_set`.
    pub async fn try_set(&self, seen: Stamp, count: i32) -> Result<Option<Stamp>, Error> {
        let count = Bytes::copy_from_slice(&count.to_be_bytes());
        self.0.try_set(seen, count).await
    }

    /// The number's znode.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    fn read(&self, seen: &Seen<Bytes>) -> Result<Stamped<i32>, Error> {
        let seen = seen.as_ref().map_err(Clone::clone)?;
        let number = NumberFormat::Int.decode(self.path(), &seen.value)?;
        // Empty is not a number, nor is anything else Int cannot hold.
        let value = number.and_then(|number| i32::try_from(number).ok());
        let value = value.ok_or_else(|| Error::BadDocument {
            path: self.path().into(),
            reason: "no bytes".into(),
        })?;
        Ok(Stamped {
            value,
            stamp: seen.stamp,
        })
    }
}
