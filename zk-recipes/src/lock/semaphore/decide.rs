//! Whether a lease counts: a pure function of the leases' names and the size.

use crate::layout::{Layout, SEQUENCE_LIMIT};

/// What the owner of a lease's znode is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one of the first `size`.
    Mine,
    /// As many are ahead of it as there are leases.
    Full,
    /// Its znode is not among the children.
    Missing,
    /// As [`Turn::Exhausted`](crate::Turn::Exhausted).
    Exhausted,
}

/// A lease counts if fewer than `size` were created before it.
///
/// Curator's rule, that there are `size` at most in all, implies this one; and this one is as safe:
/// of those who hold, the one that came last saw fewer than `size` before it, and none has
/// come before it since. Unlike Curator's it does not depend on the inner lock, whose znode
/// somebody may delete.
pub(super) fn decide(children: &[String], own: &str, layout: &Layout, size: u32) -> Verdict {
    if !children.iter().any(|name| name == own) {
        return Verdict::Missing;
    }
    let Some(me) = layout.parse(own) else {
        return Verdict::Exhausted;
    };
    let leases = layout.contenders(children);
    if me.sequence >= SEQUENCE_LIMIT || leases.iter().any(|lease| lease.sequence < 0) {
        return Verdict::Exhausted;
    }
    let ahead = leases.iter().filter(|lease| **lease < me).count();
    if u32::try_from(ahead).is_ok_and(|ahead| ahead < size) {
        Verdict::Mine
    } else {
        Verdict::Full
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Dialect;
    use crate::layout::Role;

    fn layout() -> Layout {
        Layout::new(Dialect::Curator, Role::Lease).unwrap()
    }

    fn name(sequence: i32) -> String {
        format!("_c_x-lease-{sequence:010}")
    }

    #[test]
    fn the_first_come_count_and_foreign_children_do_not() {
        let children = [name(9), name(3), "_c_x-lock-0000000001".into(), name(5)];
        let verdict = |own, size| decide(&children, &name(own), &layout(), size);
        assert_eq!(
            [3, 5, 9].map(|own| verdict(own, 2) == Verdict::Mine),
            [true, true, false]
        );
        assert_eq!(verdict(9, 3), Verdict::Mine);
        assert_eq!(verdict(3, 0), Verdict::Full);
        assert_eq!(verdict(4, 3), Verdict::Missing);
    }

    #[test]
    fn worn_out_numbers_are_seen() {
        let verdict = |own: i32, other: i32| {
            let children = [name(own), name(other)];
            decide(&children, &name(own), &layout(), 5)
        };
        assert_eq!(verdict(SEQUENCE_LIMIT, 1), Verdict::Exhausted);
        assert_eq!(verdict(1, i32::MIN), Verdict::Exhausted);
        assert_eq!(verdict(1, 2), Verdict::Mine);
    }

    /// What can happen to the leases.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Create,
        /// The n-th that is there goes, whether it holds or waits.
        Delete(usize),
        /// The n-th that is there looks.
        Look(usize),
        /// The n-th looks by Curator's rule.
        LookAsCurator(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Create),
            (0..8_usize).prop_map(Step::Delete),
            (0..8_usize).prop_map(Step::Look),
            (0..8_usize).prop_map(Step::LookAsCurator),
        ]
    }

    proptest! {
        #[test]
        fn however_they_come_and_go_no_more_than_the_size_hold(
            steps in prop::collection::vec(step(), 1..200),
            size in 1_u32..4,
        ) {
            let (mut there, mut holders, mut sequence) = (Vec::new(), Vec::new(), 0);
            for step in steps {
                match step {
                    Step::Create => {
                        there.push(name(sequence));
                        sequence += 1;
                    }
                    Step::Delete(n) if n < there.len() => {
                        let gone = there.remove(n);
                        holders.retain(|holder| *holder != gone);
                    }
                    Step::Look(n) if n < there.len() => {
                        if decide(&there, &there[n], &layout(), size) == Verdict::Mine
                            && !holders.contains(&there[n])
                        {
                            holders.push(there[n].clone());
                        }
                    }
                    Step::LookAsCurator(n) if n < there.len() => {
                        if there.len() <= size as usize && !holders.contains(&there[n]) {
                            holders.push(there[n].clone());
                        }
                    }
                    Step::Delete(_) | Step::Look(_) | Step::LookAsCurator(_) => {}
                }
                prop_assert!(holders.len() <= size as usize);
                // And who is first is never kept waiting.
                if let Some(first) = there.first() {
                    prop_assert_eq!(decide(&there, first, &layout(), size), Verdict::Mine);
                }
            }
        }
    }
}
