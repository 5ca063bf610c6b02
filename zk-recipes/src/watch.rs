//! State that is watched: subscriptions, caches, configuration.

mod cache;
mod config;
mod feed;
mod format;
mod mirror;
mod pending;
mod pump;
mod snapshot_file;
mod subscription;

pub use cache::{Cache, CacheBuilder};
pub use config::{BadDocument, ConfigWatch, ConfigWatchBuilder, Source, Versioned};
pub use format::Format;
pub use mirror::Depth;
pub use pending::{Change, Update, Znode};
pub use subscription::{
    DEFAULT_CHANGE_LIMIT, DEFAULT_ZNODE_LIMIT, Subscription, SubscriptionBuilder,
};
