//! What recipes are used for in a run.

mod barrier;
mod claims;
mod counter;
mod double_barrier;
mod group;
mod leader;
mod mutex;
mod queue;
mod read_write;
mod semaphore;
mod tampered;
mod watching;

pub(crate) use barrier::Gate;
pub(crate) use claims::Claims;
pub(crate) use counter::Counters;
pub(crate) use double_barrier::Members;
pub(crate) use group::Group;
pub(crate) use leader::Candidates;
pub(crate) use mutex::Contenders;
pub(crate) use queue::Queue;
pub(crate) use read_write::ReadersAndWriters;
pub(crate) use semaphore::Leases;
pub(crate) use tampered::Tampered;
pub(crate) use watching::Watching;
