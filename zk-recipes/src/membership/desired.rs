//! What a persistent node should be, and what to do about what it is: pure.

use bytes::Bytes;
use zk_client::{SessionId, Stat, Zxid};

/// The znode that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'d> {
    pub(super) data: &'d [u8],
    pub(super) stat: &'d Stat,
}

/// What is known of the node's past.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// Sessions this client had before the live one.
    pub(super) sessions: Vec<SessionId>,
    /// The newest czxid of a znode of ours: what is newer and not ours has taken over.
    pub(super) newest: Option<Zxid>,
}

/// Whether the data that was found is that of an earlier self of who wants the first: what a
/// restarted process finds.
pub(crate) type SameOwner = fn(wanted: &[u8], found: &[u8]) -> bool;

/// The very same data; empty data says nothing.
pub(crate) fn same_data(wanted: &[u8], found: &[u8]) -> bool {
    !wanted.is_empty() && wanted == found
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All is as it should be.
    Rest,
    Create,
    /// Ours, with old data.
    SetData,
    /// Delete and create, in one transaction.
    TakeOver,
    /// Somebody else's: until it goes.
    Wait,
}

/// How `found` becomes an ephemeral of `session` with `data`. A znode is ours if this client made
/// it, in this session or an earlier one; or if it was there before us and is the
/// same owner's by its data.
pub(super) fn decide_ephemeral(
    data: &Bytes,
    found: Option<Found<'_>>,
    session: SessionId,
    past: &Past,
    same: SameOwner,
) -> Step {
    let Some(found) = found else {
        return Step::Create;
    };
    let owner = found.stat.ephemeral_owner;
    if owner == session {
        return if found.data == &data[..] {
            Step::Rest
        } else {
            Step::SetData
        };
    }
    let is_earlier = past.newest.is_none_or(|newest| found.stat.czxid < newest);
    let is_same = same(data, found.data);
    if past.sessions.contains(&owner) || (found.stat.is_ephemeral() && is_earlier && is_same) {
        return Step::TakeOver;
    }
    Step::Wait
}

/// How `found` becomes a znode that outlives its session, with `data`: whoever made it.
pub(super) fn decide_lasting(data: &Bytes, found: Option<Found<'_>>) -> Step {
    match found {
        None => Step::Create,
        Some(found) if found.stat.is_ephemeral() => Step::Wait,
        Some(found) if found.data == &data[..] => Step::Rest,
        Some(_) => Step::SetData,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: SessionId = SessionId(5);

    fn decide(owner: i64, czxid: i64, found: &[u8], past: &Past) -> Step {
        let stat = Stat {
            czxid: Zxid(czxid),
            ephemeral_owner: SessionId(owner),
            ..Stat::default()
        };
        let (stat, data) = (&stat, found);
        let wanted = Bytes::from_static(b"me");
        decide_ephemeral(&wanted, Some(Found { data, stat }), LIVE, past, same_data)
    }

    #[test]
    fn the_own_znode_is_kept_up_to_date() {
        let past = Past::default();
        assert_eq!(decide(5, 1, b"me", &past), Step::Rest);
        assert_eq!(decide(5, 1, b"old", &past), Step::SetData);
        let none = decide_ephemeral(&Bytes::new(), None, LIVE, &past, same_data);
        assert_eq!(none, Step::Create);
    }

    #[test]
    fn what_an_earlier_self_left_is_taken_over() {
        let past = Past {
            sessions: vec![SessionId(4)],
            newest: Some(Zxid(9)),
        };
        assert_eq!(decide(4, 9, b"anything", &past), Step::TakeOver);
        // Of another process, before us, with our data: ours before a restart.
        assert_eq!(decide(3, 8, b"me", &past), Step::TakeOver);
        assert_eq!(decide(3, 8, b"me", &Past::default()), Step::TakeOver);
        assert_eq!(decide(3, 8, b"you", &past), Step::Wait);
    }

    #[test]
    fn who_has_been_taken_over_does_not_take_it_back() {
        let past = Past {
            sessions: Vec::new(),
            newest: Some(Zxid(9)),
        };
        assert_eq!(decide(7, 10, b"me", &past), Step::Wait);
    }

    #[test]
    fn empty_data_and_lasting_znodes_are_nobodys_proof() {
        let stat = Stat {
            ephemeral_owner: SessionId(3),
            ..Stat::default()
        };
        let found = Found {
            data: b"",
            stat: &stat,
        };
        let past = Past::default();
        let empty = decide_ephemeral(&Bytes::new(), Some(found), LIVE, &past, same_data);
        assert_eq!(empty, Step::Wait);
        assert_eq!(decide(0, 1, b"me", &past), Step::Wait);
    }

    #[test]
    fn a_lasting_znode_is_anybodys_to_correct() {
        let data = Bytes::from_static(b"me");
        let stat = |owner| Stat {
            ephemeral_owner: SessionId(owner),
            ..Stat::default()
        };
        let decide = |found, owner| {
            let found = Found {
                data: found,
                stat: &stat(owner),
            };
            decide_lasting(&data, Some(found))
        };
        assert_eq!(decide_lasting(&data, None), Step::Create);
        assert_eq!(decide(&b"old"[..], 0), Step::SetData);
        assert_eq!(decide(b"me", 0), Step::Rest);
        assert_eq!(decide(b"me", 1), Step::Wait);
    }
}
