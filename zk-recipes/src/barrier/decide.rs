//! What a member of a double barrier is to do next: pure.

use zk_client::Zxid;

/// The znode that says that all are there.
pub(super) const READY: &str = "ready";

/// What a member that enters is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entering {
    /// Its znode is not among the children.
    Missing,
    /// `ready` is there: of this party, or left behind by one that is gone.
    Ready,
    /// All are there: these, of which it is one, make `ready`.
    Complete(Vec<String>),
    /// Not all are there yet.
    Waiting,
}

/// By the children of the barrier, for a party of `size`. As with Curator and kazoo every child
/// but `ready` counts for a member.
pub(super) fn decide_entering(children: &[String], own: &str, size: usize) -> Entering {
    if !children.iter().any(|name| name == own) {
        return Entering::Missing;
    }
    if children.iter().any(|name| name == READY) {
        return Entering::Ready;
    }
    let members = members(children);
    if members.len() < size {
        return Entering::Waiting;
    }
    let others = members.into_iter().filter(|name| *name != own);
    let party = std::iter::once(own).chain(others.take(size - 1));
    Entering::Complete(party.map(str::to_owned).collect())
}

/// Whose `ready` it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// That of a party which has members: enter.
    Open,
    /// Left behind by a party that is gone, and this member is the one to remove it.
    StaleAndMine,
    /// Left behind; this other member, the eldest, is the one to remove it.
    Stale(String),
}

/// By the czxids of the member's own znode, of `ready` and of the others' znodes. Of a party
/// that has members at least one is older than its `ready`.
pub(super) fn decide_ready(own: Zxid, ready: Zxid, others: &[(String, Zxid)]) -> Ready {
    if own < ready || others.iter().any(|(_, czxid)| *czxid < ready) {
        return Ready::Open;
    }
    match others.iter().min_by_key(|(_, czxid)| *czxid) {
        Some((eldest, czxid)) if *czxid < own => Ready::Stale(eldest.clone()),
        Some(_) | None => Ready::StaleAndMine,
    }
}

/// What a member that leaves is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// All have left, and so has it.
    Done,
    /// It is the last: its znode goes together with `ready`.
    Last,
    /// It is not the lowest: its znode goes, and it waits for the lowest.
    StepAside,
    /// It waits for this member's znode to go.
    Behind(String),
    /// All have left, but `ready` is still there.
    Leftover,
}

/// By the children of the barrier; `own` as long as the own znode is there. The lowest member
/// waits for the highest, and each other for the lowest, so that none of them wakes all.
pub(super) fn decide_leaving(children: &[String], own: Option<&str>, is_open: bool) -> Leaving {
    let members = members(children);
    let own = own.filter(|own| members.contains(own));
    match (members.first(), members.last(), own) {
        // Whose party is over has been left by all; what there is, is the next party's.
        (_, _, None) if !is_open => Leaving::Done,
        (_, _, Some(_)) if !is_open => Leaving::StepAside,
        (Some(lowest), Some(highest), Some(own)) if *lowest == own => {
            if *highest == own {
                Leaving::Last
            } else {
                Leaving::Behind((*highest).to_owned())
            }
        }
        (_, _, Some(_)) => Leaving::StepAside,
        (Some(lowest), _, None) => Leaving::Behind((*lowest).to_owned()),
        (None, _, None) => Leaving::Leftover,
    }
}

/// In the order of their names.
pub(super) fn members(children: &[String]) -> Vec<&str> {
    let members = children.iter().map(String::as_str);
    let mut members: Vec<_> = members.filter(|name| *name != READY).collect();
    members.sort_unstable();
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_member_waits_until_as_many_are_there() {
        let entering = |children: &[&str]| decide_entering(&names(children), "b", 3);
        assert_eq!(entering(&["a", "c"]), Entering::Missing);
        assert_eq!(entering(&["b", "c"]), Entering::Waiting);
        assert_eq!(entering(&["b", "ready"]), Entering::Ready);
        assert_eq!(
            entering(&["d", "c", "b", "a"]),
            Entering::Complete(names(&["b", "a", "c"]))
        );
        assert_eq!(
            decide_entering(&names(&["b"]), "b", 1),
            Entering::Complete(names(&["b"]))
        );
    }

    #[test]
    fn a_ready_that_is_older_than_all_members_is_stale() {
        let others = |czxids: &[i64]| -> Vec<(String, Zxid)> {
            let named = |czxid: &i64| (format!("m{czxid}"), Zxid(*czxid));
            czxids.iter().map(named).collect()
        };
        let ready =
            |own, ready, czxids: &[i64]| decide_ready(Zxid(own), Zxid(ready), &others(czxids));
        assert_eq!(ready(3, 5, &[]), Ready::Open);
        // One that comes late.
        assert_eq!(ready(7, 5, &[4]), Ready::Open);
        assert_eq!(ready(7, 5, &[]), Ready::StaleAndMine);
        assert_eq!(ready(7, 5, &[8, 9]), Ready::StaleAndMine);
        assert_eq!(ready(7, 5, &[8, 6]), Ready::Stale("m6".into()));
    }

    #[test]
    fn the_lowest_waits_for_the_highest_and_all_others_for_the_lowest() {
        let leaving = |children: &[&str], own| decide_leaving(&names(children), own, true);
        assert_eq!(
            leaving(&["ready", "c", "a", "b"], Some("a")),
            Leaving::Behind("c".into())
        );
        assert_eq!(leaving(&["c", "a", "b"], Some("c")), Leaving::StepAside);
        assert_eq!(leaving(&["a", "b"], None), Leaving::Behind("a".into()));
        assert_eq!(leaving(&["ready", "a"], Some("a")), Leaving::Last);
        assert_eq!(leaving(&["ready"], None), Leaving::Leftover);
        // Somebody deleted it: it has left.
        assert_eq!(leaving(&["b"], Some("a")), Leaving::Behind("b".into()));
    }

    #[test]
    fn a_party_that_is_over_is_not_waited_for() {
        let over = |own| decide_leaving(&names(&["b", "c"]), own, false);
        assert_eq!(over(None), Leaving::Done);
        assert_eq!(over(Some("b")), Leaving::StepAside);
    }

    proptest! {
        /// In whatever order they get to act, all leave, and none before all are out.
        #[test]
        fn all_leave_together(size in 1_usize..8, turns in proptest::collection::vec(any::<u8>(), 0..200)) {
            let name = |it: usize| format!("m{it}");
            let mut children: Vec<_> = (0..size).map(name).chain([READY.to_owned()]).collect();
            let mut is_done = vec![false; size];
            let rounds = (0..size).cycle().take(4 * size);
            for who in turns.iter().map(|turn| usize::from(*turn) % size).chain(rounds) {
                let own = name(who);
                let is_in = children.contains(&own).then_some(own.as_str());
                let is_open = children.iter().any(|child| child == READY);
                match decide_leaving(&children, is_in, is_open) {
                    Leaving::Done => is_done[who] = true,
                    Leaving::StepAside => children.retain(|child| *child != own),
                    Leaving::Last => {
                        children.clear();
                        is_done[who] = true;
                    }
                    Leaving::Leftover => children.clear(),
                    Leaving::Behind(other) => prop_assert!(children.contains(&other)),
                }
                if is_done[who] {
                    prop_assert!(children.is_empty());
                }
            }
            prop_assert!(is_done.iter().all(|done| *done));
        }
    }
}
