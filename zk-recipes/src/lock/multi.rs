//! Several locks as one.
//!
//! ```text
//! <path>/_c_<uuid>-lock-<sequence>, <path>/_c_<uuid>-__READ__<sequence>, ...
//! ```
//!
//! Each of them is the znode of a [`Mutex`](crate::Mutex) or of one side of a
//! [`ReadWriteLock`](crate::ReadWriteLock), and contends with those. They are acquired
//! in the order of their paths, whatever the order in which they were named: whoever takes
//! several at a time in this way is in no circle of those who wait for each other. (Curator's
//! `InterProcessMultiLock` goes by the order in its list, and gives each lock the whole time.)

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select_all};
use zk_client::{Acl, Client, DEFAULT_OPERATION_DEADLINE};
use zk_env::Boot;

use super::line::{Line, Terms};
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::Role;
use crate::ownership::{FencingToken, Ownership, OwnershipState, Why};
use crate::proof::Proof;
use crate::scope::{Ended, Hold, Policy, Term, run};
use crate::transaction::GuardedTransaction;

/// Several locks, held all or none, acquired under one deadline in an order that rules out
/// deadlocks among those who do the same. All by one client: they share its session, and are lost
/// together if it expires. Not reentrant.
///
/// Two clients with different chroots have the same order, as long as each names all of its
/// locks below its own chroot.
///
/// | | |
/// |---|---|
/// | who wins | in each lock the lowest sequence, as there |
/// | fairness | in each lock first come, first served; whoever waits for one holds those before it |
/// | wakes per release | those of each lock |
/// | connection lost while waiting | the places are kept |
/// | connection lost while holding | `InDoubt`, then `Held` again after new proofs |
/// | session expired while waiting | `Error::EpochEnded`; none is held |
/// | session expired while holding | all are `Lost(EpochEnded)` |
/// | one znode deleted by somebody | while waiting for others: `Error::Lost`, none is held; while holding: [`MultiGuard::lost`] |
/// | cancelled, or a lost reply | no znode stays behind |
/// | token | one per lock, in the order of their paths |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::MultiLock;
/// let accounts = MultiLock::builder(&client).mutex("/accounts/7").mutex("/accounts/3").build()?;
/// let guard = accounts.acquire().await?;
/// let transfer = guard.transaction();
/// transfer.set_data("/balance/3", b"5", None).set_data("/balance/7", b"0", None).commit().await?;
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MultiLock {
    client: Client,
    /// In the order of their paths.
    lines: Vec<Line>,
    deadline: Option<Duration>,
}

impl MultiLock {
    /// Names the locks, and chooses names, data, deadline, proof of all.
    pub fn builder(client: &Client) -> MultiLockBuilder {
        MultiLockBuilder {
            terms: Terms::new(client),
            locks: Vec::new(),
            deadline: None,
        }
    }

    /// Waits for all: as long as it takes, or as the builder's deadline allows.
    ///
    /// # Errors
    ///
    /// As [`Contender::acquire`](crate::Contender::acquire), and `Lost` if one was lost while it
    /// waited for another. None is held then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up all places; no znode stays behind.
    pub async fn acquire(&self) -> Result<MultiGuard, Error> {
        self.acquire_until(Deadline::optional(&self.client, self.deadline))
            .await
    }

    /// Waits for all, `limit` at most in all.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn acquire_within(&self, limit: Duration) -> Result<MultiGuard, Error> {
        self.acquire_until(Deadline::within(&self.client, limit))
            .await
    }

    async fn acquire_until(&self, deadline: Deadline) -> Result<MultiGuard, Error> {
        let mut held = MultiGuard {
            guards: Vec::with_capacity(self.lines.len()),
        };
        for line in &self.lines {
            let next = tokio::select! {
                biased;
                why = held.any_lost() => return Err(Error::Lost(why)),
                next = line.acquire(deadline) => next?,
            };
            held.guards.push(next);
        }
        match held.current() {
            OwnershipState::Lost(why) => Err(Error::Lost(why)),
            OwnershipState::Held { .. } | OwnershipState::InDoubt => Ok(held),
        }
    }

    /// All, if nobody else has or awaits any of them, else `None`. Bounded by the builder's
    /// deadline, or by the client's default for operations.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>, Error> {
        let limit = self.deadline.unwrap_or(DEFAULT_OPERATION_DEADLINE);
        let deadline = Deadline::within(&self.client, limit);
        let mut held = MultiGuard {
            guards: Vec::with_capacity(self.lines.len()),
        };
        for line in &self.lines {
            match line.try_acquire(deadline).await? {
                Some(guard) => held.guards.push(guard),
                None => {
                    // What is not proven gone in time, the reaper goes on with.
                    let released = deadline.bound(&self.client, held.release()).await;
                    if let Some(Err(error)) = released {
                        tracing::debug!(%error, "not released");
                    }
                    return Ok(None);
                }
            }
        }
        match held.current() {
            OwnershipState::Lost(why) => Err(Error::Lost(why)),
            OwnershipState::Held { .. } | OwnershipState::InDoubt => Ok(Some(held)),
        }
    }

    /// Waits for all, runs `work` as long as all are held, as far as `policy` says, and releases
    /// them.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire): then the work was not begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work and gives up all locks.
    pub async fn run<T>(
        &self,
        policy: Policy,
        work: impl AsyncFnOnce(MultiTerm) -> T,
    ) -> Result<Ended<T>, Error> {
        Ok(self.acquire().await?.run(policy, work).await)
    }

    /// The locks' znodes, in the order in which they are acquired.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.path.as_str())
    }
}

/// The ownership of several locks, in the order of their paths. Dropping it has the client's reaper
/// release them all.
#[derive(Debug)]
pub struct MultiGuard {
    guards: Vec<Guard>,
}

impl MultiGuard {
    /// The guards, one per lock, in the order of the locks' paths.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The guards alone, to be released one by one.
    pub fn into_guards(self) -> Vec<Guard> {
        self.guards
    }

    /// The fencing tokens, in the order of the locks' paths. Each rises from owner to owner of its
    /// lock: pass along the token of the lock that protects what is written.
    pub fn fencing_tokens(&self) -> Vec<FencingToken> {
        let tokens = self.guards.iter().map(|guard| guard.fencing_token());
        tokens.collect()
    }

    /// Up to when the last proofs vouch for all of them.
    pub fn valid_until(&self) -> Boot {
        let ends = self.guards.iter().map(|guard| guard.valid_until());
        ends.min().unwrap_or(Boot::ZERO)
    }

    /// The state at this moment of the clock that runs through machine suspend: the worst of
    /// all.
    pub fn current(&self) -> OwnershipState {
        let states = self.guards.iter().map(|guard| guard.current());
        states.reduce(worse).unwrap_or(OwnershipState::InDoubt)
    }

    /// Waits until one of them is lost, and says why. A doubt is no loss.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lost(&self) -> Why {
        self.any_lost().await
    }

    /// Never, as long as there is none.
    async fn any_lost(&self) -> Why {
        if self.guards.is_empty() {
            return std::future::pending().await;
        }
        let losses = self.guards.iter().map(|guard| Box::pin(guard.lost()));
        select_all(losses).await.0
    }

    /// Collects writes that take effect together, and only if none of the locks has been given to
    /// anybody else: the server checks all owner's znodes.
    pub fn transaction(&self) -> GuardedTransaction<'_> {
        transaction_under(self.guards.iter().map(|guard| &**guard))
    }

    /// Runs `work` as long as all are held, as far as `policy` says, then gives them up. See
    /// [`Policy`] and [`MultiTerm`].
    ///
    /// # Cancel safety
    ///
    /// As [`Guard::run`].
    pub async fn run<T>(self, policy: Policy, work: impl AsyncFnOnce(MultiTerm) -> T) -> Ended<T> {
        let ownerships = self.ownerships();
        let work = async move |term| work(MultiTerm { term, ownerships }).await;
        run(self, policy, work).await
    }

    /// Gives all of them up, at once, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`], of the first in their order that has one; the others are released
    /// all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the deletes to the reaper.
    pub async fn release(self) -> Result<(), Error> {
        let released = join_all(self.guards.into_iter().map(Guard::release)).await;
        released.into_iter().collect()
    }
}

impl Hold for MultiGuard {
    fn ownerships(&self) -> Vec<Ownership> {
        self.guards.iter().map(|guard| guard.ownership()).collect()
    }

    fn release(self) -> impl Future<Output = Result<(), Error>> + Send {
        Self::release(self)
    }
}

fn transaction_under<'o>(mut held: impl Iterator<Item = &'o Ownership>) -> GuardedTransaction<'o> {
    let first = held.next().expect("a multi-lock has at least one lock");
    held.fold(first.transaction(), GuardedTransaction::and_owned)
}

/// Several locks while work is done under them, and child tasks that end with it.
#[derive(Clone, Debug)]
pub struct MultiTerm {
    term: Term,
    /// In the order of the locks' paths.
    ownerships: Vec<Ownership>,
}

impl MultiTerm {
    /// Views of the ownerships, one per lock, in the order of the locks' paths.
    pub fn ownerships(&self) -> &[Ownership] {
        &self.ownerships
    }

    /// As [`MultiGuard::fencing_tokens`].
    pub fn fencing_tokens(&self) -> Vec<FencingToken> {
        let tokens = self.ownerships.iter().map(Ownership::fencing_token);
        tokens.collect()
    }

    /// As [`MultiGuard::transaction`].
    pub fn transaction(&self) -> GuardedTransaction<'_> {
        transaction_under(self.ownerships.iter())
    }

    /// As [`Term::spawn`]: the znodes go only after it has gone.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.term.spawn(task);
    }

    /// Waits for the end of the term.
    ///
    /// Cancel safe.
    pub async fn ended(&self) {
        self.term.ended().await;
    }
}

fn worse(one: OwnershipState, other: OwnershipState) -> OwnershipState {
    use OwnershipState::{Held, InDoubt, Lost};
    match (one, other) {
        (Lost(_), _) => one,
        (_, Lost(_)) => other,
        (InDoubt, _) | (_, InDoubt) => InDoubt,
        (
            Held { valid_until, proof },
            Held {
                valid_until: until,
                proof: by,
            },
        ) => Held {
            valid_until: valid_until.min(until),
            proof: proof.min(by),
        },
    }
}

/// Options of a [`MultiLock`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct MultiLockBuilder {
    terms: Terms,
    locks: Vec<(String, Role)>,
    deadline: Option<Duration>,
}

impl MultiLockBuilder {
    /// The mutex at `path` is one of them.
    pub fn mutex(self, path: impl Into<String>) -> Self {
        self.with(path.into(), Role::Lock)
    }

    /// The right to read of the read-write lock at `path` is one of them.
    pub fn read(self, path: impl Into<String>) -> Self {
        self.with(path.into(), Role::Read)
    }

    /// The right to write of the read-write lock at `path` is one of them.
    pub fn write(self, path: impl Into<String>) -> Self {
        self.with(path.into(), Role::Write)
    }

    fn with(mut self, path: String, role: Role) -> Self {
        self.locks.push((path, role));
        self
    }

    /// Whose names are written and respected. Default: Curator's.
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

    /// How long [`MultiLock::acquire`] waits for all of them together. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What the guards are proven by. Default: what suits the server, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.terms.proof = Some(proof);
        self
    }

    /// The locks as one.
    ///
    /// # Errors
    ///
    /// There is none, a path cannot name a lock, two have the same (whoever has the one would
    /// wait for itself), or the dialect has no such lock.
    pub fn build(self) -> Result<MultiLock, Error> {
        let Self {
            terms,
            mut locks,
            deadline,
        } = self;
        locks.sort_by(|(one, _), (other, _)| one.cmp(other));
        if locks.is_empty() {
            return Err(Error::invalid("locks", "there are none"));
        }
        if let Some(twice) = locks.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let reason = format!("{} is named twice", twice[0].0);
            return Err(Error::invalid("locks", reason));
        }
        let lines = locks.iter().map(|(path, role)| terms.line(path, *role));
        Ok(MultiLock {
            lines: lines.collect::<Result<_, _>>()?,
            client: terms.client,
            deadline,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_worst_of_all_counts() {
        let held = |seconds, proof| OwnershipState::Held {
            valid_until: Boot::ZERO + Duration::from_secs(seconds),
            proof,
        };
        let (soft, quorum) = (held(7, Proof::Soft), held(5, Proof::Quorum));
        assert_eq!(worse(soft, quorum), held(5, Proof::Soft));
        assert_eq!(
            worse(quorum, OwnershipState::InDoubt),
            OwnershipState::InDoubt
        );
        let lost = OwnershipState::Lost(Why::Deleted);
        assert_eq!(worse(OwnershipState::InDoubt, lost), lost);
        assert_eq!(worse(lost, quorum), lost);
    }
}
