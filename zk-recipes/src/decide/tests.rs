use proptest::prelude::*;

use super::*;
use crate::dialect::Dialect;
use crate::layout::Role;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn decided(dialect: Dialect, role: Role, children: &[&str], own: &str) -> Turn {
    decide(&names(children), own, &Layout::new(dialect, role).unwrap())
}

fn behind(name: &str) -> Turn {
    Turn::Behind(name.to_owned())
}

const A: &str = "_c_a-lock-0000000003";
const B: &str = "_c_b-lock-0000000007";
const C: &str = "_c_c-lock-0000000011";

#[test]
fn the_lowest_has_its_turn_and_each_other_waits_for_the_one_ahead() {
    let lock = |own| decided(Dialect::Curator, Role::Lock, &[C, A, B], own);
    assert_eq!(lock(A), Turn::Mine);
    assert_eq!(lock(B), behind(A));
    assert_eq!(lock(C), behind(B));
    assert_eq!(lock("_c_d-lock-0000000001"), Turn::Missing);
}

#[test]
fn foreign_children_neither_own_nor_block() {
    let children = [B, "lock", "_c_x-latch-0000000001", "0000000000", "x-lock-1"];
    assert_eq!(
        decided(Dialect::Curator, Role::Lock, &children, B),
        Turn::Mine
    );
}

#[test]
fn any_waits_for_the_contenders_of_all_dialects() {
    let kazoo = "6f59__lock__0000000001";
    let java = "x-72057594037927936-0000000002";
    let children = [kazoo, java, A];
    assert_eq!(
        decided(Dialect::Any, Role::Lock, &children, A),
        behind(java)
    );
    assert_eq!(
        decided(Dialect::Curator, Role::Lock, &children, A),
        Turn::Mine
    );
    assert_eq!(
        decided(Dialect::GoZk, Role::Lock, &children, A),
        behind(kazoo)
    );
    assert_eq!(
        decided(Dialect::ZkJava, Role::Lock, &children, A),
        behind(java)
    );
}

#[test]
fn readers_pass_each_other_and_nobody_else() {
    let children = [
        "a__READ__0000000001",
        "b__WRIT__0000000002",
        "c__READ__0000000003",
        "d__READ__0000000004",
        "e__WRIT__0000000005",
    ];
    let read = |own| decided(Dialect::Curator, Role::Read, &children, own);
    let write = |own| decided(Dialect::Curator, Role::Write, &children, own);
    assert_eq!(read(children[0]), Turn::Mine);
    assert_eq!(write(children[1]), behind(children[0]));
    assert_eq!(read(children[2]), behind(children[1]));
    assert_eq!(read(children[3]), behind(children[1]));
    assert_eq!(write(children[4]), behind(children[3]));
}

#[test]
fn a_reader_with_its_writers_number_follows_it() {
    // Curator's downgrade (CURATOR-621).
    let children = [
        "a__WRIT__0000000005",
        "b__READ__0000000005",
        "c__WRIT__0000000006",
    ];
    let write = |own| decided(Dialect::Curator, Role::Write, &children, own);
    assert_eq!(write(children[0]), Turn::Mine);
    assert_eq!(write(children[2]), behind(children[1]));
}

#[test]
fn nobody_owns_near_the_end_of_the_numbers() {
    let lock = |children: &[&str], own| decided(Dialect::Curator, Role::Lock, children, own);
    let high = format!("lock-{SEQUENCE_LIMIT:010}");
    assert_eq!(lock(&[&high], &high), Turn::Exhausted);
    assert_eq!(
        lock(&["lock--2147483648"], "lock--2147483648"),
        Turn::Exhausted
    );
    // Those who came in time go on, until the first negative number appears.
    let last = format!("lock-{:010}", SEQUENCE_LIMIT - 1);
    assert_eq!(lock(&[&last, &high], &last), Turn::Mine);
    assert_eq!(lock(&[&last, "lock--2147483648"], &last), Turn::Exhausted);
}

/// The specification, as plainly as it can be said: sort, find oneself, look back.
fn specified(children: &[String], own: &str, layout: &Layout) -> Turn {
    let sorted = layout.contenders(children);
    let Some(at) = sorted.iter().position(|contender| contender.name == own) else {
        return Turn::Missing;
    };
    if sorted[at].sequence >= SEQUENCE_LIMIT || sorted[0].sequence < 0 {
        return Turn::Exhausted;
    }
    let am_reader = sorted[at].is_shared;
    for ahead in sorted[..at].iter().rev() {
        if !am_reader || !ahead.is_shared {
            return behind(ahead.name);
        }
    }
    Turn::Mine
}

fn child() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec![
        "lock-",
        "__lock__",
        "__rlock__",
        "__READ__",
        "__WRIT__",
        "latch-",
        "x-1-",
        "junk",
    ]);
    let number = prop_oneof![
        20 => 0..30_i32,
        1 => SEQUENCE_LIMIT - 2..SEQUENCE_LIMIT + 2,
        1 => i32::MIN..i32::MIN + 2,
    ];
    (mark, number).prop_map(|(mark, number)| match mark {
        "x-1-" => format!("{mark}{number:010}"),
        _ => format!("p{mark}{number:010}"),
    })
}

const KINDS: [(Dialect, Role); 7] = [
    (Dialect::Curator, Role::Lock),
    (Dialect::Kazoo, Role::Lock),
    (Dialect::GoZk, Role::Lock),
    (Dialect::ZkJava, Role::Lock),
    (Dialect::Any, Role::Lock),
    (Dialect::Curator, Role::Write),
    (Dialect::Any, Role::Read),
];

proptest! {
    #[test]
    fn every_decision_is_the_specified_one(children in prop::collection::btree_set(child(), 0..12), kind in 0..KINDS.len()) {
        let (dialect, role) = KINDS[kind];
        let layout = Layout::new(dialect, role).unwrap();
        let children: Vec<String> = children.into_iter().collect();
        for own in children.iter().filter(|own| layout.parse(own).is_some()) {
            prop_assert_eq!(decide(&children, own, &layout), specified(&children, own, &layout));
        }
    }

    /// Never two that exclude each other at a time, and always one.
    #[test]
    fn one_owns_alone_or_readers_together(children in prop::collection::btree_set(child(), 1..12), kind in 0..KINDS.len()) {
        let (dialect, role) = KINDS[kind];
        let layout = Layout::new(dialect, role).unwrap();
        let children: Vec<String> = children.into_iter().collect();
        let contenders = layout.contenders(&children);
        let turn = |contender: &&Place<'_>| decide(&children, contender.name, &layout) == Turn::Mine;
        let owners: Vec<_> = contenders.iter().filter(turn).collect();
        prop_assert!(owners.len() <= 1 || owners.iter().all(|owner| owner.is_shared));
        let is_usable = contenders.first().is_some_and(|first| (0..SEQUENCE_LIMIT).contains(&first.sequence));
        prop_assert_eq!(is_usable, !owners.is_empty());
    }

    /// When the one waited for goes, the one behind it is the only exclusive contender that wakes.
    #[test]
    fn one_contender_waits_for_each(numbers in prop::collection::btree_set(0..1000_i32, 1..20)) {
        let layout = Layout::new(Dialect::Curator, Role::Lock).unwrap();
        let children: Vec<String> = numbers.iter().map(|number| format!("lock-{number:010}")).collect();
        let mut waited_for: Vec<String> = children
            .iter()
            .filter_map(|own| match decide(&children, own, &layout) {
                Turn::Behind(name) => Some(name),
                _ => None,
            })
            .collect();
        waited_for.sort();
        prop_assert_eq!(&waited_for[..], &children[..children.len() - 1]);
    }
}
