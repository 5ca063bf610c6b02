//! Tokens strictly rise.

use super::Held;

/// Grants of exclusive ownership, in the order in which they are seen.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    newest: Option<u64>,
}

impl Granted {
    /// That whoever is the valid owner has a higher token than every valid owner before.
    pub(crate) fn rises(&mut self, owner: &Held) -> Result<(), String> {
        if let Some(newest) = self.newest.filter(|newest| owner.token < *newest) {
            return Err(format!("tokens rise: {owner:?} is valid after {newest}"));
        }
        self.newest = Some(owner.token);
        Ok(())
    }
}

/// That each value was written once, with a token that is higher than the one before.
pub(crate) fn tokens_rise_from_write_to_write(writes: &[(u64, u64)]) -> Result<(), String> {
    let mut writes = writes.to_vec();
    writes.sort_by_key(|(value, _)| *value);
    for pair in writes.windows(2) {
        let ((value, token), (next, later)) = (pair[0], pair[1]);
        if value == next {
            return Err(format!("tokens rise: {value} was written twice"));
        }
        if token >= later {
            return Err(format!("tokens rise: {token} wrote {value} before {later}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::held;
    use super::*;
    use crate::recipes_sim::roll::Right;

    #[test]
    fn an_older_owner_is_none_after_a_newer_one() {
        let owner = |token| Held {
            token,
            ..held("a", Right::Write)
        };
        let mut granted = Granted::default();
        assert_eq!(granted.rises(&owner(7)), Ok(()));
        assert_eq!(granted.rises(&owner(9)), Ok(()));
        assert_eq!(granted.rises(&owner(9)), Ok(()));
        assert!(granted.rises(&owner(8)).is_err());
    }

    #[test]
    fn a_write_by_an_older_owner_after_a_newer_one_is_seen() {
        assert_eq!(tokens_rise_from_write_to_write(&[(2, 9), (1, 7)]), Ok(()));
        assert!(tokens_rise_from_write_to_write(&[(1, 9), (2, 7)]).is_err());
        assert!(tokens_rise_from_write_to_write(&[(1, 7), (2, 7)]).is_err());
        assert!(tokens_rise_from_write_to_write(&[(1, 7), (1, 9)]).is_err());
    }
}
