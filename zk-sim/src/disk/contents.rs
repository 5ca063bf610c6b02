//! What is in one file: as reads show it, and as a crash would leave it.

use std::collections::BTreeSet;
use std::ops::Range;

use zk_env::EnvRng;

/// What a drive writes in one piece.
pub(crate) const SECTOR: usize = 512;

/// A file's bytes, twice. What is written and not synced may reach the durable copy
/// at any time, sector by sector, as the kernel writes pages back when it likes;
/// whether it does is drawn at the write. So a crash keeps any subset of unsynced
/// sectors, and of a sector written several times any version.
///
/// The length is one more thing that is kept or not. An unsynced cut comes before
/// what is written behind it, as file systems keep metadata in order: old bytes do not
/// show up behind new ones.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What reads show.
    shown: Vec<u8>,
    /// What is durable. Sectors may be kept behind the length that is.
    kept: Vec<u8>,
    kept_len: usize,
    /// Sectors that a sync has to write.
    unsynced: BTreeSet<usize>,
    /// The shortest that the file has been since its length was last kept, if it was
    /// cut.
    cut: Option<usize>,
    odds: Odds,
}

/// How likely it is that something unsynced is kept, in quarters: never and always
/// are among the draws, as a crash that loses everything is the most frequent one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Odds(u64);

impl Odds {
    pub(super) fn draw(rng: &mut EnvRng) -> Self {
        Self(rng.below(5))
    }

    pub(super) fn win(self, rng: &mut EnvRng) -> bool {
        rng.below(4) < self.0
    }
}

impl Contents {
    pub(super) fn new(rng: &mut EnvRng) -> Self {
        Self {
            odds: Odds::draw(rng),
            ..Self::default()
        }
    }

    pub(super) fn shown(&self) -> &[u8] {
        &self.shown
    }

    pub(super) fn kept_len(&self) -> usize {
        self.kept_len
    }

    pub(super) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty() || self.cut.is_some() || self.kept_len != self.shown.len()
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8], rng: &mut EnvRng) {
        let (former, end) = (self.shown.len(), offset + bytes.len());
        if former < end {
            self.shown.resize(end, 0);
        }
        self.shown[offset..end].copy_from_slice(bytes);
        for sector in sectors(offset.min(former)..end) {
            self.unsynced.insert(sector);
            if self.odds.win(rng) {
                self.keep(sector);
            }
        }
        if former < end && self.odds.win(rng) {
            self.keep_len();
        }
    }

    pub(super) fn truncate(&mut self, len: usize, rng: &mut EnvRng) {
        if len < self.shown.len() {
            self.cut = Some(self.cut.map_or(len, |cut| cut.min(len)));
            self.unsynced.split_off(&len.div_ceil(SECTOR));
        }
        if len != self.shown.len() {
            self.shown.resize(len, 0);
            if self.odds.win(rng) {
                self.keep_len();
            }
        }
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self, rng: &mut EnvRng) {
        while let Some(sector) = self.unsynced.first().copied() {
            self.keep(sector);
        }
        self.keep_len();
        self.odds = Odds::draw(rng);
    }

    /// Makes some of it durable, and forgets that the rest is not: no later sync
    /// writes it, as a kernel drops the pages that it could not write.
    pub(super) fn fail_sync(&mut self, rng: &mut EnvRng) {
        for sector in std::mem::take(&mut self.unsynced) {
            if self.odds.win(rng) {
                self.keep(sector);
            }
        }
    }

    /// What is durable is all that is left.
    pub(super) fn crash(&mut self, rng: &mut EnvRng) {
        self.kept.resize(self.kept_len, 0);
        self.shown.clone_from(&self.kept);
        self.unsynced.clear();
        self.cut = None;
        self.odds = Odds::draw(rng);
    }

    /// Flips a durable bit. Reads show it at once unless the page was written to.
    pub(super) fn rot(&mut self, offset: usize, bit: u8) {
        let former = self.kept[offset];
        self.kept[offset] ^= 1 << bit;
        if !self.unsynced.contains(&(offset / SECTOR))
            && let Some(shown) = self.shown.get_mut(offset)
            && *shown == former
        {
            *shown = self.kept[offset];
        }
    }

    fn keep(&mut self, sector: usize) {
        let end = (sector + 1) * SECTOR;
        if self.cut.is_some_and(|cut| cut < end) {
            self.apply_cut();
        }
        self.copy(sector);
    }

    fn copy(&mut self, sector: usize) {
        let end = (sector + 1) * SECTOR;
        let range = sector * SECTOR..end.min(self.shown.len());
        if self.kept.len() < range.end {
            self.kept.resize(range.end, 0);
        }
        self.kept[range.clone()].copy_from_slice(&self.shown[range]);
        self.unsynced.remove(&sector);
    }

    fn keep_len(&mut self) {
        self.apply_cut();
        self.kept_len = self.shown.len();
        if self.kept.len() < self.kept_len {
            self.kept.resize(self.kept_len, 0);
        }
    }

    fn apply_cut(&mut self) {
        if let Some(cut) = self.cut.take() {
            self.kept.truncate(cut);
            self.kept_len = self.kept_len.min(cut);
            if !cut.is_multiple_of(SECTOR) {
                // A cut inside a sector writes that sector.
                self.copy(cut / SECTOR);
            }
        }
    }
}

fn sectors(bytes: Range<usize>) -> Range<usize> {
    bytes.start / SECTOR..bytes.end.div_ceil(SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Write { offset: usize, len: usize },
        Truncate(usize),
        Sync,
        FailSync,
    }

    const END: usize = 6 * SECTOR;

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (0..END, 1..3 * SECTOR).prop_map(|(offset, len)| Op::Write { offset, len }),
            2 => (0..END).prop_map(Op::Truncate),
            1 => Just(Op::Sync),
            1 => Just(Op::FailSync),
        ]
    }

    /// Every state that the file was in since the last successful sync.
    struct States(Vec<Vec<u8>>);

    impl States {
        fn allow(&self, crashed: &[u8]) -> bool {
            let len = self.0.iter().any(|state| state.len() == crashed.len());
            let mut sectors = crashed.chunks(SECTOR).enumerate();
            len && sectors.all(|(sector, bytes)| {
                let mut states = self.0.iter();
                states.any(|state| starts_with(state, sector * SECTOR, bytes))
            })
        }
    }

    /// Whether `state` reads as `bytes` from `offset` on, with zeros behind its end.
    fn starts_with(state: &[u8], offset: usize, bytes: &[u8]) -> bool {
        let at = |index| state.get(index).copied().unwrap_or(0);
        let mut bytes = bytes.iter().enumerate();
        bytes.all(|(index, byte)| at(offset + index) == *byte)
    }

    proptest! {
        /// A failed sync permits what no sync would.
        #[test]
        fn a_crash_leaves_lengths_and_sectors_that_were_there(
            ops in prop::collection::vec(op(), 1..20),
            seed: u64,
        ) {
            let mut rng = EnvRng::from_seed(seed);
            let mut contents = Contents::new(&mut rng);
            let mut states = States(vec![Vec::new()]);
            let mut has_failed = false;
            for (number, op) in (1..).zip(ops) {
                match op {
                    Op::Write { offset, len } => {
                        contents.write(offset, &vec![number; len], &mut rng);
                    }
                    Op::Truncate(len) => contents.truncate(len, &mut rng),
                    Op::Sync => contents.sync(&mut rng),
                    Op::FailSync => {
                        has_failed = true;
                        contents.fail_sync(&mut rng);
                    }
                }
                if matches!(op, Op::Sync) && !has_failed {
                    states.0.clear();
                    prop_assert!(!contents.has_unsynced());
                }
                states.0.push(contents.shown().to_vec());
            }
            contents.crash(&mut rng);
            prop_assert!(states.allow(contents.shown()));
            prop_assert!(!contents.has_unsynced());
        }
    }

    /// What survives of `unsynced` over many seeds, after `synced` was synced.
    fn survivors(
        synced: impl Fn(&mut Contents, &mut EnvRng),
        unsynced: impl Fn(&mut Contents, &mut EnvRng),
    ) -> BTreeSet<Vec<u8>> {
        let survivor = |seed| {
            let mut rng = EnvRng::from_seed(seed);
            let mut contents = Contents::new(&mut rng);
            synced(&mut contents, &mut rng);
            contents.sync(&mut rng);
            unsynced(&mut contents, &mut rng);
            contents.crash(&mut rng);
            contents.shown().to_vec()
        };
        (0..2000).map(survivor).collect()
    }

    #[test]
    fn every_subset_of_sectors_survives_some_crash() {
        let survivors = survivors(
            |contents, rng| contents.write(0, &[1; 4 * SECTOR], rng),
            |contents, rng| contents.write(0, &[2; 4 * SECTOR], rng),
        );
        assert_eq!(survivors.len(), 16);
    }

    #[test]
    fn every_version_of_a_sector_survives_some_crash() {
        let survivors = survivors(
            |contents, rng| contents.write(0, &[0; SECTOR], rng),
            |contents, rng| (1..4).for_each(|byte| contents.write(0, &[byte; SECTOR], rng)),
        );
        assert_eq!(survivors.len(), 4);
    }

    #[test]
    fn data_survives_without_the_length_and_the_reverse() {
        let survivors = survivors(
            |_, _| (),
            |contents, rng| contents.write(0, &[1; SECTOR], rng),
        );
        assert!(survivors.contains(&vec![]));
        assert!(survivors.contains(&vec![0; SECTOR]));
        assert!(survivors.contains(&vec![1; SECTOR]));
    }

    #[test]
    fn nothing_written_behind_a_cut_survives_without_the_cut() {
        let survivors = survivors(
            |contents, rng| contents.write(0, &[1; 4 * SECTOR], rng),
            |contents, rng| {
                contents.truncate(0, rng);
                contents.write(0, &[2; 3 * SECTOR], rng);
            },
        );
        let is_mixed = |bytes: &&Vec<u8>| bytes.contains(&1) && bytes.contains(&2);
        assert_eq!(survivors.iter().find(is_mixed), None);
        assert!(survivors.contains(&vec![1; 4 * SECTOR]));
        assert!(survivors.contains(&vec![2; 3 * SECTOR]));
    }

    #[test]
    fn what_a_failed_sync_dropped_is_read_until_the_crash() {
        let outcomes = (0..500).map(|seed| {
            let mut rng = EnvRng::from_seed(seed);
            let mut contents = Contents::new(&mut rng);
            contents.write(0, &[1; SECTOR], &mut rng);
            contents.fail_sync(&mut rng);
            assert_eq!(contents.shown(), [1; SECTOR]);
            contents.sync(&mut rng);
            contents.crash(&mut rng);
            contents.shown() == [1; SECTOR]
        });
        let outcomes: BTreeSet<bool> = outcomes.collect();
        assert_eq!(outcomes, BTreeSet::from([false, true]));
    }
}
