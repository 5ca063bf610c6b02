//! Servers that have applied the same have the same: equal trees at equal zxids, whether they
//! came by them by transactions, by a snapshot or from their disks.

use std::collections::BTreeMap;
use std::sync::Arc;

use zk_proto::Zxid;

use crate::history::{History, Step, TreeSeen};
use crate::runner::Invariant;

/// One digest for one zxid.
#[derive(Debug, Default)]
pub struct Digests {
    of_zxid: BTreeMap<Zxid, (Arc<str>, u64)>,
    /// Which zxids somebody has applied: what a server has found in its log and nobody has
    /// committed may be replaced.
    committed: Option<Zxid>,
}

impl Invariant for Digests {
    fn name(&self) -> &'static str {
        "digests"
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match step {
            Step::Applied(applied) => {
                self.committed = self.committed.max(Some(applied.transaction.zxid));
                Ok(())
            }
            Step::Tree(seen) => self.compare(seen),
            _ => Ok(()),
        }
    }

    /// In the end all are equal.
    fn check(&mut self, history: &History) -> Result<(), String> {
        let mut last: BTreeMap<&str, &TreeSeen> = BTreeMap::new();
        for seen in &history.trees {
            last.insert(&seen.peer, seen);
        }
        let mut last = last.into_values();
        let Some(first) = last.next() else {
            return Ok(());
        };
        match last.find(|other| (other.zxid, other.digest) != (first.zxid, first.digest)) {
            Some(other) => Err(format!("in the end {first:?}, but {other:?}")),
            None => Ok(()),
        }
    }
}

impl Digests {
    fn compare(&mut self, seen: &TreeSeen) -> Result<(), String> {
        let TreeSeen {
            peer, zxid, digest, ..
        } = seen;
        if self.committed.is_none_or(|committed| *zxid > committed) {
            return Ok(());
        }
        let (other, known) = self
            .of_zxid
            .entry(*zxid)
            .or_insert_with(|| (Arc::clone(peer), *digest));
        if known == digest {
            return Ok(());
        }
        Err(format!(
            "at {zxid} the tree of {peer} has digest {digest:x}, that of {other} has {known:x}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(peer: &str, zxid: i64, digest: u64) -> TreeSeen {
        TreeSeen {
            at: Duration::ZERO,
            peer: peer.into(),
            zxid: Zxid(zxid),
            digest,
        }
    }

    #[test]
    fn equal_zxids_have_equal_trees() {
        let mut digests = Digests {
            committed: Some(Zxid(5)),
            ..Digests::default()
        };
        assert_eq!(digests.compare(&seen("a", 4, 1)), Ok(()));
        assert_eq!(digests.compare(&seen("b", 4, 1)), Ok(()));
        assert!(digests.compare(&seen("c", 4, 2)).is_err());
        assert_eq!(digests.compare(&seen("a", 6, 1)), Ok(()));
        assert_eq!(digests.compare(&seen("b", 6, 2)), Ok(()), "not committed");
    }

    #[test]
    fn in_the_end_all_are_equal() {
        let checked = |trees: Vec<TreeSeen>| {
            Digests::default().check(&History {
                trees,
                ..History::default()
            })
        };
        assert_eq!(
            checked(vec![seen("a", 1, 1), seen("b", 2, 2), seen("a", 2, 2)]),
            Ok(())
        );
        assert!(checked(vec![seen("a", 2, 1), seen("b", 2, 2)]).is_err());
        assert!(checked(vec![seen("a", 2, 2), seen("b", 1, 2)]).is_err());
    }
}
