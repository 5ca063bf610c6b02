//! The data tree and what hangs off it. It learns nothing except from
//! transactions, so that every replica that applies the same ones is identical;
//! watches are kept beside it, because they belong to connections of one server.

mod acl;
mod data_tree;
mod digest;
mod ephemerals;
mod hashing;
mod quota;
mod watch_table;
mod watches;
mod znode;

pub(crate) use acl::{AclList, masked, open_acl};
pub(crate) use data_tree::{DataTree, normalized};
pub(crate) use digest::{ContentDigest, DIGEST_VERSION, TreeDigest};
pub(crate) use hashing::SeededState;
pub(crate) use quota::{LIMIT_NODE, QUOTA_ROOT, QuotaText, limit_path, usage_path};
pub(crate) use watch_table::WatchSummary;
pub(crate) use watches::{NoWatchers, WatchSink, WatchedEvent, Watches};
pub(crate) use znode::{EphemeralType, StatPersisted, Znode};
