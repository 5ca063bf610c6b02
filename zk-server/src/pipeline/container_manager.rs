//! The reaper of containers and TTL znodes (Apache's `ContainerManager`): finds
//! candidates now and then, and hands them out one by one at a modest pace, if they are
//! still to go. Apache does not look again, and takes a TTL znode that somebody has
//! written to between its choice and its end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zk_env::Mono;
use zk_proto::Zxid;

use crate::config::ServerConfig;
use crate::tree::{DataTree, EphemeralType, Znode};

/// When to look, and what was found. Bounded by the znodes there are.
#[derive(Debug)]
pub(crate) struct ContainerManager {
    check_interval: Duration,
    /// Between two deletions, so that they do not come as a herd.
    min_interval: Duration,
    /// Age at which a container without any child ever goes; zero is never.
    max_never_used: Duration,
    next_check: Mono,
    next_delete: Mono,
    candidates: VecDeque<Arc<str>>,
    /// What may go, as it was when last looked at. Ages count from here and not from
    /// the znodes' times, which are those of a clock that may be set: an hour forward
    /// must not be the end of every TTL znode.
    idle: BTreeMap<Arc<str>, Idle>,
}

/// A znode that nobody has written to.
#[derive(Clone, Copy, Debug)]
struct Idle {
    /// Its last change of data.
    mzxid: Zxid,
    /// When that was first seen.
    since: Mono,
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
            max_never_used: config.container_max_never_used,
            next_check: now + check_interval,
            next_delete: now,
            candidates: VecDeque::new(),
            idle: BTreeMap::new(),
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
    pub(crate) fn poll(&mut self, now: Mono, tree: &DataTree) -> Option<Arc<str>> {
        if self.candidates.is_empty() && self.next_check <= now {
            self.candidates = self.find(now, tree);
            self.next_check = now + self.check_interval;
        }
        if self.next_delete > now {
            return None;
        }
        while let Some(path) = self.candidates.pop_front() {
            if self.is_still_due(&path, now, tree) {
                self.next_delete = now + self.min_interval;
                return Some(path);
            }
        }
        None
    }

    fn is_still_due(&self, path: &str, now: Mono, tree: &DataTree) -> bool {
        let (Some(node), Some(idle)) = (tree.node(path), self.idle.get(path)) else {
            return false;
        };
        idle.mzxid == node.stat.mzxid && self.is_candidate(node, now.since(idle.since))
    }

    fn find(&mut self, now: Mono, tree: &DataTree) -> VecDeque<Arc<str>> {
        let before = std::mem::take(&mut self.idle);
        let ephemerals = tree.ephemerals();
        let mut found = VecDeque::new();
        for path in ephemerals.containers().chain(ephemerals.ttls()) {
            let Some(node) = tree.node(path) else {
                continue;
            };
            let mzxid = node.stat.mzxid;
            let known = before.get(path).filter(|idle| idle.mzxid == mzxid);
            let since = known.map_or(now, |idle| idle.since);
            self.idle.insert(Arc::clone(path), Idle { mzxid, since });
            if self.is_candidate(node, now.since(since)) {
                found.push_back(Arc::clone(path));
            }
        }
        found
    }

    /// A container that has lost its last child, or waited too long for its first
    /// one; a TTL znode that has had neither children nor a change of data.
    fn is_candidate(&self, node: &Znode, age: Duration) -> bool {
        node.children.is_empty()
            && match node.stat.ephemeral {
                EphemeralType::Container => {
                    let is_stale = !self.max_never_used.is_zero() && age > self.max_never_used;
                    node.stat.cversion > 0 || is_stale
                }
                EphemeralType::Ttl { ttl_ms } => {
                    age >= Duration::from_millis(ttl_ms.unsigned_abs())
                }
                EphemeralType::Void | EphemeralType::Normal(_) => false,
            }
    }
}
