//! Looking for the smallest run that still fails.

use std::time::Duration;

use super::{Run, Verdict};

/// No run is made shorter than this.
const SHORTEST: Duration = Duration::from_secs(1);

/// A smaller run that fails as the first did.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The run.
    pub run: Run,
    /// What it comes to.
    pub verdict: Verdict,
    /// The numbers of the faults that are left, of those drawn.
    pub faults: Vec<usize>,
    /// When the chaos ends, if it was shortened.
    pub until: Option<Duration>,
}

/// Drops faults from `run` while it still fails in the same way, that is, while the
/// violation is found by the same check; then shortens the chaos. `tried` hears of
/// every attempt: the verdict, and how many faults were left. `None` if the run does
/// not fail.
///
/// # Panics
///
/// As [`Run::start`].
pub fn shrink(run: &Run, mut tried: impl FnMut(&Verdict, usize)) -> Option<Shrunk> {
    let mut search = Search {
        best: run.start(),
        tried: &mut tried,
    };
    search.best.violation.as_ref()?;
    let all: Vec<usize> = run.drawn().iter().map(|(number, _)| *number).collect();
    let faults = minimize(all, |only| {
        search.still_fails(&run.clone().only(only.iter().copied()))
    });
    let run = run.clone().only(faults.iter().copied());
    let until = shorten(run.lengths.chaos_cut(), |until| {
        search.still_fails(&run.clone().until(until))
    });
    let run = match until {
        Some(until) => run.until(until),
        None => run,
    };
    Some(Shrunk {
        faults: run.drawn().iter().map(|(number, _)| *number).collect(),
        run,
        verdict: search.best,
        until,
    })
}

struct Search<'s> {
    /// The verdict on the smallest run that failed.
    best: Verdict,
    tried: &'s mut dyn FnMut(&Verdict, usize),
}

impl Search<'_> {
    fn still_fails(&mut self, run: &Run) -> bool {
        let verdict = run.start();
        (self.tried)(&verdict, run.drawn().len());
        let found_by = |verdict: &Verdict| verdict.violation.as_ref().map(|v| v.found_by.clone());
        let fails = found_by(&verdict) == found_by(&self.best);
        if fails {
            self.best = verdict;
        }
        fails
    }
}

/// Zeller's ddmin: drops parts of `items`, ever smaller ones, while what is left
/// still fails. No single item can be dropped from the result.
fn minimize<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    if items.is_empty() || fails(&[]) {
        return Vec::new();
    }
    let mut parts = 2;
    while items.len() >= 2 {
        let size = items.len().div_ceil(parts);
        let smaller = (0..items.len())
            .step_by(size)
            .map(|start| without(&items, start, size))
            .find(|rest| fails(rest));
        if let Some(rest) = smaller {
            items = rest;
            parts = (parts - 1).max(2);
        } else if size == 1 {
            break;
        } else {
            parts = (parts * 2).min(items.len());
        }
    }
    items
}

fn without<T: Clone>(items: &[T], start: usize, size: usize) -> Vec<T> {
    let end = (start + size).min(items.len());
    [&items[..start], &items[end..]].concat()
}

/// The shortest length found at which it still fails, if any is shorter than `length`:
/// eighths, quarters and halves are tried until nothing shorter fails.
fn shorten(length: Duration, mut fails: impl FnMut(Duration) -> bool) -> Option<Duration> {
    let mut shortest = length;
    loop {
        let shorter = [1, 2, 4, 6, 7]
            .map(|eighths| (shortest * eighths / 8).max(SHORTEST))
            .into_iter()
            .filter(|candidate| *candidate < shortest)
            .find(|candidate| fails(*candidate));
        match shorter {
            Some(shorter) => shortest = shorter,
            None => return (shortest < length).then_some(shortest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_left() {
        let mut tries = 0;
        let left = minimize((0..40).collect(), |items| {
            tries += 1;
            [3, 17, 39].iter().all(|needed| items.contains(needed))
        });
        assert_eq!(left, [3, 17, 39]);
        assert!(tries < 150, "{tries}");
    }

    #[test]
    fn nothing_is_left_of_what_does_not_matter() {
        assert_eq!(minimize(vec![1, 2, 3], |_| true), Vec::<i32>::new());
        assert_eq!(minimize(Vec::<i32>::new(), |_| unreachable!()), [0; 0]);
        assert_eq!(minimize(vec![5], |items| !items.is_empty()), [5]);
    }

    /// Whatever fails in ways that depend on each other, no single item of the result
    /// can be dropped.
    #[test]
    fn the_result_is_minimal_where_failing_is_not_monotonic() {
        let fails = |items: &[u32]| items.iter().sum::<u32>() % 7 == 3;
        let left = minimize((1..=23).filter(|n| n % 5 != 0).collect(), fails);
        for index in 0..left.len() {
            assert!(!fails(&without(&left, index, 1)), "{left:?}");
        }
    }

    #[test]
    fn a_run_becomes_as_short_as_it_fails() {
        let seconds = Duration::from_secs;
        let found = shorten(seconds(40), |length| length >= seconds(9));
        let found = found.expect("shorter ones fail");
        assert!((seconds(9)..seconds(11)).contains(&found), "{found:?}");
        assert_eq!(shorten(seconds(40), |_| false), None);
        assert_eq!(shorten(seconds(40), |_| true), Some(SHORTEST));
    }
}
