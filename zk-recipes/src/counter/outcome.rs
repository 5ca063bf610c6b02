//! What became of a conditional write whose answer was lost: pure.

use zk_client::{Stat, Zxid};

/// A state of a znode's data, to write on condition that it is still the same.
///
/// The server compares the version alone: whoever deletes the znode and creates it anew
/// lets versions start over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Which incarnation of the znode.
    pub czxid: Zxid,
    /// How often its data was written since.
    pub version: i32,
}

impl Stamp {
    pub(super) const fn of(stat: &Stat) -> Self {
        Self {
            czxid: stat.czxid,
            version: stat.version,
        }
    }

    /// The version that a write under this condition leaves. −1 means any version on the wire, so
    /// that a znode that had it could not be written on condition any more (CURATOR-688): whoever
    /// is one before it writes twice in one transaction.
    pub(super) const fn skips(self) -> bool {
        self.version == -2
    }

    /// No condition can name this version.
    pub(super) const fn is_unusable(self) -> bool {
        self.version == -1
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    NotApplied,
    /// It may have been applied, or somebody else did the very same.
    Unknown,
}

/// What became of a write on condition of `before` (`None`: that the znode is missing), by
/// what is found afterwards, in the same session and after a sync.
///
/// That it was applied can never be told this way: somebody else may have written the same
/// bytes. A counter that two increment from 5 shows 6 to both.
pub(super) fn judge(before: Option<Stamp>, wrote: &[u8], found: Option<(&[u8], Stamp)>) -> Verdict {
    let is_not_applied = match (before, found) {
        (None, None) => true,
        (None, Some((data, found))) => found.version == 0 && data != wrote,
        (Some(_), None) => false,
        (Some(before), Some((data, found))) if found.czxid == before.czxid => {
            let next = before.version.wrapping_add(1);
            found.version == before.version
                || (found.version == next && !before.skips() && data != wrote)
        }
        (Some(_), Some(_)) => false,
    };
    if is_not_applied {
        Verdict::NotApplied
    } else {
        Verdict::Unknown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn stamp(czxid: i64, version: i32) -> Stamp {
        Stamp {
            czxid: Zxid(czxid),
            version,
        }
    }

    #[test]
    fn an_unchanged_znode_was_not_written() {
        let judge = |found| judge(Some(stamp(1, 5)), b"6", found);
        assert_eq!(judge(Some((b"5", stamp(1, 5)))), Verdict::NotApplied);
        // Somebody else was first.
        assert_eq!(judge(Some((b"7", stamp(1, 6)))), Verdict::NotApplied);
        // Ours, or the same by somebody else.
        assert_eq!(judge(Some((b"6", stamp(1, 6)))), Verdict::Unknown);
        assert_eq!(judge(Some((b"9", stamp(1, 7)))), Verdict::Unknown);
        assert_eq!(judge(Some((b"5", stamp(2, 5)))), Verdict::Unknown);
        assert_eq!(judge(None), Verdict::Unknown);
    }

    #[test]
    fn a_znode_that_is_still_missing_was_not_created() {
        assert_eq!(judge(None, b"0", None), Verdict::NotApplied);
        let found = |data, version| judge(None, b"0", Some((data, stamp(1, version))));
        assert_eq!(found(b"7", 0), Verdict::NotApplied);
        assert_eq!(found(b"0", 0), Verdict::Unknown);
        assert_eq!(found(b"7", 1), Verdict::Unknown);
    }

    #[test]
    fn one_version_is_skipped_and_one_cannot_be_named() {
        assert!(stamp(1, -2).skips() && !stamp(1, -1).skips());
        assert!(stamp(1, -1).is_unusable() && !stamp(1, i32::MIN).is_unusable());
    }

    proptest! {
        /// A write that was applied is never taken for one that was not, whatever others
        /// wrote after it.
        #[test]
        fn what_was_applied_is_never_repeated(
            version in any::<i32>().prop_filter("usable", |it| !matches!(it, -1 | -2)),
            wrote in any::<u8>(),
            later in proptest::collection::vec(any::<u8>(), 0..5),
        ) {
            let before = stamp(1, version);
            let mut state = (wrote, stamp(1, version.wrapping_add(1)));
            for value in later {
                state = (value, stamp(1, state.1.version.wrapping_add(1)));
            }
            let found = Some((&[state.0][..], state.1));
            prop_assert_eq!(judge(Some(before), &[wrote], found), Verdict::Unknown);
        }
    }
}
