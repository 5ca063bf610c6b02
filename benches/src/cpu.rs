//! The CPU time a process has used.

use std::time::Duration;

/// User and system time of all threads of this process so far; `None` where the
/// platform has no such clock.
#[cfg(unix)]
pub fn process_cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

/// User and system time of all threads of this process so far; `None` where the
/// platform has no such clock.
#[cfg(not(unix))]
pub fn process_cpu() -> Option<Duration> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time() {
        let start = process_cpu().unwrap();
        let mut spins = 0_u64;
        while process_cpu().unwrap() < start + Duration::from_millis(2) {
            spins = std::hint::black_box(spins + 1);
        }
        assert!(spins > 0);
    }
}
