//! A counter counts each change once.

use std::collections::BTreeSet;

/// What was told of the changes of one counter, each an increment.
#[derive(Debug, Default)]
pub(crate) struct Count {
    acknowledged: Vec<i64>,
    /// Begun, and not known to have been applied or not.
    pub(crate) open: usize,
}

impl Count {
    pub(crate) fn begin(&mut self) {
        self.open += 1;
    }

    /// It made this number.
    pub(crate) fn acknowledged(&mut self, number: i64) {
        self.open = self.open.saturating_sub(1);
        self.acknowledged.push(number);
    }

    pub(crate) fn not_applied(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// That each acknowledged increment made a number of its own, and that the counter ends
    /// within what was acknowledged and what may have been applied.
    pub(crate) fn is_exact(&self, last: i64) -> Result<(), String> {
        let distinct: BTreeSet<_> = self.acknowledged.iter().collect();
        if distinct.len() != self.acknowledged.len() {
            return Err("counted once: a number was made twice".to_owned());
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let least = count(self.acknowledged.len());
        let most = count(self.acknowledged.len() + self.open);
        if !(least..=most).contains(&last) {
            return Err(format!("counted once: {last} of {least} to {most}"));
        }
        if let Some(highest) = distinct.last().filter(|highest| ***highest > last) {
            return Err(format!("counted once: {highest} was made, {last} is left"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(acknowledged: &[i64], open: usize) -> Count {
        Count {
            acknowledged: acknowledged.to_vec(),
            open,
        }
    }

    #[test]
    fn what_is_open_was_applied_or_not() {
        assert_eq!(count(&[1, 2], 1).is_exact(2), Ok(()));
        assert_eq!(count(&[1, 3], 1).is_exact(3), Ok(()));
        assert!(count(&[1, 2], 1).is_exact(4).is_err());
        assert!(count(&[1, 2], 0).is_exact(1).is_err());
        assert!(count(&[2, 2], 1).is_exact(2).is_err());
        assert!(count(&[3], 2).is_exact(2).is_err());
    }
}
