//! The reaper of containers and TTL znodes (Apache's `ContainerManager`): finds
//! candidates now and then, and hands them out one by one at a modest pace. Whether
//! a candidate may still go is for its transaction to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use zk_env::Mono;

use crate::config::ServerConfig;
use crate::tree::{DataTree, EphemeralType, Znode};

/// When to look, and what was found. Bounded by the znodes there are.
#[derive(Debug)]
pub(crate) struct ContainerManager {
    check_interval: Duration,
    /// Between two deletions, so that they do not come as a herd.
    min_interval: Duration,
    /// Age at which a container without any child ever goes; 0 is never.
    max_never_used_ms: i64,
    next_check: Mono,
    next_delete: Mono,
    candidates: VecDeque<Arc<str>>,
}

impl ContainerManager {
    pub(crate) fn new(config: &ServerConfig, now: Mono) -> Self {
        const MINUTE_MS: u64 = 60_000;
        let check_interval = config
            .container_check_interval
            .max(Duration::from_millis(1));
        let per_minute = u64::from(config.container_max_per_minute.max(1));
        Self {
            check_interval,
            min_interval: Duration::from_millis(MINUTE_MS / per_minute),
            max_never_used_ms: millis(config.container_max_never_used),
            next_check: now + check_interval,
            next_delete: now,
            candidates: VecDeque::new(),
        }
    }

    /// The server serves again after a stop.
    pub(crate) fn restart(&mut self, now: Mono) {
        self.next_check = now + self.check_interval;
        self.candidates.clear();
    }

    /// When to ask again.
    pub(crate) fn next_timeout(&self) -> Mono {
        if self.candidates.is_empty() {
            self.next_check
        } else {
            self.next_delete
        }
    }

    /// The next znode to delete, if one is due.
    pub(crate) fn poll(&mut self, now: Mono, wall_ms: i64, tree: &DataTree) -> Option<Arc<str>> {
        if self.candidates.is_empty() && self.next_check <= now {
            self.candidates = self.find(wall_ms, tree);
            self.next_check = now + self.check_interval;
        }
        if self.next_delete > now {
            return None;
        }
        let candidate = self.candidates.pop_front()?;
        self.next_delete = now + self.min_interval;
        Some(candidate)
    }

    fn find(&self, wall_ms: i64, tree: &DataTree) -> VecDeque<Arc<str>> {
        let ephemerals = tree.ephemerals();
        ephemerals
            .containers()
            .chain(ephemerals.ttls())
            .filter(|path| {
                tree.node(path)
                    .is_some_and(|node| self.is_candidate(node, wall_ms))
            })
            .cloned()
            .collect()
    }

    /// A container that has lost its last child, or waited too long for its first
    /// one; a TTL znode that has had neither children nor a change of data.
    fn is_candidate(&self, node: &Znode, wall_ms: i64) -> bool {
        let age_ms = wall_ms.saturating_sub(node.stat.mtime);
        node.children.is_empty()
            && match node.stat.ephemeral {
                EphemeralType::Container => {
                    node.stat.cversion > 0
                        || self.max_never_used_ms != 0 && age_ms > self.max_never_used_ms
                }
                EphemeralType::Ttl { ttl_ms } => age_ms > ttl_ms,
                EphemeralType::Void | EphemeralType::Normal(_) => false,
            }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
