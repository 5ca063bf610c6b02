//! A barrier that somebody sets and removes, and others wait at.
//!
//! ```text
//! <path>     persistent: the barrier is set while it exists
//! ```
//!
//! Nobody owns it, and no session: it stays set until somebody removes it. Whoever waits
//! watches the znode itself; all wake when it goes, as they should.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, ErrorCode, RetryPolicy, Stat, Watcher};

use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::parents::{check, create_parents};

/// As long as the caller allows.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX);

/// Events of the znode that wait to be looked at; one would do.
const EVENTS: usize = 4;

/// A barrier at which processes wait until somebody removes it; Curator's
/// `DistributedBarrier` and kazoo's `Barrier` on the wire.
///
/// | | |
/// |---|---|
/// | who wins | nobody: all who wait pass when it goes |
/// | wakes per removal | all who wait |
/// | connection lost while waiting | waiting goes on, and looks again on reconnection |
/// | session expired while waiting | waiting goes on in the client's next session |
/// | cancelled | nothing was left by waiting; `set` and `remove` may have taken effect or not |
/// | a lost reply | `set` and `remove` look whether they were applied, see there |
/// | token | none: nobody owns it |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Barrier;
/// let maintenance = Barrier::new(&client, "/barriers/maintenance");
/// maintenance.set().await?;
/// // Elsewhere: maintenance.wait().await?;
/// maintenance.remove().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    path: String,
    data: Bytes,
    options: CreateOptions,
    deadline: Option<Duration>,
}

impl Barrier {
    /// The barrier at `path`. A path that is not valid is told by whoever uses it.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::builder(client, path).barrier()
    }

    /// Chooses data, ACL, deadline.
    pub fn builder(client: &Client, path: &str) -> BarrierBuilder {
        BarrierBuilder {
            client: client.clone(),
            path: path.to_owned(),
            data: Bytes::new(),
            acl: None,
            deadline: None,
        }
    }

    /// Sets the barrier; that it is set already is no error. Missing parents are made as
    /// containers.
    ///
    /// # Errors
    ///
    /// `Client` with the server's verdict; `DeadlineExceeded` after the builder's deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the barrier set or not. So does an error. If the reply is
    /// lost, and somebody removes the barrier before this looks again, it is set anew.
    pub async fn set(&self) -> Result<(), Error> {
        let deadline = self.deadline();
        let setting = async {
            check(&self.path)?;
            loop {
                self.client.ready().await?;
                let create = self
                    .client
                    .create(&self.path, &self.data, self.options.clone());
                let Err(error) = create.await else {
                    return Ok(());
                };
                if error.code() == Some(ErrorCode::NodeExists) {
                    return Ok(());
                } else if error.code() == Some(ErrorCode::NoNode) {
                    create_parents(&self.client, parent(&self.path)).await?;
                } else if error.is_retryable() || error.is_outcome_unknown() {
                    pause(&self.client).await;
                } else {
                    return Err(error.into());
                }
            }
        };
        let set = deadline.bound(&self.client, setting).await;
        set.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// Removes the barrier, so that all who wait pass; that it is not set is no error.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the barrier removed or not. So does an error. If the reply
    /// is lost, a barrier that somebody has set anew meanwhile is left alone.
    pub async fn remove(&self) -> Result<(), Error> {
        let deadline = self.deadline();
        let removing = async {
            check(&self.path)?;
            let Some(set) = self.stat().await? else {
                return Ok(());
            };
            loop {
                self.client.ready().await?;
                let Err(error) = self.client.delete(&self.path, None).await else {
                    return Ok(());
                };
                if error.code() == Some(ErrorCode::NoNode) {
                    return Ok(());
                } else if error.is_outcome_unknown() {
                    let left = self.stat().await?;
                    if left.is_none_or(|left| left.czxid != set.czxid) {
                        return Ok(());
                    }
                } else if error.is_retryable() {
                    pause(&self.client).await;
                } else {
                    return Err(error.into());
                }
            }
        };
        let removed = deadline.bound(&self.client, removing).await;
        removed.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// Waits until the barrier is not set: as long as it takes, or as the builder's deadline
    /// allows. Returns at once if it is not set, as far as the connected server knows.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait(&self) -> Result<(), Error> {
        self.wait_until(self.deadline()).await
    }

    /// As [`wait`](Self::wait), `limit` at most.
    ///
    /// # Errors
    ///
    /// As `wait`; `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_within(&self, limit: Duration) -> Result<(), Error> {
        self.wait_until(Deadline::within(&self.client, limit)).await
    }

    async fn wait_until(&self, deadline: Deadline) -> Result<(), Error> {
        let waiting = async {
            check(&self.path)?;
            let patient = self.client.retrying(PATIENCE);
            loop {
                let watcher = Watcher::with_capacity(EVENTS);
                // By `get_data`: `exists` would leave a watch on a name that may never return.
                let read = patient.run(|client| client.get_data(&self.path, &watcher));
                match read.await {
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                    Err(error) => return Err(error.into()),
                    // Whatever it says, even that the session expired: look again.
                    Ok(_) if watcher.next().await.is_some() => {}
                    Ok(_) => return Err(zk_client::Error::Closed.into()),
                }
            }
        };
        let waited = deadline.bound(&self.client, waiting).await;
        waited.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// What the leader of the ensemble knows.
    async fn stat(&self) -> Result<Option<Stat>, Error> {
        let patient = self.client.retrying(PATIENCE);
        let stat = patient.run(|client| {
            let sync = client.sync(&self.path);
            let exists = client.exists(&self.path, None);
            async move {
                sync.await?;
                exists.await
            }
        });
        Ok(stat.await?)
    }

    fn deadline(&self) -> Deadline {
        Deadline::optional(&self.client, self.deadline)
    }

    /// The barrier's znode.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn parent(path: &str) -> &str {
    zk_proto::path::parent(path).unwrap_or("/")
}

/// Options of a [`Barrier`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct BarrierBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Option<Vec<Acl>>,
    deadline: Option<Duration>,
}

impl BarrierBuilder {
    /// The barrier's data, for those who look why it is set. Default: none.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// The barrier's ACL; whoever waits needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// How long each call may take. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The barrier.
    ///
    /// # Errors
    ///
    /// The path cannot name a barrier.
    pub fn build(self) -> Result<Barrier, Error> {
        check(&self.path)?;
        Ok(self.barrier())
    }

    fn barrier(self) -> Barrier {
        let options = CreateOptions::from(CreateMode::Persistent);
        Barrier {
            client: self.client,
            path: self.path,
            data: self.data,
            options: match self.acl {
                Some(acl) => options.with_acl(acl),
                None => options,
            },
            deadline: self.deadline,
        }
    }
}
