//! A fair semaphore: so many at a time.
//!
//! ```text
//! <path>/locks/_c_<uuid>-lock-<sequence>       ephemeral sequential, of those who want a lease
//! <path>/leases/_c_<uuid>-lease-<sequence>     ephemeral sequential, of those who hold one,
//!                                              and of the first that wants one
//! ```
//!
//! That is Curator's `InterProcessSemaphoreV2`. The first of those who want one has the inner lock; it
//! alone watches the leases, and takes one as soon as fewer than the size are ahead of it. The
//! others watch the one ahead of them. The size is by convention, or a shared count (Curator's
//! `SharedCount`: a znode with four bytes, big-endian), which may change at any time: if it
//! grows, who waits goes on; if it shrinks, who holds keeps its lease, and nobody is let in
//! until there is room again. With a size of 1 it is Curator's `InterProcessSemaphoreMutex`.
//!
//! ```text
//! <path>                              persistent, data: the size as text
//! <path>/<32 hex>                     ephemeral, a lease
//! <path>-__lock__/<32 hex>__lock__<sequence>     ephemeral sequential, the inner lock
//! ```
//!
//! That is kazoo's `Semaphore`, under [`Dialect::Kazoo`]. A lease is created by a transaction that
//! checks the inner lock's znode. Who says another size than the znode is refused, as by
//! kazoo.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, DEFAULT_OPERATION_DEADLINE};

use super::in_line::InLine;
use super::line::Terms;
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

mod curator;
mod decide;
mod kazoo;
mod size;

use curator::Curator;
use kazoo::Kazoo;
use size::Size;

/// A lock that a number of contenders hold at a time, in the order in which they asked. What each
/// holds, its lease, is a [`Guard`].
///
/// Cheap to clone; clones contend with each other.
///
/// | | |
/// |---|---|
/// | who wins | the first in the inner lock, when fewer leases than the size are ahead of its own |
/// | fairness | first come, first served |
/// | wakes per release | the one that has the inner lock; then the next behind it |
/// | connection lost while waiting | the place is kept |
/// | connection lost while holding | `InDoubt`, then `Held` again after a new proof |
/// | session expired while waiting | `Error::EpochEnded` |
/// | session expired while holding | `Lost(EpochEnded)`; the next in line has a lease |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the lease's znode; distinct, and higher for who is admitted later |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Semaphore;
/// let downloads = Semaphore::new(&client, "/limits/downloads", 3);
/// let lease = downloads.acquire().await?;
/// lease.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    client: Client,
    path: String,
    leases: Result<Leases, Error>,
    deadline: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Leases {
    Curator(Curator),
    Kazoo(Kazoo),
}

impl Semaphore {
    /// `size` leases at `path`, in Curator's layout, with good defaults. Arguments that are not
    /// valid are told by whoever acquires.
    pub fn new(client: &Client, path: &str, size: u32) -> Self {
        Self::builder(client, path, size).semaphore()
    }

    /// Chooses where the size comes from, layout, data, deadline, proof.
    pub fn builder(client: &Client, path: &str, size: u32) -> SemaphoreBuilder {
        SemaphoreBuilder {
            path: path.to_owned(),
            terms: Terms::new(client),
            size,
            size_path: None,
            deadline: None,
        }
    }

    /// Waits for a lease: as long as it takes, or as the builder's deadline allows.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`](crate::Contender::acquire), and `BadDocument` if the shared count
    /// is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        self.acquire_until(Deadline::optional(&self.client, self.deadline))
            .await
    }

    /// Waits for a lease, `limit` at most.
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

    async fn acquire_until(&self, deadline: Deadline) -> Result<Guard, Error> {
        match self.leases()? {
            Leases::Curator(leases) => {
                let mut guards = leases.acquire(1, deadline).await?;
                Ok(guards.pop().expect("as many as were asked for"))
            }
            Leases::Kazoo(leases) => leases.acquire(deadline).await,
        }
    }

    /// Waits for `count` leases, all or none, as Curator's `acquire(int)`: they are taken under one
    /// turn in the inner lock, so that two who want several do not wait for each other. Only in
    /// Curator's layout. If one of them is lost while it waits for the rest, the others are given
    /// back.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); `InvalidArgument` for no lease, for more than there are by a
    /// fixed size, and in kazoo's layout.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn acquire_many(&self, count: u32) -> Result<Vec<Guard>, Error> {
        let deadline = Deadline::optional(&self.client, self.deadline);
        match self.leases()? {
            Leases::Curator(leases) => leases.acquire(count, deadline).await,
            Leases::Kazoo(_) => {
                let reason = "kazoo's semaphore gives one at a time";
                Err(Error::invalid("count", reason))
            }
        }
    }

    /// Who holds a lease, in the order in which they got it, and the first of those who want one
    /// (which is no owner yet). Somebody may come or go while it is read: for people and logs, not
    /// to act on.
    ///
    /// # Errors
    ///
    /// The server's verdict, or the connection is lost for too long; `BadDocument` if the shared
    /// count is none.
    pub async fn in_line(&self) -> Result<Vec<InLine>, Error> {
        match self.leases()? {
            Leases::Curator(leases) => leases.in_line().await,
            Leases::Kazoo(leases) => leases.in_line().await,
        }
    }

    /// A lease if one is free and nobody else is about to take one, else `None`. Bounded by the
    /// builder's deadline, or by the client's default for operations.
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
        match self.leases()? {
            Leases::Curator(leases) => leases.try_acquire(deadline).await,
            Leases::Kazoo(leases) => leases.try_acquire(deadline).await,
        }
    }

    /// Waits for a lease, runs `work` under it as far as `policy` allows, and gives it back.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives back the lease.
    pub async fn run<T>(
        &self,
        policy: Policy,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error> {
        Ok(self.acquire().await?.run(policy, work).await)
    }

    /// Sets the shared count that the size comes from, for everybody. What is held stays held.
    /// Retries through connection losses; the last of several such calls wins.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the size is fixed, or more than `i32::MAX`; `Client` with the server's
    /// verdict.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it set or not.
    pub async fn resize(&self, size: u32) -> Result<(), Error> {
        match self.leases()? {
            Leases::Curator(leases) => leases.size.set(&self.client, size).await,
            Leases::Kazoo(_) => Size::Fixed(0).set(&self.client, size).await,
        }
    }

    /// The semaphore's znode.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn leases(&self) -> Result<&Leases, Error> {
        self.leases.as_ref().map_err(Clone::clone)
    }
}

/// Options of a [`Semaphore`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct SemaphoreBuilder {
    path: String,
    terms: Terms,
    size: u32,
    size_path: Option<String>,
    deadline: Option<Duration>,
}

impl SemaphoreBuilder {
    /// The size is the shared count at this path, which is made with the builder's size if it is
    /// missing. Default: the size is the builder's, by convention.
    pub fn size_from(mut self, path: impl Into<String>) -> Self {
        self.size_path = Some(path.into());
        self
    }

    /// Whose layout and names: Curator's, the default, kazoo's, or `Any`, whose inner lock respects
    /// everybody's names.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.terms.dialect = dialect;
        self
    }

    /// The data of the znodes, for those who look who holds. Default: none.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.terms.data = data.into();
        self
    }

    /// The ACL of the znodes; whoever contends needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.terms.acl = Some(acl);
        self
    }

    /// How long [`Semaphore::acquire`] waits. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What the guards are proven by. Default: what suits the server, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.terms.proof = Some(proof);
        self
    }

    /// The semaphore.
    ///
    /// # Errors
    ///
    /// A path cannot name a znode, the size is none, or the dialect has no semaphore, or none
    /// with a shared count.
    pub fn build(self) -> Result<Semaphore, Error> {
        let semaphore = self.semaphore();
        match semaphore.leases {
            Ok(_) => Ok(semaphore),
            Err(error) => Err(error),
        }
    }

    fn semaphore(self) -> Semaphore {
        Semaphore {
            leases: self.leases(),
            client: self.terms.client,
            path: self.path,
            deadline: self.deadline,
        }
    }

    fn leases(&self) -> Result<Leases, Error> {
        crate::parents::check(&self.path)?;
        size::encode(self.size)?;
        let is_kazoo = self.terms.dialect == Dialect::Kazoo;
        let size = match &self.size_path {
            None if self.size == 0 => {
                return Err(Error::invalid("size", "there are no leases to wait for"));
            }
            None => Size::Fixed(self.size),
            Some(_) if is_kazoo => {
                return Err(Error::invalid(
                    "size",
                    "kazoo's semaphore has no shared count",
                ));
            }
            Some(path) => {
                crate::parents::check(path)?;
                Size::Shared {
                    path: path.clone(),
                    seed: self.size,
                }
            }
        };
        Ok(if is_kazoo {
            Leases::Kazoo(Kazoo::new(&self.terms, &self.path, self.size)?)
        } else {
            Leases::Curator(Curator::new(&self.terms, &self.path, size)?)
        })
    }
}
