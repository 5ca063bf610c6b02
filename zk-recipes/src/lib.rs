//! Coordination on Apache ZooKeeper with guards that can be trusted.
//!
//! ```no_run
//! # async fn serve(_: zk_recipes::Term) {}
//! # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
//! use zk_recipes::{Ended, LeaderLatch, Mutex};
//!
//! let lock = Mutex::new(&client, "/locks/inventory");
//! let guard = lock.acquire().await?;
//! guard.transaction().set_data("/inventory/7", b"3", None).commit().await?;
//! guard.release().await?;
//!
//! let latch = LeaderLatch::builder(&client, "/services/billing/leader").id("host-7").build()?;
//! match latch.lead(async |term| serve(term).await).await? {
//!     Ended::Finished(()) => println!("resigned"),
//!     Ended::Lost(why) => println!("not the leader any more: {why}"),
//! }
//! # Ok(()) }
//! ```
//!
//! # What is promised
//!
//! - **No boolean.** An ownership is a [`Guard`], with a state `Held` → `InDoubt` → `Lost`, a deadline
//!   ([`valid_until`](Ownership::valid_until)) that holds connected or not, and
//!   [`lost`](Ownership::lost) to await. What the deadline is worth: [`Proof`].
//! - **Fencing.** Every guard has a [`FencingToken`] that rises from owner to owner, and
//!   [`transaction`](Ownership::transaction), which the server refuses once the ownership has
//!   gone to somebody else. A process can be stopped between looking and acting; these two
//!   are what protects then, and nothing else does.
//! - **Scopes.** [`Guard::run`], [`Mutex::run`] and [`LeaderLatch::lead`] drop the work when its
//!   [`Policy`] says so, and give up the ownership after the work's child tasks have gone.
//! - **No orphans.** Every future may be dropped at any await: the client's reaper owns what it
//!   may have left, until it is proven gone or the session is over.
//! - **No herd.** One contender of a lock or an election wakes per release.
//! - **Epochs.** What belongs to a session that has expired says so, and never acts in the next.
//!
//! # The recipes
//!
//! `S` is the ten-digit sequence, `U` a UUID; layouts are Curator's unless a dialect says otherwise. *In doubt* is the guard's
//! state: what runs in a scope is dropped as its policy says. *Reaped* is a znode that the client deletes once it can.
//!
//! | recipe | znodes | who wins | fairness | on suspension | on expiry | on cancel | on a lost reply | token |
//! |---|---|---|---|---|---|---|---|---|
//! | [`Mutex`] | `<path>/_c_U-lock-S`, ephemeral | lowest sequence | order of arrival | in doubt, then held again if proven | lost | reaped | found again by its UUID | czxid |
//! | [`ReentrantMutex`] | as `Mutex` | lowest sequence; the owner value enters again | order of arrival between owners | as `Mutex` | every hold is lost | reaped | as `Mutex` | that of the first hold |
//! | [`ReadWriteLock`] | `_c_U-__READ__S`, `_c_U-__WRIT__S` | readers without a writer ahead; the writer that is first | order of arrival | as `Mutex` | lost | reaped | as `Mutex`; a downgrade is looked up | czxid; a downgraded reader keeps the writer's |
//! | [`Semaphore`] | `<path>/locks/_c_U-lock-S`, `<path>/leases/_c_U-lease-S` | fewer than the size ahead | order of arrival, through the inner lock | as `Mutex` | lost | both reaped | as `Mutex` | czxid, distinct |
//! | [`MultiLock`] | as `Mutex`, one per path | all, in the order of the paths | order of arrival on each path | in doubt with any of them | lost with any of them | all reaped | as `Mutex` | one per path |
//! | [`LeaderLatch`] | `<path>/_c_U-latch-S` with the id | lowest sequence | order of arrival, but for a planned handover | in doubt; the term's work is dropped by policy | the term is lost | reaped | as `Mutex` | czxid |
//! | [`LeaderSelector`] | `<path>/_c_U-lock-S` with the id | lowest sequence | order of arrival; each term queues anew | as `LeaderLatch` | as `LeaderLatch` | reaped | as `Mutex` | czxid |
//! | [`Barrier`] | `<path>`, persistent | whoever sets or removes it | all pass at once | waits on | waits on in the next session | nothing is left | it is read again | none: no ownership |
//! | [`DoubleBarrier`] | `<path>/U`, `<path>/ready` | the member that completes the party | all enter and leave together | waits on | the member is out, with an error | reaped | found again by its name | none: no ownership |
//! | [`AtomicLong`], [`CasCell`], [`CachedLong`] | `<path>`, persistent; by `exactly_once` `<witnesses>/_c_U-witness` | the write whose version fits | none: whoever is faster | calls wait for their deadline | goes on in the next session | applied or not | unknown, or resolved with `exactly_once` | none: fixed path |
//! | [`SharedCount`], [`SharedValue`] | `<path>`, persistent | the write whose version fits | none: whoever is faster | the value is the last one seen | goes on in the next session | applied or not | unknown | none: fixed path |
//! | [`Subscription`], [`Cache`] | none of their own | everybody sees everything | each at its own pace, coalesced | the last state, marked | catches up in the next session | nothing is left | it is read again | none: no ownership |
//! | [`ConfigWatch`] | `<path>`, persistent | the newest good document | none: whoever is faster | the last good document, with its age | catches up in the next session | nothing is left | of an update: unknown, or seen by reading | none: fixed path |
//! | [`GroupMembership`] | `<path>/<id>`, ephemeral | each member its own id; of equal payload the newest | none needed | members as last seen | joins again | reaped | seen by reading | none: fixed path |
//! | [`PersistentNode`] | `<path>`, ephemeral unless told otherwise | the newest owner of equal data; else whoever was there | none needed | kept by the server until it expires the session | made again | reaped | seen by reading | none: fixed path |
//! | [`PersistentTtlNode`] | `<path>` and `<path>/touch`, persistent with a TTL | nobody: all who keep it touch it | none needed | kept by the server for its TTL, then made again | nothing happens to it | gone after two TTLs at most | seen by reading | none: fixed path |
//! | [`ServiceDiscovery`] | `<base>/<service>/<id>`, ephemeral unless its type says otherwise | of one id whoever was there; its own next self, told by address and port, takes over | each chooser by its strategy | instances as last seen | registered again | reaped | seen by reading | none: fixed path |
//! | [`SimpleQueue`] | `<path>/qn-S`, persistent | whoever deletes the first | elements in order; takers race | waits on | waits on in the next session | taken or not | of a take: unknown, at most once | none: no ownership; an item has its czxid |
//! | [`DistributedQueue`], [`PriorityQueue`], [`DelayQueue`], [`IdQueue`] | `<path>/queue-…S`, persistent; `<path>-locks/<item>` and `<path>-locks/_c_U-owner`, ephemeral; kazoo's as options | whoever locks the first free item | items in order; consumers race | the claim is in doubt, then held again if proven | the claim is lost, the item comes back | the item is given back | of a claim and its end: resolved by looking; of a put: unknown | the lock's czxid |
//!
//! Each type says more, and where other languages' clients may share its path.
//!
//! # How to write a recipe
//!
//! A recipe for exclusive or shared ownership is a [`Layout`], an [`Entry`], and three calls:
//!
//! 1. `Layout::new(dialect, role)` says which names are written and whose are respected. A new
//!    kind of name is a new [`Role`] and its marks in `dialect.rs`.
//! 2. `Contender::acquire(&client, parent, &entry, deadline)` takes a place in line and waits; the
//!    optimistic create, parents, recovery of a lost answer, reconnects, expiry, worn out
//!    sequences and cancellation are its affair.
//! 3. `contender.own(proof)` is the [`Guard`].
//!
//! A rule of its own (a semaphore counts, a barrier waits for all) takes a place by
//! [`Contender::enter`], reads by [`Contender::children`] with a watcher, decides in a pure
//! function of names, waits by [`Contender::changed`], and calls `own` when its turn has come.
//! Reads that belong to a place go through [`Contender::read`], which survives connection
//! losses and ends with the epoch. Bound the whole by a [`Deadline`]: dropping is cleaning up.
//!
//! ```no_run
//! # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
//! use zk_recipes::{Contender, Deadline, Dialect, Entry, Layout, Role};
//! let layout = Layout::new(Dialect::Curator, Role::Write)?;
//! let entry = Entry::new(layout, Default::default());
//! let contender = Contender::acquire(&client, "/rw", &entry, Deadline::NEVER).await?;
//! let guard = contender.own(None);
//! # guard.release().await }
//! ```

pub mod barrier;
mod contender;
pub mod counter;
mod create_by;
mod deadline;
mod decide;
mod dialect;
mod error;
mod guard;
mod keeper;
mod layout;
pub mod leader;
pub mod lock;
pub mod membership;
#[cfg(feature = "json")]
pub mod naming;
mod ownership;
mod parents;
mod proof;
pub mod queue;
mod scope;
mod transaction;
pub mod watch;
mod znode;

pub use barrier::{Barrier, BarrierBuilder, DoubleBarrier, DoubleBarrierBuilder, Inside};
pub use contender::{Contender, Entry};
pub use counter::{
    AtomicLong, AtomicLongBuilder, CachedLong, CasCell, CasCellBuilder, Changed, NumberFormat,
    SharedCount, SharedValue, Stamp, Stamped,
};
pub use deadline::Deadline;
pub use decide::{Turn, decide};
pub use dialect::Dialect;
pub use error::Error;
pub use guard::Guard;
pub use layout::{Layout, Place, Role, SEQUENCE_LIMIT};
pub use leader::{
    Candidate, CloseMode, LeaderLatch, LeaderLatchBuilder, LeaderSelector, LeaderSelectorBuilder,
    Leadership, Participant,
};
pub use lock::{
    InLine, MultiGuard, MultiLock, MultiLockBuilder, MultiTerm, Mutex, MutexBuilder, ReadWriteLock,
    ReadWriteLockBuilder, ReentrantGuard, ReentrantMutex, Semaphore, SemaphoreBuilder, WriteGuard,
};
pub use membership::{
    GroupLayout, GroupMembership, GroupMembershipBuilder, Member, MemberEvent, NodeMode, NodeState,
    PersistentNode, PersistentNodeBuilder, PersistentTtlNode,
};
#[cfg(feature = "json")]
pub use naming::{
    Chooser, InstanceFormat, Payload, ProviderStrategy, Resolved, ResolvedInstances,
    ServiceDiscovery, ServiceDiscoveryBuilder, ServiceInstance, ServiceProvider,
    ServiceRegistration, ServiceType, UriPart, UriSpec,
};
pub use ownership::{FencingToken, Ownership, OwnershipState, Why};
pub use proof::Proof;
pub use queue::{
    DelayQueue, DistributedQueue, DistributedQueueBuilder, IdQueue, PriorityQueue, QueueClaim,
    QueueItem, QueueLayout, SimpleQueue, SimpleQueueBuilder,
};
pub use scope::{CHILDREN_WITHIN, Ended, Policy, Term};
pub use transaction::{GuardedCommit, GuardedTransaction};
pub use watch::{
    Cache, CacheBuilder, Change, ConfigWatch, ConfigWatchBuilder, Depth, Format, Source,
    Subscription, SubscriptionBuilder, Update, Versioned, Znode,
};
pub use zk_env::Boot;
