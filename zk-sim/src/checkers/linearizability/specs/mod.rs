//! What the usual things are supposed to do.
//!
//! Sequential specifications for [`check`](super::check): [`znode`], [`mutex`],
//! [`leadership`], [`fifo_queue`], [`counter`], [`semaphore`], [`barrier`].
//!
//! Plain checks, which need no search and never give up: [`fencing`] (tokens rise),
//! [`sync_read`] (what a session may see), [`double_barrier`] (nobody passes alone), and
//! [`fifo_queue::bad_pattern`].

pub mod barrier;
pub mod counter;
pub mod double_barrier;
pub mod fencing;
pub mod fifo_queue;
pub mod leadership;
pub mod mutex;
pub mod semaphore;
pub mod sync_read;
pub mod znode;
