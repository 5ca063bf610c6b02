//! Histories for the eye.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use super::operations::{End, Operations};
use super::verdict::Violation;

/// How many placed operations before the offender an explanation shows.
const PLACED_SHOWN: usize = 12;

/// The named operations as bars, one a line, in the order of their calls:
///
/// ```text
/// process 0  #0  [==]...   0.001s 0.002s  Add(1) -> 1
/// process 1  #1  .[====>   0.001s         Add(1) -> ?
/// ```
///
/// A column is an event of those shown, so that bars which overlap are operations that
/// did. `>` is the end of one without an answer, `x` that of one without effect.
pub fn timeline<Op: Debug, Ret: Debug>(
    history: &Operations<Op, Ret>,
    operations: &[usize],
) -> String {
    let marked: Vec<_> = operations.iter().map(|&index| (index, "")).collect();
    render(history, marked)
}

/// A violation as a reader wants to see it: the answer that cannot be, the states that
/// do not allow it, and the bars of what was placed last, with its place, and of what
/// was under way.
pub fn explanation<Op: Debug, Ret: Debug, State: Debug>(
    history: &Operations<Op, Ret>,
    violation: &Violation<State>,
) -> String {
    let mut text = format!(
        "#{}, {}, cannot be explained{}\n",
        violation.offender,
        call(history, violation.offender),
        if violation.certain {
            ""
        } else {
            ", or one near it"
        },
    );
    for state in &violation.states {
        line(&mut text, format_args!("not possible in {state:?}"));
    }
    let placed = &violation.placed;
    let hidden = placed.len().saturating_sub(PLACED_SHOWN);
    if hidden > 0 {
        line(
            &mut text,
            format_args!("after {hidden} operations that can be explained:"),
        );
    }
    let places: Vec<_> = (hidden + 1..=placed.len())
        .map(|place| format!("{place}."))
        .collect();
    let mut marked: BTreeMap<usize, &str> = BTreeMap::new();
    marked.extend(
        violation
            .under_way
            .iter()
            .map(|&index| (index, "under way")),
    );
    marked.extend(
        placed[hidden..]
            .iter()
            .copied()
            .zip(places.iter().map(String::as_str)),
    );
    marked.insert(violation.offender, "cannot be");
    text + &render(history, marked.into_iter().collect())
}

fn render<Op: Debug, Ret: Debug>(
    history: &Operations<Op, Ret>,
    mut marked: Vec<(usize, &str)>,
) -> String {
    marked.sort_by_key(|&(index, _)| history.span(index).invoked);
    let columns = columns(history, &marked);
    let mut text = String::new();
    for (index, mark) in marked {
        let item = &history[index];
        let returned = match &item.returned {
            Some((at, _)) => format!("{:.6}s", at.as_secs_f64()),
            None => String::new(),
        };
        line(
            &mut text,
            format_args!(
                "process {:<3} #{index:<5} {}  {:.6}s {returned:>10}  {}{}{mark}",
                item.process,
                bar(history, index, &columns),
                item.invoked.as_secs_f64(),
                call(history, index),
                if mark.is_empty() { "" } else { "  <- " },
            ),
        );
    }
    text
}

/// Each event of those shown, and its column.
fn columns<Op, Ret>(
    history: &Operations<Op, Ret>,
    marked: &[(usize, &str)],
) -> BTreeMap<u64, usize> {
    let mut events = Vec::new();
    for &(index, _) in marked {
        let span = history.span(index);
        events.push(span.invoked);
        if let End::Returned(returned) = span.end {
            events.push(returned);
        }
    }
    events.sort_unstable();
    events.into_iter().zip(0..).collect()
}

fn bar<Op, Ret>(
    history: &Operations<Op, Ret>,
    index: usize,
    columns: &BTreeMap<u64, usize>,
) -> String {
    let span = history.span(index);
    let first = columns[&span.invoked];
    let (last, end) = match span.end {
        End::Returned(returned) => (columns[&returned], ']'),
        End::Open => (columns.len(), '>'),
        End::NotApplied => (first + 1, 'x'),
    };
    let mut bar = ".".repeat(first);
    bar.push('[');
    bar.extend((first + 1..last).map(|_| '='));
    bar.push(end);
    let rest = (columns.len() + 1).saturating_sub(bar.len());
    bar.extend((0..rest).map(|_| '.'));
    bar
}

fn call<Op: Debug, Ret: Debug>(history: &Operations<Op, Ret>, index: usize) -> String {
    let item = &history[index];
    match &item.returned {
        Some((_, ret)) => format!("{:?} -> {ret:?}", item.op),
        None => format!("{:?} -> ?", item.op),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
