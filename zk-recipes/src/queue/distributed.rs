//! Curator's queues: in order of arrival, by priority, with a delay, with ids.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, ErrorCode, RetryPolicy, Watcher};
use zk_env::sleep_until;
use zk_proto::path;

use super::claim::{Claimant, Found, QueueClaim};
use super::envelope;
use super::layout::QueueLayout;
use super::order::{Delay, Fifo, Id, Kind, Order, Place, Priority, Rank, clean, in_order, prefix};
use super::room::{DEFAULT_QUEUE_LIMIT, PATIENCE, check_room, until_room};
use crate::contender::pause;
use crate::error::Error;
use crate::parents::{check, create_lasting};
use crate::proof::Proof;

/// A queue whose items come back: [`claim`](Self::claim) gives an item and the right to work on
/// it, and if the process dies before it has said [`done`](QueueClaim::done) somebody else gets
/// the item. Every item is worked on **at least once**; effects that must not happen twice are
/// written by the claim's [`transaction`](crate::Ownership::transaction), or carry its token.
///
/// [`take`](Self::take) removes an item before it is worked on: at most once.
///
/// The order is a parameter: [`DistributedQueue`] is first come, first served;
/// [`PriorityQueue`], [`DelayQueue`] and [`IdQueue`], which the builder makes of it, have methods of
/// their own to put items in.
///
/// | | |
/// |---|---|
/// | who wins | the first item in order that nobody works on; of two who want it, the one whose lock is first |
/// | fairness | none among consumers; every waiting one wakes when the items or the locks change |
/// | connection lost while waiting | waiting goes on |
/// | connection lost while working | the claim is `InDoubt`, then `Held` again after a new proof |
/// | session expired while working | the claim is `Lost`, somebody else gets the item |
/// | cancelled | a claim gives the item back; a put may have been made; a take may have removed its item |
/// | lost reply to a put | `Error::Client` with an unknown outcome: putting again may double the item |
/// | lost reply to a claim, to `done` or `put_back` | resolved by looking |
/// | token | the lock's czxid, strictly rising from claim to claim |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::queue::DistributedQueue;
/// let queue = DistributedQueue::builder(&client, "/jobs").build()?;
/// queue.put("resize 7").await?;
///
/// let claim = queue.claim().await?;
/// for item in &claim.items {
///     println!("{item:?}");
/// }
/// claim.done().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DistributedQueue<O: Order = Fifo> {
    client: Client,
    /// Of the items.
    path: String,
    locks: Option<String>,
    layout: QueueLayout,
    acl: Option<Vec<Acl>>,
    limit: usize,
    proof: Option<Proof>,
    order: PhantomData<O>,
}

/// Items with the lowest number come first. A claim under way is not interrupted by an item
/// that would have come before.
pub type PriorityQueue = DistributedQueue<Priority>;

/// Items are not given before their time. Times are those of wall clocks, of who puts an item in
/// and who takes it out: they had better agree.
pub type DelayQueue = DistributedQueue<Delay>;

/// Items have ids, by which they can be removed.
pub type IdQueue = DistributedQueue<Id>;

/// Options of a queue.
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct DistributedQueueBuilder<O: Order> {
    client: Client,
    path: String,
    locks: Option<String>,
    layout: QueueLayout,
    acl: Option<Vec<Acl>>,
    limit: usize,
    proof: Option<Proof>,
    order: PhantomData<O>,
}

impl DistributedQueueBuilder<Fifo> {
    /// Makes it a [`PriorityQueue`].
    pub fn by_priority(self) -> DistributedQueueBuilder<Priority> {
        self.ordered()
    }

    /// Makes it a [`DelayQueue`].
    pub fn delayed(self) -> DistributedQueueBuilder<Delay> {
        self.ordered()
    }

    /// Makes it an [`IdQueue`].
    pub fn with_ids(self) -> DistributedQueueBuilder<Id> {
        self.ordered()
    }

    fn ordered<O: Order>(self) -> DistributedQueueBuilder<O> {
        DistributedQueueBuilder {
            client: self.client,
            path: self.path,
            locks: self.locks,
            layout: self.layout,
            acl: self.acl,
            limit: self.limit,
            proof: self.proof,
            order: PhantomData,
        }
    }
}

impl<O: Order> DistributedQueueBuilder<O> {
    /// Where Curator's layout has its locks; all consumers of a queue must agree on it, Curator's
    /// `lockPath` among them. Default: the queue's path with `-locks` behind it.
    pub fn locks(mut self, path: impl Into<String>) -> Self {
        self.locks = Some(path.into());
        self
    }

    /// Whose znodes it uses. Default: Curator's. kazoo's layouts know order of arrival and
    /// priorities only.
    pub const fn layout(mut self, layout: QueueLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The ACL of the items; whoever works on them needs READ, and DELETE on the queue. Default:
    /// open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// Items it may hold before new ones are refused, or have to wait. Default:
    /// [`DEFAULT_QUEUE_LIMIT`]. Puts at the same time may exceed it by their number.
    pub const fn limit(mut self, items: usize) -> Self {
        self.limit = items;
        self
    }

    /// What the claims are proven by. Default: as for locks, see [`Proof`].
    pub const fn proof(mut self, proof: Proof) -> Self {
        self.proof = Some(proof);
        self
    }

    /// The queue.
    ///
    /// # Errors
    ///
    /// A path cannot hold a queue, or the layout has no such order.
    pub fn build(self) -> Result<DistributedQueue<O>, Error> {
        if matches!(O::KIND, Kind::Delay | Kind::Id) && self.layout != QueueLayout::Curator {
            return Err(Error::invalid("layout", "kazoo has no such queue"));
        }
        let path = self.layout.items(&self.path);
        let locks = self.layout.locks(&self.path, self.locks);
        check(&path)?;
        locks.as_deref().map_or(Ok(()), check)?;
        Ok(DistributedQueue {
            client: self.client,
            path,
            locks,
            layout: self.layout,
            acl: self.acl,
            limit: self.limit,
            proof: self.proof,
            order: PhantomData,
        })
    }
}

/// Putting in.
impl DistributedQueue<Fifo> {
    /// A queue at `path`: first come, first served, unless its builder is told otherwise.
    pub fn builder(client: &Client, path: &str) -> DistributedQueueBuilder<Fifo> {
        DistributedQueueBuilder {
            client: client.clone(),
            path: path.to_owned(),
            locks: None,
            layout: QueueLayout::default(),
            acl: None,
            limit: DEFAULT_QUEUE_LIMIT,
            proof: None,
            order: PhantomData,
        }
    }

    /// Adds an item at the end. Gives the name of its znode.
    ///
    /// # Errors
    ///
    /// `QueueFull` and `SequenceExhausted`: nothing was added. `Client`, with an unknown outcome,
    /// if the answer was lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the item added or not.
    pub async fn put(&self, item: impl AsRef<[u8]>) -> Result<String, Error> {
        self.add(Rank::None, [item.as_ref()]).await
    }

    /// Adds several items that will be claimed together, in one znode.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); kazoo's layouts hold one item a znode.
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put_together(&self, items: &[impl AsRef<[u8]>]) -> Result<String, Error> {
        if !self.layout.has_envelope() && items.len() != 1 {
            return Err(Error::invalid("items", "one at a time in this layout"));
        }
        self.add(Rank::None, items.iter().map(AsRef::as_ref)).await
    }

    /// As [`put`](Self::put), but waits while the queue is full.
    ///
    /// # Errors
    ///
    /// As `put`, but for `QueueFull`.
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put_when_room(&self, item: impl AsRef<[u8]>) -> Result<String, Error> {
        loop {
            until_room(&self.client, &self.path, self.limit).await?;
            match self.put(item.as_ref()).await {
                Err(Error::QueueFull { .. }) => {}
                added => return added,
            }
        }
    }
}

impl PriorityQueue {
    /// Adds an item behind those of its priority; the lowest number comes first. Gives the name
    /// of its znode.
    ///
    /// # Errors
    ///
    /// As [`DistributedQueue::put`]; kazoo's priorities go from 0 to 999.
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put(&self, item: impl AsRef<[u8]>, priority: i32) -> Result<String, Error> {
        if !self.layout.has_envelope() && !(0..1000).contains(&priority) {
            return Err(Error::invalid("priority", "kazoo's go from 0 to 999"));
        }
        self.add(Rank::Priority(priority), [item.as_ref()]).await
    }
}

impl DelayQueue {
    /// Adds an item that is not given before `due`. Gives the name of its znode.
    ///
    /// # Errors
    ///
    /// As [`DistributedQueue::put`].
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put(&self, item: impl AsRef<[u8]>, due: SystemTime) -> Result<String, Error> {
        self.add(Rank::Due(millis(due)), [item.as_ref()]).await
    }

    /// Adds an item that is not given before `delay` has passed, by this machine's wall clock.
    ///
    /// # Errors
    ///
    /// As [`DistributedQueue::put`].
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put_after(
        &self,
        item: impl AsRef<[u8]>,
        delay: Duration,
    ) -> Result<String, Error> {
        let due = self.client.env().wall().checked_add(delay);
        let due = due.ok_or_else(|| Error::invalid("delay", "no clock goes that far"))?;
        self.put(item, due).await
    }
}

impl IdQueue {
    /// Adds an item with an id at the end. Gives the name of its znode. Ids need not be unique;
    /// `/` and `|` in them become `_`, as in Curator.
    ///
    /// # Errors
    ///
    /// As [`DistributedQueue::put`]; or the id is empty.
    ///
    /// # Cancel safety
    ///
    /// As `put`.
    pub async fn put(&self, item: impl AsRef<[u8]>, id: &str) -> Result<String, Error> {
        if id.is_empty() {
            return Err(Error::invalid("id", "it is empty"));
        }
        self.add(Rank::Id(id), [item.as_ref()]).await
    }

    /// Removes the items with this id on which nobody works. Gives how many.
    ///
    /// # Errors
    ///
    /// `Client`, with an unknown outcome, if an answer was lost.
    ///
    /// # Cancel safety
    ///
    /// Some may have been removed.
    pub async fn remove(&self, id: &str) -> Result<usize, Error> {
        let id = clean(id);
        let mut removed = 0;
        let places = self.places(None).await?.unwrap_or_default();
        for place in places {
            if place.id.as_ref() == Some(&id)
                && let Some(claim) = self.claim_one(&mut self.claimant()?, place).await?
            {
                claim.done().await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Taking out.
impl<O: Order> DistributedQueue<O> {
    /// The first item that nobody works on, and the right to do so; waits for one if there is
    /// none.
    ///
    /// # Errors
    ///
    /// `BadDocument`: the item is in no envelope; it stays where it is, and is in the way until
    /// somebody removes it. `InvalidArgument`: the layout has no locks. `Client` for what
    /// waiting does not cure.
    ///
    /// # Cancel safety
    ///
    /// Safe: an item that was about to be claimed is given back.
    pub async fn claim(&self) -> Result<QueueClaim, Error> {
        let mut claimant = self.claimant()?;
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let (places, wait) = self.due(&claimant, &watcher).await?;
            for place in places {
                if let Some(claim) = self.claim_one(&mut claimant, place).await? {
                    return Ok(claim);
                }
            }
            self.changed(&watcher, wait).await?;
        }
    }

    /// As [`claim`](Self::claim), but does not wait: `None` if there is nothing to work on.
    ///
    /// # Errors
    ///
    /// As `claim`.
    ///
    /// # Cancel safety
    ///
    /// As `claim`.
    pub async fn try_claim(&self) -> Result<Option<QueueClaim>, Error> {
        let mut claimant = self.claimant()?;
        let places = self.places(None).await?.unwrap_or_default();
        for place in self.split_due(places).0 {
            if let Some(claim) = self.claim_one(&mut claimant, place).await? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// Removes the first item and gives what was in it; waits for one if there is none. If the
    /// process dies with it, it is lost: at most once. Locks are respected.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim); `Client`, with an unknown outcome, if an item may have been
    /// removed and could not be handed out.
    ///
    /// # Cancel safety
    ///
    /// Safe while it waits; not from the moment an item is there.
    pub async fn take(&self) -> Result<Vec<Bytes>, Error> {
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let Some(places) = self.places(Some(&watcher)).await? else {
                create_lasting(&self.client, &self.path).await?;
                continue;
            };
            let (due, wait) = self.split_due(places);
            for place in due {
                if let Some(items) = self.take_one(&place).await? {
                    return Ok(items);
                }
            }
            self.changed(&watcher, wait).await?;
        }
    }

    /// How many items there are, those that are worked on among them.
    ///
    /// # Errors
    ///
    /// `Client`.
    pub async fn len(&self) -> Result<usize, Error> {
        Ok(self.places(None).await?.unwrap_or_default().len())
    }

    /// Whether there are no items.
    ///
    /// # Errors
    ///
    /// `Client`.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    fn claimant(&self) -> Result<Claimant, Error> {
        let locks = self.locks.clone();
        let locks = locks.ok_or_else(|| Error::invalid("layout", "it has no locks"))?;
        Ok(Claimant::new(
            self.client.clone(),
            locks,
            self.layout.parents(),
        ))
    }

    async fn add<'i>(
        &self,
        rank: Rank<'_>,
        items: impl IntoIterator<Item = &'i [u8]>,
    ) -> Result<String, Error> {
        check_room(&self.client, &self.path, self.limit).await?;
        let options = CreateOptions::from(CreateMode::PersistentSequential);
        let options = match &self.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        };
        let data = if self.layout.has_envelope() {
            envelope::wrap(items)
        } else {
            Bytes::from(items.into_iter().collect::<Vec<_>>().concat())
        };
        let item = path::join(&self.path, &prefix(self.layout, rank));
        loop {
            self.client.ready().await?;
            match self.client.create(&item, &data, options.clone()).await {
                Ok(created) => return Ok(path::name(&created).to_owned()),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    create_lasting(&self.client, &self.path).await?;
                }
                Err(error) if error.is_retryable() => pause(&self.client).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The items in order; `None` without a queue.
    async fn places(&self, watcher: Option<&Watcher>) -> Result<Option<Vec<Place>>, Error> {
        let names = children(&self.client, &self.path, watcher).await?;
        Ok(names.map(|names| in_order(self.layout, O::KIND, names)))
    }

    /// The items that may be claimed, less those that somebody works on, and how long it is to
    /// the next. Watches items and locks: an item whose owner dies is there again.
    async fn due(
        &self,
        claimant: &Claimant,
        watcher: &Watcher,
    ) -> Result<(Vec<Place>, Option<Duration>), Error> {
        let locked = loop {
            match children(&self.client, claimant.locks(), Some(watcher)).await? {
                Some(locked) => break locked,
                None => claimant.create_locks().await?,
            }
        };
        let places = loop {
            match self.places(Some(watcher)).await? {
                Some(places) => break places,
                None => create_lasting(&self.client, &self.path).await?,
            }
        };
        let (mut due, wait) = self.split_due(places);
        due.retain(|place| !locked.contains(&place.name));
        Ok((due, wait))
    }

    /// Those whose time has come, and how long it is to the next.
    fn split_due(&self, mut places: Vec<Place>) -> (Vec<Place>, Option<Duration>) {
        if O::KIND != Kind::Delay {
            return (places, None);
        }
        let now = millis(self.client.env().wall());
        let count = places.partition_point(|place| place.due_ms() <= now);
        let next = places.get(count).map(|place| place.due_ms() - now);
        places.truncate(count);
        let wait = next.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        (places, wait.map(|wait| wait.min(LOOK_AGAIN)))
    }

    async fn changed(&self, watcher: &Watcher, wait: Option<Duration>) -> Result<(), Error> {
        let env = self.client.env();
        let mut timer = env.timer();
        let due = wait.map_or(zk_env::Mono::MAX, |wait| env.now() + wait);
        tokio::select! {
            biased;
            event = watcher.next() => match event {
                // Whatever happened: look again. After a reconnect the client asks for what it missed.
                Some(_) => Ok(()),
                None => Err(Error::Client(zk_client::Error::Closed)),
            },
            () = sleep_until(&mut *timer, due) => Ok(()),
        }
    }

    async fn claim_one(
        &self,
        claimant: &mut Claimant,
        place: Place,
    ) -> Result<Option<QueueClaim>, Error> {
        let item = path::join(&self.path, &place.name);
        let Some(locked) = claimant.lock(&item, &place.name).await? else {
            return Ok(None);
        };
        let patient = self.client.retrying(AS_OFTEN_AS_NEEDED);
        let read = patient.run(|client| client.get_data(&item, None)).await;
        let data = match read {
            Ok((data, _)) => data,
            // Removed by somebody who respects no locks.
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let found = Found {
            items: self.unwrap(&item, &data)?,
            again: (self.prefix_of(&place), Bytes::copy_from_slice(&data)),
        };
        Ok(locked.claim(found, (item, place.name), self.proof))
    }

    /// The name without its sequence, as a path.
    fn prefix_of(&self, place: &Place) -> String {
        const SEQUENCE_LEN: usize = 10;
        let end = place.name.len().saturating_sub(SEQUENCE_LEN);
        path::join(&self.path, place.name.get(..end).unwrap_or_default())
    }

    async fn take_one(&self, place: &Place) -> Result<Option<Vec<Bytes>>, Error> {
        let item = path::join(&self.path, &place.name);
        let patient = self.client.retrying(PATIENCE);
        let data = match patient.run(|client| client.get_data(&item, None)).await {
            Ok((data, _)) => data,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let items = self.unwrap(&item, &data)?;
        let removed = match &self.locks {
            Some(locks) => self.remove_unlocked(&item, locks, &place.name).await?,
            None => match patient.run(|client| client.delete(&item, None)).await {
                Ok(()) => true,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => false,
                Err(error) => return Err(error.into()),
            },
        };
        Ok(removed.then_some(items))
    }

    /// Removes the item in one step with a lock that comes and goes: nobody can have it meanwhile.
    /// False if somebody has it, or it is gone.
    async fn remove_unlocked(&self, item: &str, locks: &str, name: &str) -> Result<bool, Error> {
        let lock = path::join(locks, name);
        loop {
            self.client.ready().await?;
            let removal = self.client.transaction();
            let removal = removal.create(&lock, b"", CreateMode::Ephemeral);
            let removal = removal.delete(item, None).delete(&lock, None);
            let Err(error) = removal.commit().await else {
                return Ok(true);
            };
            match (error.code(), &error) {
                (Some(ErrorCode::NodeExists), _)
                | (Some(ErrorCode::NoNode), zk_client::Error::Transaction { index: 1, .. }) => {
                    return Ok(false);
                }
                (Some(ErrorCode::NoNode), _) => {
                    self.layout.parents().create(&self.client, locks).await?;
                }
                _ if error.is_retryable() => pause(&self.client).await,
                _ => return Err(error.into()),
            }
        }
    }

    fn unwrap(&self, item: &str, data: &[u8]) -> Result<Vec<Bytes>, Error> {
        if !self.layout.has_envelope() {
            return Ok(vec![Bytes::copy_from_slice(data)]);
        }
        envelope::unwrap(data).map_err(|reason| Error::BadDocument {
            path: item.into(),
            reason: reason.into(),
        })
    }
}

/// Events a waiting consumer's watcher keeps: it looks at the first and starts over.
const EVENTS: usize = 4;

/// A wall clock may be set while an item's time is waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

const AS_OFTEN_AS_NEEDED: RetryPolicy = RetryPolicy::new(u32::MAX).for_idempotent();

/// `None` if there is no such znode.
async fn children(
    client: &Client,
    path: &str,
    watcher: Option<&Watcher>,
) -> Result<Option<Vec<String>>, Error> {
    let patient = client.retrying(PATIENCE);
    match patient
        .run(|client| client.get_children(path, watcher))
        .await
    {
        Ok(names) => Ok(Some(names)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Since the Unix epoch; 0 for what was before.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
