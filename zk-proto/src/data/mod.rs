//! Values that records carry.

mod acl;
mod create_mode;
mod create_options;
mod stat;
mod watch;

pub use acl::{Acl, AclId, Perms, digest_id, open_acl};
pub use create_mode::{CreateMode, MAX_TTL};
pub use create_options::CreateOptions;
pub use stat::Stat;
pub use watch::{AddWatchMode, EventType, KeeperState, WatcherType};
