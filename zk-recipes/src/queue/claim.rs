//! An item that is being worked on.
//!
//! Two ephemerals of one session: the lock, whose name every consumer knows and other
//! libraries respect, and a znode with a name of its own, which tells this owner from the next
//! one of the same item. The guard's transactions check the latter; both go together.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use tokio::sync::oneshot;
use zk_client::{
    Client, CreateMode, CreateOptions, Epoch, ErrorCode, OpResult, ProtectedId, RetryPolicy, Stat,
    Zxid,
};
use zk_proto::path;

use crate::contender::pause;
use crate::error::Error;
use crate::guard::Guard;
use crate::ownership::Ownership;
use crate::parents::Parents;
use crate::proof::Proof;
use crate::znode::OwnZnode;

/// As long as the caller waits.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

/// What an owner's own name ends with.
const OWNER: &str = "owner";

/// An item of a queue, and the right to work on it: a [`Guard`] with token, deadline and
/// guarded transaction.
///
/// [`done`](Self::done) removes the item; [`put_back`](Self::put_back) puts it at the end of the
/// queue. Dropping it, or the end of the session, lets somebody else have it: at least once is
/// what is promised.
#[must_use = "dropping it gives the item back"]
pub struct QueueClaim {
    /// What was put in; more than one if they were put together.
    pub items: Vec<Bytes>,
    /// The name of the item's znode.
    pub name: String,
    /// Taken when it ends.
    held: Option<Held>,
    item: String,
    /// What a new znode of the same rank begins with, and its data.
    again: (String, Bytes),
}

struct Held {
    guard: Guard,
    lock: String,
}

/// What a claim is made of.
pub(super) struct Found {
    pub(super) items: Vec<Bytes>,
    pub(super) again: (String, Bytes),
}

impl QueueClaim {
    /// Removes the item: what was to be done with it has been done.
    ///
    /// # Errors
    ///
    /// `Fenced`: the ownership had ended before, and somebody else may work on the item, or has.
    /// `Client`, with an unknown outcome: the session ended before an answer came, and the item
    /// is gone, by this or because somebody else has done it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the item removed, or somebody else's to take.
    pub async fn done(mut self) -> Result<(), Error> {
        let item = self.item.clone();
        self.finish(|transaction| transaction.delete(&item, None))
            .await
    }

    /// Puts the item at the end of the queue, or of those of its rank, in one step.
    ///
    /// # Errors
    ///
    /// As [`done`](Self::done).
    ///
    /// # Cancel safety
    ///
    /// As [`done`](Self::done); the item is where it was, or at the end.
    pub async fn put_back(mut self) -> Result<(), Error> {
        let item = self.item.clone();
        let (prefix, data) = std::mem::take(&mut self.again);
        self.finish(|transaction| {
            let removed = transaction.delete(&item, None);
            removed.create(&prefix, &data, CreateMode::PersistentSequential)
        })
        .await
    }

    /// Gives the item back, at its old place, and waits until others can have it. Dropping
    /// does the same without waiting.
    ///
    /// # Errors
    ///
    /// `Client`, if the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Safe: it goes on by itself.
    pub async fn release(mut self) -> Result<(), Error> {
        let giving = self.held.take().and_then(Held::give_back);
        match giving {
            // It ends with an answer, unless the runtime does.
            Some(given) => given.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Ends the ownership together with `and`, once.
    async fn finish(
        &mut self,
        and: impl Fn(
            crate::transaction::GuardedTransaction<'_>,
        ) -> crate::transaction::GuardedTransaction<'_>,
    ) -> Result<(), Error> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        let client = held.guard.client().clone();
        let mut unknown = None;
        loop {
            if let Err(over) = client.ready().await {
                return Err(unknown.unwrap_or(over).into());
            }
            let transaction = and(held.guard.transaction());
            let transaction = transaction.delete(&held.lock, None);
            let committed = transaction.delete(held.guard.path(), None).commit().await;
            let error = match (committed, unknown.take()) {
                (Ok(_), _) => break,
                (Err(Error::Client(error)), earlier) => {
                    unknown = earlier;
                    error
                }
                (Err(fenced), None) => return Err(fenced),
                (Err(fenced), Some(unknown)) => {
                    self.settle(held, fenced, unknown).await?;
                    break;
                }
            };
            if error.is_outcome_unknown() {
                unknown = Some(error);
            } else if !error.is_retryable() && !error.is_session_over() {
                return Err(error.into());
            }
            pause(&client).await;
        }
        if let Some(held) = self.held.take()
            && let Some(znode) = held.guard.surrender()
        {
            znode.forget();
        }
        Ok(())
    }

    /// Whether an earlier attempt of `unknown` outcome is what has ended the ownership.
    async fn settle(
        &self,
        held: &Held,
        fenced: Error,
        unknown: zk_client::Error,
    ) -> Result<(), Error> {
        let client = held.guard.client();
        let patient = client.retrying(PATIENCE);
        let item = patient.run(|client| client.exists(&self.item, None));
        match item.await {
            Ok(Some(_)) => Err(fenced),
            // As long as the session lasts nothing else takes the owner's znode along.
            Ok(None) if client.epoch() == held.guard.epoch() => Ok(()),
            // Its end has, and then the item was somebody else's; or that attempt.
            Ok(None) | Err(_) => Err(unknown.into()),
        }
    }
}

/// The ownership of the item; its path is that of the owner's own znode.
impl Deref for QueueClaim {
    type Target = Ownership;

    fn deref(&self) -> &Ownership {
        // Taken only by what consumes the claim.
        &self
            .held
            .as_ref()
            .expect("a claim is held to its end")
            .guard
    }
}

impl Drop for QueueClaim {
    fn drop(&mut self) {
        drop(self.held.take().and_then(Held::give_back));
    }
}

impl fmt::Debug for QueueClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClaim")
            .field("name", &self.name)
            .field(
                "ownership",
                &self.held.as_ref().map(|held| held.guard.ownership()),
            )
            .finish_non_exhaustive()
    }
}

impl Held {
    fn give_back(self) -> Option<oneshot::Receiver<Result<(), Error>>> {
        let owner = self.guard.surrender()?;
        Some(give_back_later(self.lock, owner))
    }
}

/// A lock that this client may have made, with the owner's znode that tells whose it is.
/// Dropping it gives both up in a task of the client's.
pub(super) struct Lock {
    path: String,
    owner: Option<OwnZnode>,
}

impl Lock {
    const fn new(path: String, owner: OwnZnode) -> Self {
        Self {
            path,
            owner: Some(owner),
        }
    }
}

/// Gives both up in a task of the client's, whether the answer is waited for or not.
fn give_back_later(lock: String, owner: OwnZnode) -> oneshot::Receiver<Result<(), Error>> {
    let (given, answer) = oneshot::channel();
    let env = owner.client().env().clone();
    let task = async move {
        let result = give_back(lock, owner).await;
        if let Err(error) = &result {
            tracing::debug!(%error, "an item's lock is left to the session's end");
        }
        // Nobody may be waiting.
        let _ = given.send(result);
    };
    drop(env.spawn("zk-recipes-queue", Box::pin(task)));
    answer
}

/// Deletes the lock if it is the owner's, and the owner's znode with it. A lock of the same
/// name may be somebody else's by now, in this very session: what it says decides, and as
/// long as it says so nobody else can have made it.
async fn give_back(lock: String, owner: OwnZnode) -> Result<(), Error> {
    let client = owner.client().clone();
    loop {
        if owner.check_epoch().is_err() {
            // Both have gone with the session.
            owner.forget();
            return Ok(());
        }
        client.ready().await?;
        let error = match client.get_data(&lock, None).await {
            Ok((data, _)) if data == path::name(owner.path()) => {
                let both = client.transaction().delete(owner.path(), None);
                match both.delete(&lock, None).commit().await {
                    Ok(_) => {
                        owner.forget();
                        return Ok(());
                    }
                    Err(error) => error,
                }
            }
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
            Err(error) => error,
        };
        let is_orphan = matches!(
            error,
            zk_client::Error::Transaction {
                index: 0,
                code: ErrorCode::NoNode,
                ..
            }
        );
        if is_orphan {
            // Somebody has deleted the owner's znode: the lock alone is left, and is read again.
            client.delete(&lock, None).await.ok();
        } else if error.is_session_over() {
            return Err(error.into());
        } else {
            pause(&client).await;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            drop(give_back_later(std::mem::take(&mut self.path), owner));
        }
    }
}

/// Takes items for one consumer: an owner's znode, ready to own the next item.
pub(super) struct Claimant {
    client: Client,
    locks: String,
    parents: Parents,
    owner: Option<OwnZnode>,
}

impl Claimant {
    pub(super) const fn new(client: Client, locks: String, parents: Parents) -> Self {
        Self {
            client,
            locks,
            parents,
            owner: None,
        }
    }

    pub(super) fn locks(&self) -> &str {
        &self.locks
    }

    /// Creates the parent of the locks.
    pub(super) async fn create_locks(&self) -> Result<(), zk_client::Error> {
        self.parents.create(&self.client, &self.locks).await
    }

    /// The owner's znode of the present session.
    async fn owner(&mut self) -> Result<OwnZnode, Error> {
        loop {
            if let Some(owner) = self.owner.take()
                && owner.check_epoch().is_ok()
            {
                return Ok(owner);
            }
            let id = ProtectedId::new(&self.client);
            let sent = self.client.env().boot_now();
            let mode = CreateOptions::from(CreateMode::Ephemeral);
            let created = self
                .client
                .create2_protected(id, &self.locks, OWNER, b"", mode);
            match created.await {
                Ok(created) => {
                    self.owner = Some(OwnZnode::new(&self.client, created, sent));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.create_locks().await?;
                }
                Err(zk_client::Error::EpochEnded | zk_client::Error::SessionExpired) => {}
                Err(error) if error.is_retryable() || error.is_outcome_unknown() => {
                    pause(&self.client).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Locks the item `name` at `item`. `None` if somebody else has it, or it is gone.
    ///
    /// Cancel safe: a lock that may have been made is given up.
    pub(super) async fn lock(&mut self, item: &str, name: &str) -> Result<Option<Locked>, Error> {
        let owner = self.owner().await?;
        let says = path::name(owner.path()).to_owned();
        let mut lock = Lock::new(path::join(&self.locks, name), owner);
        loop {
            let Some(owner) = &lock.owner else {
                return Ok(None);
            };
            if owner.check_epoch().is_err() {
                return Ok(None);
            }
            let (epoch, owner_path) = (owner.epoch(), owner.path().to_owned());
            self.client.ready().await?;
            let transaction = self.client.transaction().check(&owner_path, None);
            let transaction = transaction.check(item, None);
            let error = match transaction
                .create2(&lock.path, &says, CreateMode::Ephemeral)
                .commit()
                .await
            {
                Ok(results) => match stat_of(&results) {
                    Some(stat) => return Ok(Some(Locked { lock, stat })),
                    // Servers that leave the Stat out (ZOOKEEPER-4026).
                    None => return self.find(lock, &says, epoch).await,
                },
                Err(error) => error,
            };
            match &error {
                zk_client::Error::Transaction { index: 0, .. } => {
                    // Not our znode any more: the session ended, or somebody deleted it.
                    return Ok(None);
                }
                zk_client::Error::Transaction {
                    index: 1,
                    code: ErrorCode::NoNode,
                    ..
                } => {
                    self.owner = lock.owner.take();
                    return Ok(None);
                }
                zk_client::Error::Transaction {
                    code: ErrorCode::NodeExists,
                    ..
                } => {
                    // Somebody else's, unless an earlier attempt was applied.
                    return self.find(lock, &says, epoch).await;
                }
                zk_client::Error::Transaction {
                    code: ErrorCode::NoNode,
                    ..
                } => {
                    self.create_locks().await?;
                }
                _ if error.is_session_over() => return Err(error.into()),
                _ if error.is_retryable() || error.is_outcome_unknown() => {
                    pause(&self.client).await;
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// Whether the lock that is there is ours.
    async fn find(
        &mut self,
        mut lock: Lock,
        says: &str,
        epoch: Epoch,
    ) -> Result<Option<Locked>, Error> {
        let patient = self.client.retrying(PATIENCE);
        let read = patient
            .run(|client| client.get_data(&lock.path, None))
            .await;
        match read {
            Ok((data, stat)) if data == says && self.client.epoch() == epoch => {
                Ok(Some(Locked { lock, stat }))
            }
            Err(error) if error.code() != Some(ErrorCode::NoNode) => Err(error.into()),
            Ok(_) | Err(_) => {
                // The owner's znode can go on to the next item.
                self.owner = lock.owner.take();
                Ok(None)
            }
        }
    }
}

fn stat_of(results: &[OpResult]) -> Option<Stat> {
    results.iter().find_map(|result| match result {
        OpResult::Create2(_, stat) => *stat,
        OpResult::Check | OpResult::Create(_) | OpResult::SetData(_) | OpResult::Delete => None,
    })
}

/// A locked item. Dropping it gives the lock up.
pub(super) struct Locked {
    lock: Lock,
    stat: Stat,
}

impl Locked {
    /// The claim on what was found there.
    pub(super) fn claim(
        mut self,
        found: Found,
        (item, name): (String, String),
        proof: Option<Proof>,
    ) -> Option<QueueClaim> {
        let token: Zxid = self.stat.czxid;
        let owner = self.lock.owner.take()?.with_token(token);
        let held = Held {
            guard: Guard::over(owner, Bytes::new(), proof),
            lock: std::mem::take(&mut self.lock.path),
        };
        Some(QueueClaim {
            items: found.items,
            name,
            held: Some(held),
            item,
            again: found.again,
        })
    }
}
