//! The guard: an ownership that ends with it.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use zk_env::TaskHandle;

use crate::error::Error;
use crate::keeper::{Keeper, keep};
use crate::ownership::{Ownership, OwnershipState, Why};
use crate::proof::{Proof, QuorumRule};
use crate::scope::{Ended, Policy, Term, run};
use crate::znode::OwnZnode;

/// An ownership: of a mutex, a lease, a leadership. Everything [`Ownership`] tells, it tells;
/// [`release`](Self::release) gives it up.
///
/// **What it is worth.** The guard says `Held` as long as it has a proof (see
/// [`Proof`](crate::Proof)), `InDoubt` when the connection is lost or the proof too old, and
/// `Lost` when the session has expired or the znode is gone. Code that has just seen `Held` may be
/// stopped for a minute before its next line; only the token, checked where
/// the effect takes place, and [`transaction`](Ownership::transaction) protect against that.
///
/// **Dropping** it has the client's reaper delete the znode, through connection losses, until
/// that is proven or the session is over.
pub struct Guard {
    ownership: Ownership,
    /// Taken when it is released.
    znode: Option<OwnZnode>,
    keeper: TaskHandle,
}

impl Guard {
    /// Over a znode that was just found to be the owner's.
    pub(crate) fn over(znode: OwnZnode, payload: Bytes, proof: Option<Proof>) -> Self {
        let client = znode.client().clone();
        let now = client.env().boot_now();
        let rule = QuorumRule::new(client.session_timeout(), znode.sent, znode.answered);
        let mut keeper = Keeper::new(znode.epoch(), znode.czxid(), rule, proof, now);
        let session = *client.state().borrow();
        keeper.handle_session(session, client.last_proof_of_life(), now);
        let ownership = Ownership::new(&znode, payload, keeper.state(now));
        tracing::debug!(path = znode.path(), token = %ownership.fencing_token(), "owned");
        let task = keep(keeper, ownership.clone());
        Self {
            keeper: client.env().spawn("zk-recipes-keeper", Box::pin(task)),
            znode: Some(znode),
            ownership,
        }
    }

    /// A view of it to hand on.
    pub fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }

    /// Gives it up: deletes the znode and waits until that is proven.
    ///
    /// # Errors
    ///
    /// `Lost` if it was not owned any more; otherwise the delete is not proven yet, and the
    /// reaper goes on with it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the delete to the reaper.
    pub async fn release(mut self) -> Result<(), Error> {
        let lost = match self.ownership.current() {
            OwnershipState::Lost(why) => Some(why),
            OwnershipState::Held { .. } | OwnershipState::InDoubt => None,
        };
        let znode = self.end();
        let Some(znode) = znode else {
            return Ok(());
        };
        let deleted = znode.delete().await;
        lost.map_or(deleted, |why| Err(Error::Lost(why)))
    }

    /// Runs `work` as long as it is owned, as far as `policy` says, then gives it up. See
    /// [`Policy`] and [`Term`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work, has its child tasks dropped, and then the guard.
    pub async fn run<T>(self, policy: Policy, work: impl AsyncFnOnce(Term) -> T) -> Ended<T> {
        run(self, policy, work).await
    }

    /// Ends the ownership, and leaves its znode to the caller.
    pub(crate) fn surrender(mut self) -> Option<OwnZnode> {
        self.end()
    }

    /// From here on nobody may take it for held.
    fn end(&mut self) -> Option<OwnZnode> {
        self.keeper.abort();
        self.ownership.publish(OwnershipState::Lost(Why::Released));
        self.znode.take()
    }
}

impl Deref for Guard {
    type Target = Ownership;

    fn deref(&self) -> &Ownership {
        &self.ownership
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.ownership).finish()
    }
}
