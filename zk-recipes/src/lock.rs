//! Locks.

pub(crate) mod in_line;
pub use in_line::InLine;

mod line;

mod mutex;
pub use mutex::{Mutex, MutexBuilder};

mod multi;
pub use multi::{MultiGuard, MultiLock, MultiLockBuilder, MultiTerm};

mod read_write;
pub use read_write::{ReadWriteLock, ReadWriteLockBuilder, WriteGuard};

mod reentrant;
pub use reentrant::{ReentrantGuard, ReentrantMutex};

mod revocation;
pub use revocation::{REVOKE, revoke};

mod semaphore;
pub use semaphore::{Semaphore, SemaphoreBuilder};
