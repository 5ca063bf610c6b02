//! Queues.

mod simple;

pub use simple::{DEFAULT_QUEUE_LIMIT, QueueItem, SimpleQueue, SimpleQueueBuilder};
