//! What the server under test can do: the one table of expected differences
//! between releases of Apache ZooKeeper. The bundled server behaves as the
//! newest of them.

use std::env;

/// Names the release behind `ZK_TEST_CONNECT`.
const VARIABLE: &str = "ZK_TEST_VERSION";

/// The release that the bundled server follows, and the default for others.
const BASELINE: &str = "3.9.5";

/// Something that not every release does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// multiRead, getEphemerals, getAllChildrenNumber.
    ReadExtensions,
    /// addWatch and setWatches2.
    PersistentWatches,
    /// whoAmI.
    WhoAmI,
    /// A create2 inside a multi is answered with its `Stat` (ZOOKEEPER-4026).
    StatFromCreate2InMulti,
    /// The notification's header carries the zxid of the change (ZOOKEEPER-4655).
    EventZxid,
    /// One path holds several kinds of watch of one connection, and each is
    /// removed apart (ZOOKEEPER-4466, ZOOKEEPER-4471).
    SeparateWatchModes,
    /// exists needs READ (ZOOKEEPER-2590), and so do the events of a watch
    /// (CVE-2024-23944).
    ReadGuardsExistsAndEvents,
}

impl Feature {
    /// The releases that brought it: where it was brought to several lines, the
    /// first release of each, ascending.
    const fn since(self) -> &'static [Version] {
        match self {
            Self::ReadExtensions | Self::PersistentWatches => &[Version(3, 6, 0)],
            Self::WhoAmI => &[Version(3, 7, 0)],
            Self::StatFromCreate2InMulti => &[Version(3, 7, 2), Version(3, 8, 2), Version(3, 9, 0)],
            Self::EventZxid | Self::SeparateWatchModes => &[Version(3, 9, 0)],
            Self::ReadGuardsExistsAndEvents => &[Version(3, 8, 4), Version(3, 9, 2)],
        }
    }
}

/// A release of Apache ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// The release under test.
    ///
    /// # Panics
    ///
    /// If `ZK_TEST_VERSION` is not a version.
    pub fn under_test() -> Self {
        let text = env::var(VARIABLE).unwrap_or_else(|_| BASELINE.to_owned());
        Self::parse(&text).unwrap_or_else(|| panic!("{VARIABLE} is not a version: {text:?}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-']).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }

    /// Whether this release does it.
    pub fn has(self, feature: Feature) -> bool {
        let since = feature.since();
        let same_line = |first: &&Self| (first.0, first.1) == (self.0, self.1);
        match since.iter().find(same_line) {
            Some(first) => self >= *first,
            None => since.last().is_some_and(|last| self > *last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_counts_from_its_release_in_each_line() {
        let has = |text| {
            let version = Version::parse(text).unwrap();
            version.has(Feature::StatFromCreate2InMulti)
        };
        assert!(!has("3.5.10"));
        assert!(!has("3.7.1"));
        assert!(has("3.7.2"));
        assert!(!has("3.8.1"));
        assert!(has("3.9.0"));
        assert!(has("3.10.0-SNAPSHOT"));
    }
}
