//! Usage of subtrees, counted into a znode once somebody has set limits.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use zk_proto::path::ancestors;

use super::Model;
use super::stat::Znode;

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// The subtree whose limits are in the znode at `path`.
pub(super) fn limited_by(path: &str) -> Option<&str> {
    let subtree = path.strip_prefix(QUOTA)?.strip_suffix(LIMITS)?;
    subtree.starts_with('/').then_some(subtree)
}

/// Whether `path` would limit the root, which has no limits.
pub(super) fn limits_root(path: &str) -> bool {
    path.strip_prefix(QUOTA) == Some(LIMITS)
}

/// The subtree whose usage is in the znode at `path`.
fn counted_in(path: &str) -> Option<&str> {
    let subtree = path.strip_prefix(QUOTA)?.strip_suffix(STATS)?;
    subtree.starts_with('/').then_some(subtree)
}

impl Model {
    /// A znode has been created, with so much data.
    pub(super) fn count_created(&mut self, path: &str) {
        if let Some(subtree) = counted_in(path) {
            self.count_anew(subtree);
        }
        let bytes = self.tree.get(path).map_or(0, data_len);
        self.count(path, bytes, 1);
    }

    /// A znode that had so much data has gone.
    pub(super) fn count_removed(&mut self, path: &str, node: &Znode) {
        self.count(path, -data_len(node), -1);
    }

    /// A znode's data grew by so much.
    pub(super) fn count_changed(&mut self, path: &str, more: i64) {
        self.count(path, more, 0);
    }

    fn count_anew(&mut self, subtree: &str) {
        let itself = self.tree.get(subtree).map(|node| (1, data_len(node)));
        let below = self
            .tree
            .below(subtree)
            .map(|(_, node)| (1, data_len(node)));
        let (count, bytes) = itself
            .into_iter()
            .chain(below)
            .fold((0, 0), |(count, bytes), (one, len)| {
                (count + one, bytes + len)
            });
        let usage = Usage {
            count,
            bytes,
            others: BTreeMap::new(),
        };
        self.store(subtree, &usage);
    }

    /// The innermost limited subtree counts, and no other.
    fn count(&mut self, path: &str, bytes: i64, nodes: i64) {
        let limited = ancestors(path).find(|path| self.tree.limited.contains(*path));
        let Some(subtree) = limited.map(str::to_owned) else {
            return;
        };
        let Some(node) = self.tree.get(&stats_of(&subtree)) else {
            return;
        };
        let mut usage = Usage::parse(node.meta.data.as_deref().unwrap_or_default());
        usage.count += nodes;
        usage.bytes += bytes;
        self.store(&subtree, &usage);
    }

    /// Nobody is told, and no version counts it.
    fn store(&mut self, subtree: &str, usage: &Usage) {
        if let Some(meta) = self.tree.change(&stats_of(subtree)) {
            meta.data = Some(usage.text().into());
        }
    }
}

fn stats_of(subtree: &str) -> String {
    [QUOTA, subtree, STATS].concat()
}

fn data_len(node: &Znode) -> i64 {
    let len = node.meta.data.as_ref().map_or(0, Bytes::len);
    i64::try_from(len).expect("data fit into a frame")
}

/// What a usage znode says.
#[derive(Debug, Default)]
struct Usage {
    count: i64,
    bytes: i64,
    others: BTreeMap<String, i64>,
}

impl Usage {
    /// What makes no sense counts for nothing.
    fn parse(text: &[u8]) -> Self {
        Self::try_parse(text).unwrap_or_default()
    }

    fn try_parse(text: &[u8]) -> Option<Self> {
        let mut usage = Self {
            count: -1,
            bytes: -1,
            others: BTreeMap::new(),
        };
        let text = std::str::from_utf8(text).ok()?;
        for field in text.split([',', ';']) {
            let (key, value) = field.split_once('=')?;
            let value = value.trim_end_matches('=');
            let value = if value.is_empty() {
                -1
            } else {
                value.parse().ok()?
            };
            match key {
                "count" => usage.count = value,
                "bytes" => usage.bytes = value,
                other => drop(usage.others.insert(other.to_owned(), value)),
            }
        }
        Some(usage)
    }

    fn text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if !self.others.is_empty() {
            text.push('=');
        }
        for (key, value) in &self.others {
            write!(text, ";{key}={value}").expect("a string takes everything");
        }
        text
    }
}
