//! Sets of small numbers, as words of bits.

/// A set of numbers below a bound.
#[derive(Clone, Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn below(bound: usize) -> Self {
        Self {
            words: vec![0; bound.div_ceil(64)],
        }
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.words[word] & bit != 0
    }

    pub(super) fn insert(&mut self, number: u32) {
        let (word, bit) = place(number);
        self.words[word] |= bit;
    }

    pub(super) fn remove(&mut self, number: u32) {
        let (word, bit) = place(number);
        self.words[word] &= !bit;
    }

    /// The words from that of `number` on, without empty ones at the end.
    pub(super) fn from(&self, number: u32) -> &[u64] {
        let (first, _) = place(number);
        trimmed(self.words.get(first..).unwrap_or_default())
    }

    /// All words, without empty ones at the end.
    pub(super) fn all(&self) -> &[u64] {
        trimmed(&self.words)
    }
}

/// Whether the set of the words is part of the other; both without empty ones at the end.
pub(super) fn is_subset(of: &[u64], part: &[u64]) -> bool {
    part.len() <= of.len() && part.iter().zip(of).all(|(part, of)| part & !of == 0)
}

fn trimmed(words: &[u64]) -> &[u64] {
    let end = words.iter().rposition(|&word| word != 0);
    &words[..end.map_or(0, |last| last + 1)]
}

const fn place(number: u32) -> (usize, u64) {
    (number as usize / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_leaves_out_full_words_before_and_empty_ones_after() {
        let mut bits = Bits::below(300);
        (0..130).for_each(|number| bits.insert(number));
        assert_eq!(bits.from(130), [0b11]);
        assert_eq!(bits.all().len(), 3);
        bits.remove(129);
        bits.remove(128);
        assert!(bits.from(130).is_empty());
        assert!(bits.from(299).is_empty());
        assert!(bits.contains(127) && !bits.contains(128));
    }

    #[test]
    fn subsets() {
        assert!(is_subset(&[], &[]));
        assert!(is_subset(&[0b110], &[0b100]));
        assert!(!is_subset(&[0b110], &[0b101]));
        assert!(!is_subset(&[0b1], &[0b1, 0b1]));
        assert!(is_subset(&[0b1, 0b1], &[0b1]));
    }
}
