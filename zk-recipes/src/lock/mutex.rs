//! A fair mutual exclusion between processes.
//!
//! ```text
//! <path>/_c_<uuid>-lock-<sequence>     ephemeral sequential, data: the builder's
//! ```
//!
//! The lowest sequence owns; each other contender watches the one ahead of it.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, DEFAULT_OPERATION_DEADLINE};

use super::in_line::{InLine, in_line};
use super::revocation::revoke_owners;
use crate::contender::{Contender, Entry};
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

/// A lock that one at a time holds, in the order in which they asked; Curator's
/// `InterProcessMutex` on the wire. Not reentrant: whoever holds it and asks again waits for
/// itself.
///
/// Cheap to clone; clones contend with each other.
///
/// | | |
/// |---|---|
/// | who wins | the lowest sequence; first come, first served |
/// | wakes per release | one |
/// | connection lost while waiting | the place is kept |
/// | connection lost while holding | `InDoubt`, then `Held` again after a new proof |
/// | session expired while waiting | `Error::EpochEnded` |
/// | session expired while holding | `Lost(EpochEnded)`; the next in line has it |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the own znode; rises with every grant |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Mutex;
/// let lock = Mutex::new(&client, "/locks/inventory");
/// let guard = lock.acquire().await?;
/// guard.transaction().set_data("/inventory/7", b"3", None).commit().await?;
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Mutex {
    client: Client,
    path: String,
    entry: Result<Entry, Error>,
    deadline: Option<Duration>,
    proof: Option<Proof>,
}

impl Mutex {
    /// The mutex at `path`, in Curator's names, with good defaults. A path that is not valid
    /// is told by whoever acquires.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::builder(client, path).lock()
    }

    /// Chooses names, data, deadline, proof.
    pub fn builder(client: &Client, path: &str) -> MutexBuilder {
        MutexBuilder {
            client: client.clone(),
            path: path.to_owned(),
            dialect: Dialect::default(),
            data: Bytes::new(),
            acl: None,
            deadline: None,
            proof: None,
        }
    }

    /// Waits for the lock: as long as it takes, or as the builder's deadline allows.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        self.acquire_until(Deadline::optional(&self.client, self.deadline))
            .await
    }

    /// Waits for the lock, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn acquire_within(&self, limit: Duration) -> Result<Guard, Error> {
        self.acquire_until(Deadline::within(&self.client, limit))
            .await
    }

    pub(super) async fn acquire_until(&self, deadline: Deadline) -> Result<Guard, Error> {
        let entry = self.entry.as_ref().map_err(Clone::clone)?;
        let contender = Contender::acquire(&self.client, &self.path, entry, deadline).await?;
        Ok(contender.own(self.proof))
    }

    /// The lock if nobody else has or awaits it, else `None`. Three round trips at most, as
    /// long as the connection holds; otherwise bounded by the builder's deadline, or by the client's
    /// default for operations.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        let limit = self.deadline.unwrap_or(DEFAULT_OPERATION_DEADLINE);
        let deadline = Deadline::within(&self.client, limit);
        let entry = self.entry.as_ref().map_err(Clone::clone)?;
        let contender = Contender::try_acquire(&self.client, &self.path, entry, deadline).await?;
        Ok(contender.map(|contender| contender.own(self.proof)))
    }

    /// Waits for the lock, runs `work` under it as far as `policy` allows, and releases it.
    ///
    /// ```no_run
    /// # async fn reindex() {}
    /// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
    /// use zk_recipes::{Ended, Mutex, Policy};
    /// let lock = Mutex::new(&client, "/locks/index");
    /// match lock.run(Policy::OnSuspend, async |_term| reindex().await).await? {
    ///     Ended::Finished(()) => println!("done"),
    ///     Ended::Lost(why) => println!("stopped half-way: {why}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives up the lock.
    pub async fn run<T>(
        &self,
        policy: Policy,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error> {
        let guard = self.acquire().await?;
        Ok(guard.run(policy, work).await)
    }

    /// Asks whoever owns the lock to release it, see [`Ownership::revoked`]. Gives the number of
    /// those who were asked: 0 if nobody owns it.
    ///
    /// # Errors
    ///
    /// As [`revoke`](super::revoke), and whatever reading the contenders is refused for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the owner asked or not.
    ///
    /// [`Ownership::revoked`]: crate::Ownership::revoked
    pub async fn revoke(&self) -> Result<usize, Error> {
        let entry = self.entry.as_ref().map_err(Clone::clone)?;
        revoke_owners(&self.client, &self.path, &entry.layout).await
    }

    /// Who has the lock and who waits for it, in line, as Curator's `getParticipantNodes` and
    /// kazoo's `contenders`. Somebody may come or go while it is read: for people and logs, not
    /// to act on.
    ///
    /// # Errors
    ///
    /// The server's verdict, or the connection is lost for too long.
    pub async fn in_line(&self) -> Result<Vec<InLine>, Error> {
        let entry = self.entry.as_ref().map_err(Clone::clone)?;
        in_line(&self.client, &self.path, &entry.layout).await
    }

    /// The lock's znode, the parent of the contenders.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// How long to wait, by the builder.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
}

/// Options of a [`Mutex`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct MutexBuilder {
    client: Client,
    path: String,
    dialect: Dialect,
    data: Bytes,
    acl: Option<Vec<Acl>>,
    deadline: Option<Duration>,
    proof: Option<Proof>,
}

impl MutexBuilder {
    /// Whose names are written and respected. Default: Curator's.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The data of the contenders' znodes, for those who look who waits. Default: none.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// The ACL of the contenders' znodes; whoever contends needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// How long [`Mutex::acquire`] waits. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What the guards are proven by. Default: what suits the server, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.proof = Some(proof);
        self
    }

    /// The mutex.
    ///
    /// # Errors
    ///
    /// The path cannot name a lock, or the dialect has none.
    pub fn build(self) -> Result<Mutex, Error> {
        let lock = self.lock();
        match lock.entry {
            Ok(_) => Ok(lock),
            Err(error) => Err(error),
        }
    }

    fn lock(self) -> Mutex {
        let acl = self.acl;
        let entry = crate::parents::check(&self.path)
            .and_then(|()| Layout::new(self.dialect, Role::Lock))
            .map(|layout| Entry {
                layout,
                data: self.data,
                acl,
            });
        Mutex {
            client: self.client,
            path: self.path,
            entry,
            deadline: self.deadline,
            proof: self.proof,
        }
    }
}
