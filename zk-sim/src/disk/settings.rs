//! What is wrong with a disk, and how long it takes.

use std::time::Duration;

use zk_env::EnvRng;

use crate::faults::DiskFault;

/// What a call does, as to how it may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Sync,
}

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    InputOutput,
    NoSpace,
}

#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Every one that lasts, so that the end of one leaves its like.
    pub(super) faults: Vec<DiskFault>,
    pub(super) slow_syncs: Vec<Duration>,
    /// Input/output errors in a thousand calls.
    pub(super) errors: u64,
    pub(super) call_latency: Duration,
    pub(super) sync_latency: Duration,
    /// Bytes; `None` is any number.
    pub(super) capacity: Option<u64>,
}

impl Settings {
    fn has(&self, fault: DiskFault) -> bool {
        self.faults.contains(&fault)
    }

    /// Why a call fails that needs no space.
    pub(super) fn trouble(&self, call: Call, rng: &mut EnvRng) -> Option<Trouble> {
        let fails = match call {
            Call::Read => self.has(DiskFault::ReadFails),
            Call::Write => self.has(DiskFault::WriteFails),
            Call::Sync => self.has(DiskFault::SyncFails),
        };
        let by_chance = self.errors > 0 && rng.below(1000) < self.errors;
        (fails || by_chance).then_some(Trouble::InputOutput)
    }

    /// Bytes that may still be added to `used`; none while the disk counts as full.
    pub(super) fn room(&self, used: impl FnOnce() -> u64) -> u64 {
        if self.has(DiskFault::Full) {
            return 0;
        }
        self.capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(used()))
    }

    /// Whether a sync of a file that holds unsynced bytes finds no space: file systems
    /// may allocate as late as that.
    pub(super) fn allocates_in_vain(&self, rng: &mut EnvRng) -> bool {
        self.has(DiskFault::Full) && rng.below(2) == 0
    }

    /// How long a call takes once its turn has come.
    pub(super) fn takes(&self, call: Call) -> Duration {
        match call {
            Call::Read | Call::Write => self.call_latency,
            Call::Sync => {
                let slow: Duration = self.slow_syncs.iter().sum();
                self.sync_latency + slow
            }
        }
    }
}
