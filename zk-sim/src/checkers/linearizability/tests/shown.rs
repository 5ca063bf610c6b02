//! What a reader gets to see.

use std::time::Duration;

use crate::checkers::linearizability::specs::counter::{Add, Counter};
use crate::checkers::linearizability::{
    Budget, Exhausted, Operation, Operations, Verdict, check, check_by_key, explanation, timeline,
};

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn lost_update() -> Operations<Add, i64> {
    let mut history = Operations::new();
    let first = history.invoke(0, at(1), Add(1));
    let open = history.invoke(2, at(2), Add(5));
    history.returned(first, at(3), 1);
    let nothing = history.invoke(3, at(4), Add(7));
    let second = history.invoke(1, at(5), Add(1));
    history.not_applied(nothing);
    history.returned(second, at(8), 1);
    let _ = open;
    history
}

#[test]
fn a_timeline_has_a_bar_for_each() {
    let history = lost_update();
    let shown = timeline(&history, &[0, 1, 2, 3]);
    let expected = "\
process 0   #0     [=]....  0.001000s  0.003000s  Add(1) -> 1
process 2   #1     .[====>  0.002000s             Add(5) -> ?
process 3   #2     ...[x..  0.004000s             Add(7) -> ?
process 1   #3     ....[].  0.005000s  0.008000s  Add(1) -> 1
";
    assert_eq!(shown, expected);
}

#[test]
fn an_explanation_names_the_answer_and_the_states_against_it() {
    let history = lost_update();
    let Verdict::Violation(violation) = check(&Counter, &history, &mut Budget::default()) else {
        panic!("an update was lost");
    };
    assert_eq!(violation.offender, 3);
    assert_eq!(violation.placed, [0]);
    assert_eq!(violation.under_way, [1]);
    let shown = explanation(&history, &violation);
    let expected = "\
#3, Add(1) -> 1, cannot be explained
not possible in 1
not possible in 6
process 0   #0     [=]...  0.001000s  0.003000s  Add(1) -> 1  <- 1.
process 2   #1     .[===>  0.002000s             Add(5) -> ?  <- under way
process 1   #3     ...[].  0.005000s  0.008000s  Add(1) -> 1  <- cannot be
";
    assert_eq!(shown, expected);
}

#[test]
fn keys_are_checked_by_themselves_and_named_as_in_the_whole() {
    let operation = |key, invoked, returned, ret| Operation {
        process: 0,
        op: (key, Add(1)),
        invoked: at(invoked),
        returned: Some((at(returned), ret)),
    };
    let history: Operations<(&str, Add), i64> = [
        operation("b", 1, 2, 1),
        operation("a", 1, 3, 1),
        operation("b", 3, 4, 1),
        operation("a", 4, 5, 2),
    ]
    .into_iter()
    .collect();
    let mut budget = Budget::default();
    let verdicts = check_by_key(&Counter, &history, &mut budget);
    let [
        ("a", Verdict::Linearizable(good)),
        ("b", Verdict::Violation(bad)),
    ] = &verdicts[..]
    else {
        panic!("{verdicts:?}");
    };
    assert_eq!(good.order, [1, 3]);
    assert_eq!((bad.offender, &bad.placed[..]), (2, &[0][..]));
    assert!(budget.remaining() < Budget::default().remaining());
}

#[test]
fn without_a_budget_there_is_no_verdict() {
    let history = lost_update();
    let undecided = |budget: &mut Budget<'_>| match check(&Counter, &history, budget) {
        Verdict::Undecided(undecided) => undecided,
        decided => panic!("{decided:?}"),
    };
    let out = undecided(&mut Budget::steps(1));
    assert_eq!(
        (out.why, out.answered, out.explained),
        (Exhausted::Steps, 2, 1)
    );
    let out = undecided(&mut Budget::steps(100).with_states(1));
    assert_eq!(out.why, Exhausted::States);
    let mut asked = 0;
    let mut stop = || {
        asked += 1;
        true
    };
    let out = undecided(&mut Budget::steps(1025).until(&mut stop));
    assert_eq!((out.why, asked), (Exhausted::Time, 1));
}

#[test]
fn times_that_are_the_same_count_as_concurrent() {
    let operation = |process, invoked, returned, ret| Operation {
        process,
        op: Add(1),
        invoked: at(invoked),
        returned: Some((at(returned), ret)),
    };
    let verdict = |gap: u64| {
        let history = [operation(0, 1, 2, 2), operation(1, 2 + gap, 3 + gap, 1)];
        check(
            &Counter,
            &history.into_iter().collect(),
            &mut Budget::default(),
        )
    };
    assert!(verdict(0).is_linearizable());
    assert!(verdict(1).is_violation());
}
