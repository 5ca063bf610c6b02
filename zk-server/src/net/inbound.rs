//! Input that has arrived and makes no whole request yet, on all connections
//! together. A client may take its time over a large request; a thousand that do so
//! must not fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a connection may always have waiting: more than most requests need.
const FREE_BYTES: usize = 4 << 10;

/// Bytes that wait for the rest of their request.
#[derive(Debug, Default)]
pub(super) struct Inbound(AtomicUsize);

/// One connection's part of them, given back when it ends.
#[derive(Debug)]
pub(super) struct InboundShare {
    all: Arc<Inbound>,
    bytes: usize,
}

impl InboundShare {
    pub(super) const fn new(all: Arc<Inbound>) -> Self {
        Self { all, bytes: 0 }
    }

    /// This connection has so many bytes waiting. False if it is one too many: all
    /// together are above `limit`, and its part is no small one.
    #[must_use]
    pub(super) fn set(&mut self, bytes: usize, limit: usize) -> bool {
        let counted = bytes.saturating_sub(FREE_BYTES);
        let before = std::mem::replace(&mut self.bytes, counted);
        if counted == before {
            return true;
        }
        // Modulo arithmetic: adding the difference may be subtracting.
        let difference = counted.wrapping_sub(before);
        let all = self.all.0.fetch_add(difference, Ordering::Relaxed);
        counted <= before || all.wrapping_add(difference) <= limit
    }
}

impl Drop for InboundShare {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_exceeds_the_limit_of_all_is_told_and_small_parts_are_free() {
        let all = Arc::new(Inbound::default());
        let share = || InboundShare::new(Arc::clone(&all));
        let (mut first, mut second, mut small) = (share(), share(), share());
        assert!(first.set(FREE_BYTES + 60, 100));
        assert!(!second.set(FREE_BYTES + 41, 100));
        assert!(small.set(FREE_BYTES, 100));
        assert!(
            second.set(FREE_BYTES + 1, 100),
            "giving back is always fine"
        );
        assert!(second.set(FREE_BYTES + 40, 100));
        drop(first);
        assert!(second.set(FREE_BYTES + 100, 100));
        drop(second);
        assert_eq!(all.0.load(Ordering::Relaxed), 0);
    }
}
