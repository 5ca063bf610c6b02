//! An async client for Apache ZooKeeper.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use zk_client::{Client, CreateMode, Watcher};
//!
//! let client = Client::connect("10.0.0.1:2181,10.0.0.2:2181/app").await?;
//! client.create("/config", b"v1", CreateMode::Persistent).await?;
//! let changes = Watcher::new();
//! let (data, stat) = client.get_data("/config", &changes).await?;
//! client.set_data("/config", b"v2", stat.version).await?;
//! println!("{data:?}, then {:?}", changes.next().await);
//! # Ok(()) }
//! ```
//!
//! # Promises
//!
//! - **Order.** Requests take effect, and their answers arrive, in the order in which
//!   the methods were called; only a call that fails in the client itself (a bad
//!   argument, a full queue, its deadline) may fail ahead of others. A watch event is queued before the reply to any read
//!   that could show the change.
//! - **Cancellation.** Dropping a [`Reply`] leaves the client sound and the operation
//!   applied or not, as a lost reply would. Dropping a protected create leaves no
//!   znode behind once the reaper has settled.
//! - **Outcome.** When the connection is lost every unanswered call fails, in order, and
//!   [`Error::outcome`] says whether it may have been applied. Nothing is retried
//!   unless asked for by [`Client::retrying`].
//! - **Session epochs.** The client outlives its session: after expiry it opens a new
//!   one, and everything tied to the old one says that it has ended. Only a server
//!   declares a session expired. The state is a watch value.
//! - **Bounds.** Every queue has a limit and a typed error that names it.
//! - **No silent death.** After a terminal state every call fails and every
//!   [`Watcher::next`] returns.
//!
//! # Features
//!
//! - `metrics`: counters and histograms through the `metrics` facade.
//! - `sasl`: authentication by SASL DIGEST-MD5, `ClientBuilder::sasl_digest_md5`.
//! - `tls`: encrypted connections, `ClientBuilder::tls` and the module `tls`.

mod client;
mod config;
mod driver;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod hosts;
mod metrics;
mod multi_read;
mod options;
mod protected;
mod read;
mod reaper;
mod reply;
mod retry;
mod sasl;
mod schedule;
mod session;
#[cfg(feature = "tls")]
pub mod tls;
mod transaction;
mod tree;
mod wakers;
mod watcher;

pub use client::{Client, Reconfig};
pub use config::{
    ClientBuilder, Connector, DEFAULT_BUSY_POLL, DEFAULT_CONNECT_DEADLINE, DEFAULT_MAX_IN_FLIGHT,
    DEFAULT_OPERATION_DEADLINE, DEFAULT_QUEUED_BYTES, DEFAULT_QUEUED_REQUESTS, DEFAULT_REPLY_LIMIT,
    DEFAULT_SESSION_TIMEOUT, Resolver,
};
pub use error::{Attempt, ConnectError, Error, Outcome, QueueLimit};
pub use multi_read::{MultiRead, ReadResult};
pub use protected::ProtectedId;
pub use reaper::GuaranteedDelete;
pub use reply::Reply;
pub use retry::{RetryPolicy, Retrying};
pub use sasl::SaslFailure;
pub use session::{Epoch, SessionState};
pub use transaction::{Commit, OpResult, Transaction};
pub use watcher::{DEFAULT_WATCHER_CAPACITY, WatchedEvent, Watcher};
pub use zk_proto::data::{AddWatchMode, MAX_TTL};
pub use zk_proto::record::ClientInfo;
#[cfg(feature = "sasl")]
pub use zk_proto::sasl::Secret;
pub use zk_proto::{
    Acl, AclId, CreateMode, CreateOptions, ErrorCode, EventType, HostPort, KeeperState, Password,
    Perms, SessionId, Stat, WatcherType, Xid, Zxid,
};
