//! Fencing tokens: they rise from grant to grant, and a resource that looks at them
//! lets nobody in with an old one.

use crate::checkers::linearizability::Operations;

/// A contradiction between tokens. Operations are named by their index in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleToken {
    /// A grant that was over before the other was asked for has a token as high or
    /// higher.
    Grants {
        /// The earlier grant.
        earlier: usize,
        /// The later one.
        later: usize,
    },
    /// Two grants have the same token.
    Twins {
        /// The grant that is in the history first.
        first: usize,
        /// The other one.
        second: usize,
    },
}

/// Whether the tokens of exclusive grants rise: of two grants of which one was answered
/// before the other was asked for, the later has the higher token, and no two the same.
///
/// `token` says which operations are grants, and with what token.
///
/// # Errors
///
/// The first contradiction.
pub fn tokens_rise<Op, Ret>(
    grants: &Operations<Op, Ret>,
    token: impl Fn(&Op, &Ret) -> Option<u64>,
) -> Result<(), StaleToken> {
    let mut tokens = Vec::new();
    for (index, operation) in grants.iter().enumerate() {
        if let Some((_, ret)) = &operation.returned
            && let Some(token) = token(&operation.op, ret)
        {
            tokens.push((index, token));
        }
    }
    all_differ(&tokens)?;
    let mut by_call = tokens.clone();
    by_call.sort_unstable_by_key(|&(index, _)| grants.span(index).invoked);
    let order = grants.return_order();
    tokens.sort_unstable_by_key(|&(index, _)| order[index]);
    let mut answered = tokens.into_iter().peekable();
    let mut highest: Option<(usize, u64)> = None;
    for (later, token) in by_call {
        while let Some(grant) = answered.next_if(|&(earlier, _)| grants.precedes(earlier, later)) {
            highest = highest
                .into_iter()
                .chain([grant])
                .max_by_key(|&(_, token)| token);
        }
        if let Some((earlier, before)) = highest
            && before >= token
        {
            return Err(StaleToken::Grants { earlier, later });
        }
    }
    Ok(())
}

fn all_differ(tokens: &[(usize, u64)]) -> Result<(), StaleToken> {
    let mut by_token = tokens.to_vec();
    by_token.sort_by_key(|&(_, token)| token);
    match by_token.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        Some(pair) => Err(StaleToken::Twins {
            first: pair[0].0,
            second: pair[1].0,
        }),
        None => Ok(()),
    }
}

/// The place in `accepted`, the tokens a resource accepted in the order in which it did,
/// of the first that is lower than one before it. None, as it should be, if none is.
pub fn stale_holder(accepted: &[u64]) -> Option<usize> {
    let mut highest = 0;
    accepted.iter().position(|&token| {
        let stale = token < highest;
        highest = highest.max(token);
        stale
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checkers::linearizability::Operation;

    /// From call, return and token of grants.
    fn check(grants: &[(u64, u64, u64)]) -> Result<(), StaleToken> {
        let grants: Operations<(), u64> = grants
            .iter()
            .map(|&(invoked, returned, token)| Operation {
                process: 0,
                op: (),
                invoked: Duration::from_millis(invoked),
                returned: Some((Duration::from_millis(returned), token)),
            })
            .collect();
        tokens_rise(&grants, |(), &token| Some(token))
    }

    #[test]
    fn tokens_that_rise_with_the_grants_pass() {
        assert_eq!(check(&[(1, 2, 5), (3, 4, 6), (5, 6, 60)]), Ok(()));
        assert_eq!(check(&[(1, 9, 8), (3, 4, 6), (5, 6, 7)]), Ok(()));
    }

    #[test]
    fn concurrent_grants_may_be_answered_in_any_order() {
        assert_eq!(check(&[(1, 4, 6), (2, 3, 5)]), Ok(()));
        assert_eq!(check(&[(1, 4, 5), (2, 3, 6)]), Ok(()));
    }

    #[test]
    fn a_token_that_falls_is_refused() {
        let stale = StaleToken::Grants {
            earlier: 0,
            later: 1,
        };
        assert_eq!(check(&[(1, 2, 6), (3, 4, 5)]), Err(stale));
        assert_eq!(check(&[(1, 2, 6), (3, 8, 5), (4, 5, 7)]), Err(stale));
    }

    #[test]
    fn a_token_granted_twice_is_refused_even_if_concurrent() {
        let twins = StaleToken::Twins {
            first: 0,
            second: 1,
        };
        assert_eq!(check(&[(1, 4, 6), (2, 3, 6)]), Err(twins));
    }

    #[test]
    fn a_resource_accepts_no_token_lower_than_one_before() {
        assert_eq!(stale_holder(&[1, 1, 4, 4, 7]), None);
        assert_eq!(stale_holder(&[1, 4, 1, 7]), Some(2));
    }
}
