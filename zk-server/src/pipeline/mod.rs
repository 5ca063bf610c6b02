//! The path of a request: decoded, prepared into a transaction or refused,
//! committed, applied, answered. Reads skip the middle, but wait behind writes of their
//! own session.

mod apply;
mod container_manager;
mod multi_request;
mod outstanding;
mod prep;
mod read;
mod reply;
mod request;
mod waiting;
mod watch_ops;

pub(crate) use apply::{Applied, apply};
pub(crate) use container_manager::ContainerManager;
pub(crate) use prep::{Prep, Prepared, Requester, World};
pub(crate) use read::Reading;
pub(crate) use reply::{last_op, reply_write};
pub(crate) use waiting::{Asker, Opening, Waiting, WaitingRequests};
