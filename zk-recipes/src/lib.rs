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
//! - **No herd.** One contender wakes per release.
//! - **Epochs.** What belongs to a session that has expired says so, and never acts in the next.
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
    MultiGuard, MultiLock, MultiLockBuilder, Mutex, MutexBuilder, ReadWriteLock,
    ReadWriteLockBuilder, ReentrantGuard, ReentrantMutex, Semaphore, SemaphoreBuilder, WriteGuard,
};
pub use membership::{
    GroupLayout, GroupMembership, GroupMembershipBuilder, Member, MemberEvent, NodeMode, NodeState,
    PersistentNode, PersistentNodeBuilder, PersistentTtlNode,
};
pub use ownership::{FencingToken, Ownership, OwnershipState, Why};
pub use proof::Proof;
pub use queue::{QueueItem, SimpleQueue, SimpleQueueBuilder};
pub use scope::{CHILDREN_WITHIN, Ended, Policy, Term};
pub use transaction::{GuardedCommit, GuardedTransaction};
pub use watch::{
    Cache, CacheBuilder, Change, ConfigWatch, ConfigWatchBuilder, Depth, Format, Source,
    Subscription, SubscriptionBuilder, Update, Versioned, Znode,
};
pub use zk_env::Boot;
