//! What one owns, for as long as one does: token, state, deadline, guarded transaction.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::watch;
use zk_client::{Client, Epoch, Zxid};
use zk_env::Boot;

use crate::proof::Proof;
use crate::transaction::GuardedTransaction;
use crate::znode::OwnZnode;

/// Rises from owner to owner: the czxid of the owner's znode, unique and monotonic for the
/// life of the ensemble. Pass it along with every effect outside ZooKeeper, and let the
/// resource refuse whatever comes with a lower one than it has seen.
///
/// For exclusive ownership tokens strictly rise in the order of the grants. Those
/// who own together (readers, leases) have distinct tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    pub(crate) const fn new(czxid: Zxid) -> Self {
        // No transaction has a negative zxid before the 2³¹st election.
        Self(czxid.0.cast_unsigned())
    }

    /// The token as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// In hexadecimal, as operators know zxids.
impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// How an ownership stands. `Held` ends by itself: whoever keeps the value must compare
/// `valid_until` with the clock ([`at`](Self::at) does).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipState {
    /// Proven, up to a point in time.
    Held {
        /// On the clock that runs through machine suspend.
        valid_until: Boot,
        /// What the proof is worth.
        proof: Proof,
    },
    /// The connection is lost or the proof too old: somebody else may own it by now. A new
    /// proof makes it `Held` again.
    InDoubt,
    /// For good.
    Lost(Why),
}

impl OwnershipState {
    /// What is left of this state at `now`.
    #[must_use]
    pub fn at(self, now: Boot) -> Self {
        match self {
            Self::Held { valid_until, .. } if now >= valid_until => Self::InDoubt,
            Self::Held { .. } | Self::InDoubt | Self::Lost(_) => self,
        }
    }
}

/// Why an ownership, or the work under it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Why {
    /// The session expired, and the owner's znode went with it.
    #[error("the session expired")]
    EpochEnded,
    /// Somebody else deleted the owner's znode.
    #[error("the owner's znode was deleted by somebody else")]
    Deleted,
    /// The client was closed, or is being closed, or its credentials were refused.
    #[error("the client is closed")]
    ClientClosed,
    /// It was released, or its guard was dropped.
    #[error("it was released")]
    Released,
    /// Of work only: the ownership came into doubt, and the policy was to stop then.
    #[error("the ownership is in doubt")]
    InDoubt,
    /// Of work only: the proof was about to lapse, and the policy was to stop then.
    #[error("the proof of ownership was about to lapse")]
    Deadline,
}

/// A view of an ownership: cheap to clone, and without influence on it. The
/// [`Guard`](crate::Guard) it came from releases it.
#[derive(Clone)]
pub struct Ownership {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    path: String,
    token: FencingToken,
    epoch: Epoch,
    state: watch::Sender<OwnershipState>,
    /// The last proof's end, whatever the state.
    valid_until: Mutex<Boot>,
    payload: watch::Sender<Bytes>,
}

impl Ownership {
    pub(crate) fn new(znode: &OwnZnode, payload: Bytes, state: OwnershipState) -> Self {
        let inner = Inner {
            client: znode.client().clone(),
            path: znode.path().to_owned(),
            token: FencingToken::new(znode.token()),
            epoch: znode.epoch(),
            state: watch::Sender::new(OwnershipState::InDoubt),
            valid_until: Mutex::new(Boot::ZERO),
            payload: watch::Sender::new(payload),
        };
        let ownership = Self {
            inner: Arc::new(inner),
        };
        ownership.publish(state);
        ownership
    }

    /// The fencing token.
    pub fn fencing_token(&self) -> FencingToken {
        self.inner.token
    }

    /// The owner's znode.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// The session epoch it ends with.
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// The client it was acquired with.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The state, as a value that can be read, awaited, and not missed. It is written by a
    /// task, at the latest 250 ms after a proof lapsed; [`current`](Self::current) looks at the
    /// clock itself.
    pub fn state(&self) -> watch::Receiver<OwnershipState> {
        self.inner.state.subscribe()
    }

    /// The state at this moment of the clock that runs through machine suspend.
    pub fn current(&self) -> OwnershipState {
        let now = self.inner.client.env().boot_now();
        match self.inner.state.borrow().at(now) {
            lost @ OwnershipState::Lost(_) => lost,
            // The server may have ended the session, and given the ownership away, long before
            // the answer is here.
            _ if self.inner.client.is_closing() => OwnershipState::Lost(Why::ClientClosed),
            state => state,
        }
    }

    /// Up to when the last proof vouches for the ownership, connected or not, on the clock
    /// that runs through machine suspend. See [`Proof`] for what it is worth.
    pub fn valid_until(&self) -> Boot {
        *self.deadline()
    }

    /// Waits until the ownership is lost, and says why. A doubt is no loss.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> Why {
        let mut state = self.state();
        loop {
            if let OwnershipState::Lost(why) = *state.borrow_and_update() {
                return why;
            }
            if state.changed().await.is_err() {
                return Why::Released;
            }
        }
    }

    /// Waits until a proof of this kind holds: for work that may not start on less than a
    /// quorum proof, which takes a third of the session timeout to come by.
    ///
    /// # Errors
    ///
    /// The ownership is lost.
    pub async fn proven(&self, by: Proof) -> Result<Boot, Why> {
        let mut state = self.state();
        loop {
            let published = *state.borrow_and_update();
            match published.at(self.inner.client.env().boot_now()) {
                OwnershipState::Held { valid_until, proof } if proof >= by => {
                    return Ok(valid_until);
                }
                OwnershipState::Lost(why) => return Err(why),
                OwnershipState::Held { .. } | OwnershipState::InDoubt => {}
            }
            if state.changed().await.is_err() {
                return Err(Why::Released);
            }
        }
    }

    /// The data of the owner's znode, as last read; changes when somebody writes to it, for
    /// example to revoke a lock.
    pub fn payload(&self) -> watch::Receiver<Bytes> {
        self.inner.payload.subscribe()
    }

    /// Collects writes that take effect together, and only if the ownership has not been
    /// given to anybody else: the server checks that the owner's znode exists. This holds
    /// whatever this process believes, however long it was stopped.
    pub fn transaction(&self) -> GuardedTransaction<'_> {
        GuardedTransaction::new(self)
    }

    fn deadline(&self) -> std::sync::MutexGuard<'_, Boot> {
        let deadline = &self.inner.valid_until;
        deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A loss is final: nothing follows it.
    pub(crate) fn publish(&self, state: OwnershipState) {
        if let OwnershipState::Held { valid_until, .. } = state {
            *self.deadline() = valid_until;
        }
        self.inner.state.send_if_modified(|published| {
            let is_news = *published != state && !matches!(published, OwnershipState::Lost(_));
            if is_news {
                *published = state;
            }
            is_news
        });
    }

    pub(crate) fn publish_payload(&self, payload: &Bytes) {
        self.inner.payload.send_if_modified(|published| {
            let is_news = published != payload;
            if is_news {
                // A copy: the original pins the chunk it was received in.
                *published = Bytes::copy_from_slice(payload);
            }
            is_news
        });
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ownership")
            .field("path", &self.inner.path)
            .field("token", &self.inner.token)
            .field("epoch", &self.inner.epoch)
            .field("state", &*self.inner.state.borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_held_comes_into_doubt_at_its_end_and_what_is_lost_stays_lost() {
        let end = Boot::ZERO + Duration::from_secs(5);
        let held = OwnershipState::Held {
            valid_until: end,
            proof: Proof::Soft,
        };
        assert_eq!(held.at(end - Duration::from_nanos(1)), held);
        assert_eq!(held.at(end), OwnershipState::InDoubt);
        let lost = OwnershipState::Lost(Why::Deleted);
        assert_eq!(lost.at(Boot::MAX), lost);
    }

    #[test]
    fn a_token_is_the_zxid_and_reads_like_one() {
        let (earlier, later) = (
            FencingToken::new(Zxid(0x1_0000_0007)),
            FencingToken::new(Zxid(0x2_0000_0001)),
        );
        assert!(earlier < later);
        assert_eq!(earlier.to_string(), "0x100000007");
        assert_eq!(later.as_u64(), 0x2_0000_0001);
    }
}
