//! Expiry in buckets (Apache's `ExpiryQueue`): deadlines are rounded up to ticks,
//! so that touching a session usually changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_env::Mono;
use zk_proto::SessionId;

/// The end of a tick, in milliseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u64);

impl Bucket {
    /// When the bucket's sessions expire.
    pub(super) const fn time(self) -> Mono {
        Mono::from_origin(Duration::from_millis(self.0))
    }
}

/// Sessions by the tick in which they expire.
#[derive(Debug)]
pub(super) struct ExpiryQueue {
    tick_ms: u64,
    buckets: BTreeMap<Bucket, BTreeSet<SessionId>>,
}

impl ExpiryQueue {
    pub(super) fn new(tick: Duration) -> Self {
        Self {
            tick_ms: millis(tick).max(1),
            buckets: BTreeMap::new(),
        }
    }

    /// The bucket for something that is given `timeout` at `now`: the next end of
    /// a tick, always later than `now + timeout`.
    pub(super) fn bucket(&self, now: Mono, timeout: Duration) -> Bucket {
        let deadline = millis(now.since_origin()).saturating_add(millis(timeout));
        Bucket((deadline / self.tick_ms + 1).saturating_mul(self.tick_ms))
    }

    pub(super) fn insert(&mut self, bucket: Bucket, session: SessionId) {
        self.buckets.entry(bucket).or_default().insert(session);
    }

    pub(super) fn remove(&mut self, bucket: Bucket, session: SessionId) {
        let Some(sessions) = self.buckets.get_mut(&bucket) else {
            return;
        };
        sessions.remove(&session);
        if sessions.is_empty() {
            self.buckets.remove(&bucket);
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.clear();
    }

    /// When the first bucket is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.buckets.keys().next().map(|bucket| bucket.time())
    }

    /// Takes the first bucket out if it is due, its sessions in order.
    pub(super) fn take_due(&mut self, now: Mono) -> Option<BTreeSet<SessionId>> {
        let first = self.buckets.first_entry()?;
        (first.key().time() <= now).then(|| first.remove())
    }

    /// Every session with its bucket, in order of expiry.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Bucket, SessionId)> {
        self.buckets
            .iter()
            .flat_map(|(bucket, sessions)| sessions.iter().map(|session| (*bucket, *session)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn deadlines_are_rounded_up_even_when_they_fit() {
        let queue = ExpiryQueue::new(Duration::from_millis(2000));
        let bucket = |now, timeout| queue.bucket(at(now), Duration::from_millis(timeout)).time();
        assert_eq!(bucket(0, 4000), at(6000));
        assert_eq!(bucket(0, 3999), at(4000));
        assert_eq!(bucket(1330, 4000), at(6000));
        assert_eq!(bucket(2000, 4000), at(8000));
    }

    #[test]
    fn buckets_come_due_in_order_and_as_a_whole() {
        let mut queue = ExpiryQueue::new(Duration::from_millis(100));
        let [early, late] = [250, 950].map(|ms| queue.bucket(at(0), Duration::from_millis(ms)));
        queue.insert(late, SessionId(1));
        queue.insert(early, SessionId(3));
        queue.insert(early, SessionId(2));
        assert_eq!(queue.next(), Some(at(300)));
        assert_eq!(queue.take_due(at(299)), None);
        let due = queue.take_due(at(300)).unwrap();
        assert_eq!(Vec::from_iter(due), [SessionId(2), SessionId(3)]);
        assert_eq!(queue.take_due(at(300)), None);
        queue.remove(late, SessionId(1));
        assert_eq!(queue.next(), None);
    }
}
