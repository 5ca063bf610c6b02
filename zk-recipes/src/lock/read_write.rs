//! A fair lock for many readers or one writer.
//!
//! ```text
//! <path>/_c_<uuid>-__READ__<sequence>     ephemeral sequential, a reader
//! <path>/_c_<uuid>-__WRIT__<sequence>     ephemeral sequential, a writer
//! <path>/_c_<uuid>-__READ__<sequence of the writer it was>     ephemeral, after a downgrade
//! ```
//!
//! (kazoo: `<32 hex>__rlock__` and `<32 hex>__lock__`.) A writer waits for everybody with a lower
//! sequence, a reader for the writers among them; each watches the nearest that blocks it.
//! So nobody overtakes: readers that come after a waiting writer wait for it, and neither side
//! starves.
//!
//! A downgrade is one transaction that deletes the writer's znode and creates the
//! reader's with the same sequence. Nobody can get in between, whoever waits behind the
//! writer finds a reader in its place, and a lost answer is recovered. Curator's own
//! writer that reads has the same name (CURATOR-621).

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, DEFAULT_OPERATION_DEADLINE};
use zk_proto::path;

use super::in_line::{InLine, in_line};
use super::line::{Line, Terms};
use super::revocation::revoke_owners;
use crate::create_by::create_by;
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::Role;
use crate::ownership::{OwnershipState, Why};
use crate::proof::Proof;
use crate::scope::{Ended, Policy, Term};

/// A lock that many readers or one writer hold, in the order in which they asked; Curator's
/// `InterProcessReadWriteLock` on the wire, or kazoo's `ReadLock` and `WriteLock`. Not
/// reentrant, and a reader that asks to write waits for itself.
///
/// Cheap to clone; clones contend with each other.
///
/// | | |
/// |---|---|
/// | who wins | writer: the lowest sequence; reader: no writer with a lower one |
/// | fairness | first come, first served; neighbouring readers together |
/// | wakes per release | one writer, or the readers up to the next writer |
/// | connection lost while waiting | the place is kept |
/// | connection lost while holding | `InDoubt`, then `Held` again after a new proof |
/// | session expired while waiting | `Error::EpochEnded` |
/// | session expired while holding | `Lost(EpochEnded)`; the next in line has it |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the znode that took the place; strictly rises from writer to writer, readers' are distinct; kept by a downgrade |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::ReadWriteLock;
/// let lock = ReadWriteLock::new(&client, "/locks/catalogue");
/// let writer = lock.write().await?;
/// writer.transaction().set_data("/catalogue", b"v2", None).commit().await?;
/// // Others may read from here on, and nobody has written in between.
/// let reader = writer.downgrade().await?;
/// reader.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReadWriteLock {
    client: Client,
    path: String,
    sides: Result<Sides, Error>,
    deadline: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Sides {
    read: Line,
    write: Line,
}

impl ReadWriteLock {
    /// The lock at `path`, in Curator's names, with good defaults. A path that is not valid
    /// is told by whoever acquires.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::builder(client, path).lock()
    }

    /// Chooses names, data, deadline, proof.
    pub fn builder(client: &Client, path: &str) -> ReadWriteLockBuilder {
        ReadWriteLockBuilder {
            path: path.to_owned(),
            terms: Terms::new(client),
            deadline: None,
        }
    }

    /// Waits until it may read: as long as it takes, or as the builder's deadline allows.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`](crate::Contender::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind.
    pub async fn read(&self) -> Result<Guard, Error> {
        self.sides()?.read.acquire(self.usual_deadline()).await
    }

    /// Waits until it may read, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `read`.
    pub async fn read_within(&self, limit: Duration) -> Result<Guard, Error> {
        let deadline = Deadline::within(&self.client, limit);
        self.sides()?.read.acquire(deadline).await
    }

    /// The right to read if no writer has or awaits the lock, else `None`. Bounded by the
    /// builder's deadline, or by the client's default for operations.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As `read`.
    pub async fn try_read(&self) -> Result<Option<Guard>, Error> {
        self.sides()?.read.try_acquire(self.short_deadline()).await
    }

    /// Waits until it may write: as long as it takes, or as the builder's deadline allows.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As `read`.
    pub async fn write(&self) -> Result<WriteGuard, Error> {
        self.write_until(self.usual_deadline()).await
    }

    /// Waits until it may write, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `read`.
    pub async fn write_within(&self, limit: Duration) -> Result<WriteGuard, Error> {
        let deadline = Deadline::within(&self.client, limit);
        self.write_until(deadline).await
    }

    /// The right to write if nobody else has or awaits the lock, else `None`. Bounded by the
    /// builder's deadline, or by the client's default for operations.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As `read`.
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, Error> {
        let sides = self.sides()?;
        let guard = sides.write.try_acquire(self.short_deadline()).await?;
        Ok(guard.map(|guard| WriteGuard::new(guard, sides)))
    }

    /// Waits until it may read, runs `work` as far as `policy` allows, and releases the lock.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives up the lock.
    pub async fn run_reading<T>(
        &self,
        policy: Policy,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error> {
        Ok(self.read().await?.run(policy, work).await)
    }

    /// Waits until it may write, runs `work` as far as `policy` allows, and releases the lock.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives up the lock.
    pub async fn run_writing<T>(
        &self,
        policy: Policy,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error> {
        Ok(self.write().await?.run(policy, work).await)
    }

    /// Asks whoever owns the lock, a writer or all readers, to release it, see
    /// [`Ownership::revoked`](crate::Ownership::revoked). Gives the number of those who were asked:
    /// 0 if nobody owns it.
    ///
    /// # Errors
    ///
    /// As [`revoke`](super::revoke), and whatever reading the contenders is refused for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the owners asked or not.
    pub async fn revoke(&self) -> Result<usize, Error> {
        let layout = &self.sides()?.write.entry.layout;
        revoke_owners(&self.client, &self.path, layout).await
    }

    /// Who has the lock and who waits for it, in line, readers and writers. Somebody may come or
    /// go while it is read: for people and logs, not to act on.
    ///
    /// # Errors
    ///
    /// The server's verdict, or the connection is lost for too long.
    pub async fn in_line(&self) -> Result<Vec<InLine>, Error> {
        let layout = &self.sides()?.write.entry.layout;
        in_line(&self.client, &self.path, layout).await
    }

    /// The lock's znode, the parent of the contenders.
    pub fn path(&self) -> &str {
        &self.path
    }

    async fn write_until(&self, deadline: Deadline) -> Result<WriteGuard, Error> {
        let sides = self.sides()?;
        let guard = sides.write.acquire(deadline).await?;
        Ok(WriteGuard::new(guard, sides))
    }

    fn sides(&self) -> Result<&Sides, Error> {
        self.sides.as_ref().map_err(Clone::clone)
    }

    fn usual_deadline(&self) -> Deadline {
        Deadline::optional(&self.client, self.deadline)
    }

    fn short_deadline(&self) -> Deadline {
        let limit = self.deadline.unwrap_or(DEFAULT_OPERATION_DEADLINE);
        Deadline::within(&self.client, limit)
    }
}

/// The right to write: a [`Guard`] that can become the right to read.
#[derive(Debug)]
pub struct WriteGuard {
    guard: Guard,
    /// What to become.
    read: Line,
    /// The sequence, as the znode's name has it.
    sequence: i32,
}

impl WriteGuard {
    fn new(guard: Guard, sides: &Sides) -> Self {
        let place = sides.write.entry.layout.parse(path::name(guard.path()));
        let place = place.expect("whoever owns was found among the contenders");
        Self {
            sequence: place.sequence,
            read: sides.read.clone(),
            guard,
        }
    }

    /// From writer to reader, in one step and in the same place: readers behind it may then
    /// read too, and writers behind it go on waiting. The fencing token stays: who comes
    /// later has a higher one.
    ///
    /// From the call on this ownership is over: views of it say `Lost(Released)`. Work that
    /// began under it goes on under the guard that is returned.
    ///
    /// # Errors
    ///
    /// `Lost` or `EpochEnded` if it was not owned any more; `Client` with the server's verdict. Nothing is
    /// owned then, and what may be left is the reaper's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the lock; no znode stays behind.
    pub async fn downgrade(self) -> Result<Guard, Error> {
        if let OwnershipState::Lost(why) = self.guard.current() {
            return Err(Error::Lost(why));
        }
        let Some(writer) = self.guard.surrender() else {
            return Err(Error::Lost(Why::Released));
        };
        let (client, entry) = (&self.read.client, &self.read.entry);
        let id = entry.layout.dialect().new_id(client);
        let name = id.prefix(&format!("{}{:010}", entry.layout.name(), self.sequence));
        let path = path::join(&self.read.path, &name);
        let options = CreateOptions::from(CreateMode::Ephemeral);
        let options = match &entry.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        };
        let transaction = || {
            let transaction = client.transaction().delete(writer.path(), None);
            transaction.create2(&path, &entry.data, options.clone())
        };
        let reader = create_by(client, writer.epoch(), &path, transaction).await?;
        let reader = reader.with_token(writer.token());
        writer.forget();
        Ok(Guard::over(reader, entry.data.clone(), self.read.proof))
    }

    /// As [`Guard::release`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn release(self) -> Result<(), Error> {
        self.guard.release().await
    }

    /// As [`Guard::run`].
    pub async fn run<T>(self, policy: Policy, work: impl AsyncFnOnce(Term) -> T) -> Ended<T> {
        self.guard.run(policy, work).await
    }

    /// The guard alone, which stays a writer's.
    pub fn into_guard(self) -> Guard {
        self.guard
    }
}

impl Deref for WriteGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

/// Options of a [`ReadWriteLock`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct ReadWriteLockBuilder {
    path: String,
    terms: Terms,
    deadline: Option<Duration>,
}

impl ReadWriteLockBuilder {
    /// Whose names are written and respected: Curator's, the default, kazoo's, or `Any`.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.terms.dialect = dialect;
        self
    }

    /// The data of the contenders' znodes, for those who look who waits. Default: none.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.terms.data = data.into();
        self
    }

    /// The ACL of the contenders' znodes; whoever contends needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.terms.acl = Some(acl);
        self
    }

    /// How long [`read`](ReadWriteLock::read) and [`write`](ReadWriteLock::write) wait.
    /// Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What the guards are proven by. Default: what suits the server, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.terms.proof = Some(proof);
        self
    }

    /// The lock.
    ///
    /// # Errors
    ///
    /// The path cannot name a lock, or the dialect has none for readers and writers.
    pub fn build(self) -> Result<ReadWriteLock, Error> {
        let lock = self.lock();
        match lock.sides {
            Ok(_) => Ok(lock),
            Err(error) => Err(error),
        }
    }

    fn lock(self) -> ReadWriteLock {
        let line = |role| self.terms.line(&self.path, role);
        let sides = line(Role::Read).and_then(|read| {
            let write = line(Role::Write)?;
            Ok(Sides { read, write })
        });
        ReadWriteLock {
            client: self.terms.client,
            path: self.path,
            sides,
            deadline: self.deadline,
        }
    }
}

#[cfg(test)]
mod tests;
