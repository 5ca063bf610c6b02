//! Queues: of items taken at most once ([`SimpleQueue`]), and of items that come back if
//! whoever works on one dies ([`DistributedQueue`] and its relatives).

mod claim;
mod distributed;
mod envelope;
mod layout;
mod order;
mod room;
mod simple;

pub use claim::QueueClaim;
pub use distributed::{
    DelayQueue, DistributedQueue, DistributedQueueBuilder, IdQueue, PriorityQueue,
};
pub use layout::QueueLayout;
pub use order::{Delay, Fifo, Id, Kind, Order, Priority};
pub use room::DEFAULT_QUEUE_LIMIT;
pub use simple::{QueueItem, SimpleQueue, SimpleQueueBuilder};
