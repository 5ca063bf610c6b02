//! A mutex that whoever holds it can take again.
//!
//! ```text
//! <path>/_c_<uuid>-lock-<sequence>     ephemeral sequential: that of a mutex, one per owner
//! ```
//!
//! On the wire it is a [`Mutex`]; to take it again costs nothing there. Who "whoever" is says an
//! owner value of the program's choice, a request's id for example: a task may be run by any
//! thread, so that threads, which Curator goes by, say nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex as Locked, PoisonError, Weak};
use std::time::Duration;

use super::mutex::Mutex;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::guard::Guard;
use crate::ownership::{Ownership, OwnershipState};
use crate::scope::{Ended, Hold, Policy, Term, run};

/// A mutex that an owner who holds it can take again, as often as it likes; it is released with the
/// last of the owner's guards. Owners in one program contend with each other, and with
/// every other program, by a [`Mutex`] in Curator's names or those of its builder.
///
/// Clones share the owners.
///
/// | | |
/// |---|---|
/// | who wins | the owner with the lowest sequence; who holds it, at once |
/// | fairness | owners: first come, first served; acquisitions of one owner: likewise |
/// | wakes per release | one |
/// | connection lost while waiting | the place is kept |
/// | connection lost while holding | `InDoubt`, for all guards of the owner |
/// | session expired while waiting | `Error::EpochEnded` |
/// | session expired while holding | `Lost(EpochEnded)`, for all guards of the owner, which cannot take it again before it has let go of them |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | the czxid of the own znode; rises from owner to owner, one for all guards of a turn |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Mutex, ReentrantMutex};
/// let lock = ReentrantMutex::new(Mutex::new(&client, "/locks/inventory"));
/// let outer = lock.acquire("request 7").await?;
/// let inner = lock.acquire("request 7").await?;
/// assert_eq!(outer.fencing_token(), inner.fencing_token());
/// inner.release().await?;
/// outer.release().await?;
/// # Ok(()) }
/// ```
pub struct ReentrantMutex<O: Ord> {
    mutex: Mutex,
    owners: Arc<Owners<O>>,
}

/// The owners that hold it or wait for it.
struct Owners<O: Ord>(Locked<BTreeMap<O, Weak<Slot<O>>>>);

/// One owner, as long as anything of it is left.
struct Slot<O: Ord> {
    owner: O,
    owners: Arc<Owners<O>>,
    /// Locked by the acquisition that waits in line; those behind it will share what it gets.
    guard: tokio::sync::Mutex<Weak<Guard>>,
}

impl<O: Ord + Clone> ReentrantMutex<O> {
    /// A reentrant mutex on the wire of `mutex`.
    pub fn new(mutex: Mutex) -> Self {
        Self {
            mutex,
            owners: Arc::new(Owners(Locked::default())),
        }
    }

    /// Waits for the lock, unless `owner` has it: as long as it takes, or as the mutex's deadline
    /// allows.
    ///
    /// # Errors
    ///
    /// As [`Mutex::acquire`]; `Lost` if the owner has guards whose ownership is lost: it has to let
    /// go of them first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line; no znode stays behind. Another
    /// acquisition of the same owner then takes a new place.
    pub async fn acquire(&self, owner: O) -> Result<ReentrantGuard<O>, Error> {
        let deadline = Deadline::optional(self.mutex.client(), self.mutex.deadline());
        self.acquire_until(owner, deadline).await
    }

    /// Waits for the lock, unless `owner` has it, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn acquire_within(
        &self,
        owner: O,
        limit: Duration,
    ) -> Result<ReentrantGuard<O>, Error> {
        let deadline = Deadline::within(self.mutex.client(), limit);
        self.acquire_until(owner, deadline).await
    }

    async fn acquire_until(
        &self,
        owner: O,
        deadline: Deadline,
    ) -> Result<ReentrantGuard<O>, Error> {
        let slot = self.owners.slot(owner);
        let turn = deadline.bound(self.mutex.client(), slot.guard.lock());
        let mut held = turn.await.ok_or_else(|| deadline.exceeded())?;
        let guard = match held.upgrade() {
            Some(guard) => still_owned(guard)?,
            None => {
                let guard = Arc::new(self.mutex.acquire_until(deadline).await?);
                *held = Arc::downgrade(&guard);
                guard
            }
        };
        drop(held);
        Ok(ReentrantGuard { guard, slot })
    }

    /// The lock if `owner` has it, or nobody has or awaits it, else `None`. Bounded by the mutex's
    /// deadline, or by the client's default for operations.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn try_acquire(&self, owner: O) -> Result<Option<ReentrantGuard<O>>, Error> {
        let slot = self.owners.slot(owner);
        let Ok(mut held) = slot.guard.try_lock() else {
            return Ok(None);
        };
        let guard = match held.upgrade() {
            Some(guard) => still_owned(guard)?,
            None => {
                let Some(guard) = self.mutex.try_acquire().await? else {
                    return Ok(None);
                };
                let guard = Arc::new(guard);
                *held = Arc::downgrade(&guard);
                guard
            }
        };
        drop(held);
        Ok(Some(ReentrantGuard { guard, slot }))
    }

    /// Waits for the lock, unless `owner` has it, runs `work` under it as far as `policy` allows,
    /// and lets go of it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and lets go of the lock.
    pub async fn run<T>(
        &self,
        owner: O,
        policy: Policy,
        work: impl AsyncFnOnce(Term) -> T,
    ) -> Result<Ended<T>, Error>
    where
        O: Send + Sync + 'static,
    {
        Ok(run(self.acquire(owner).await?, policy, work).await)
    }

    /// The mutex on the wire.
    pub const fn mutex(&self) -> &Mutex {
        &self.mutex
    }
}

/// A doubt is shared; a loss is not handed out again.
fn still_owned(guard: Arc<Guard>) -> Result<Arc<Guard>, Error> {
    match guard.current() {
        OwnershipState::Lost(why) => Err(Error::Lost(why)),
        OwnershipState::Held { .. } | OwnershipState::InDoubt => Ok(guard),
    }
}

impl<O: Ord> Clone for ReentrantMutex<O> {
    fn clone(&self) -> Self {
        Self {
            mutex: self.mutex.clone(),
            owners: Arc::clone(&self.owners),
        }
    }
}

impl<O: Ord> fmt::Debug for ReentrantMutex<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex")
            .field("mutex", &self.mutex)
            .field("owners", &self.owners.lock().len())
            .finish()
    }
}

impl<O: Ord> Owners<O> {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<O, Weak<Slot<O>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(self: &Arc<Self>, owner: O) -> Arc<Slot<O>>
    where
        O: Clone,
    {
        let mut owners = self.lock();
        if let Some(slot) = owners.get(&owner).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot {
            owner: owner.clone(),
            owners: Arc::clone(self),
            guard: tokio::sync::Mutex::default(),
        });
        owners.insert(owner, Arc::downgrade(&slot));
        slot
    }
}

impl<O: Ord> Drop for Slot<O> {
    fn drop(&mut self) {
        let mut owners = self.owners.lock();
        // By now it may have a successor.
        if owners
            .get(&self.owner)
            .is_some_and(|slot| slot.strong_count() == 0)
        {
            owners.remove(&self.owner);
        }
    }
}

/// One of an owner's holds on a [`ReentrantMutex`]. What it tells, it tells for all of them.
pub struct ReentrantGuard<O: Ord> {
    guard: Arc<Guard>,
    slot: Arc<Slot<O>>,
}

impl<O: Ord> ReentrantGuard<O> {
    /// Lets go of it. With the last guard of the owner the lock is released: that is waited for
    /// until it is proven.
    ///
    /// # Errors
    ///
    /// Of the last guard: as [`Guard::release`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the delete to the reaper.
    pub async fn release(self) -> Result<(), Error> {
        match Arc::into_inner(self.guard) {
            Some(guard) => guard.release().await,
            None => Ok(()),
        }
    }

    /// Who holds it.
    pub fn owner(&self) -> &O {
        &self.slot.owner
    }
}

impl<O: Ord + Send + Sync + 'static> Hold for ReentrantGuard<O> {
    fn ownerships(&self) -> Vec<Ownership> {
        vec![self.guard.ownership()]
    }

    fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        Self::release(self)
    }
}

impl<O: Ord> Deref for ReentrantGuard<O> {
    type Target = Ownership;

    fn deref(&self) -> &Ownership {
        &self.guard
    }
}

impl<O: Ord + fmt::Debug> fmt::Debug for ReentrantGuard<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantGuard")
            .field("owner", &self.slot.owner)
            .field("guard", &self.guard)
            .finish()
    }
}
