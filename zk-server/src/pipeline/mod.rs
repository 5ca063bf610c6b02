//! The path of a request: decoded, prepared into a transaction or refused,
//! applied, answered. Reads skip the middle.

mod apply;
mod container_manager;
mod multi_request;
mod outstanding;
mod prep;
mod read;
mod reply;
mod request;
mod watch_ops;

pub(crate) use apply::{Applied, apply};
pub(crate) use container_manager::ContainerManager;
pub(crate) use prep::{Prep, Prepared, Requester, World};
pub(crate) use read::Reading;
pub(crate) use reply::{last_op, reply_write};
