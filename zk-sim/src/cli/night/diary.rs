//! What nights have done so far, kept in a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::runner::{Totals, Verdict};
use serde::{Deserialize, Serialize};

/// Between two saves.
const PAUSE: Duration = Duration::from_secs(10);

/// A seed that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// How.
    pub(crate) what: String,
    /// The line that repeats it.
    pub(crate) line: String,
}

/// What is kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The arguments that its runs are made from.
    plan: String,
    /// The first seed that has not been run.
    next: u64,
    /// Seeds beyond that which have been.
    ahead: BTreeSet<u64>,
    /// How long it took.
    elapsed: Duration,
    totals: Totals,
    failing: BTreeMap<u64, Failing>,
}

/// An open diary.
#[derive(Debug)]
pub(crate) struct Diary {
    dir: PathBuf,
    state: State,
    /// What `elapsed` is counted from.
    opened: Instant,
    before: Duration,
    saved: Instant,
}

impl Diary {
    /// The diary in `dir`, or a new one.
    pub(crate) fn open(dir: &Path, plan: &str) -> Result<Self, String> {
        let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(|error| describe(&error))?;
        let state = match fs::read(dir.join("state.json")) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| describe(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State {
                plan: plan.to_owned(),
                ..State::default()
            },
            Err(error) => return Err(describe(&error)),
        };
        if state.plan != plan {
            let theirs = &state.plan;
            return Err(describe(&format!(
                "is of runs with '{theirs}', not '{plan}'"
            )));
        }
        let now = Instant::now();
        Ok(Self {
            dir: dir.to_owned(),
            before: state.elapsed,
            state,
            opened: now,
            saved: now,
        })
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.state.totals
    }

    pub(crate) fn failing(&self) -> &BTreeMap<u64, Failing> {
        &self.state.failing
    }

    /// The first seed that has not been run.
    pub(crate) fn next(&self) -> u64 {
        self.state.next
    }

    /// How long all nights took.
    pub(crate) fn elapsed(&self) -> Duration {
        self.before + self.opened.elapsed()
    }

    /// Seeds that have not been run.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = u64> + Send + use<> {
        let done = self.state.ahead.clone();
        (self.state.next..).filter(move |seed| !done.contains(seed))
    }

    /// A seed has been run for the first time.
    pub(crate) fn add(&mut self, verdict: &Verdict, line: String) {
        self.state.totals.add(verdict);
        self.judge(verdict, line);
        self.state.ahead.insert(verdict.seed);
        while self.state.ahead.remove(&self.state.next) {
            self.state.next += 1;
        }
    }

    /// Whether the seed is among the failing from now on.
    pub(crate) fn judge(&mut self, verdict: &Verdict, line: String) {
        let failing = &mut self.state.failing;
        match &verdict.violation {
            Some(violation) => {
                let what = violation.to_string();
                failing.insert(verdict.seed, Failing { what, line });
            }
            None => _ = failing.remove(&verdict.seed),
        }
    }

    /// Saves, unless that was done just now.
    pub(crate) fn save_now_and_then(&mut self) -> Result<(), String> {
        if self.saved.elapsed() < PAUSE {
            return Ok(());
        }
        self.save()
    }

    /// Saves; what was saved before is there until that is done.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        self.state.elapsed = self.elapsed();
        self.saved = Instant::now();
        let state = serde_json::to_vec_pretty(&self.state).map_err(|error| error.to_string())?;
        self.replace("state.json", &state)?;
        self.replace("failing.txt", self.failing_text().as_bytes())
    }

    fn failing_text(&self) -> String {
        let mut text = String::new();
        for (seed, failing) in &self.state.failing {
            let Failing { what, line } = failing;
            writeln!(text, "seed {seed}: {what}\n  {line}").expect("a string takes everything");
        }
        text
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let (fresh, path) = (self.dir.join(format!("{name}.new")), self.dir.join(name));
        fs::write(&fresh, content)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::Violation;

    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let name = format!("zk-sim-diary-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            // Nothing depends on it.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn verdict(seed: u64, fails: bool) -> Verdict {
        let violation = Violation {
            found_by: "liveness".to_owned(),
            at: Duration::from_secs(7),
            what: "nobody moves".to_owned(),
        };
        Verdict {
            seed,
            violation: fails.then_some(violation),
            simulated: Duration::from_secs(60),
            faults: [("cut", 3)].into(),
            ..Verdict::default()
        }
    }

    #[test]
    fn a_night_goes_on_where_the_last_one_stopped() {
        let dir = Dir::new("resume");
        let mut diary = Diary::open(&dir.0, "").unwrap();
        for seed in [0, 1, 3, 4] {
            diary.add(&verdict(seed, false), String::new());
        }
        diary.save().unwrap();
        let again = Diary::open(&dir.0, "").unwrap();
        assert_eq!(again.next(), 2);
        assert_eq!(again.fresh().take(3).collect::<Vec<_>>(), [2, 5, 6]);
        assert_eq!(
            (again.totals().seeds, again.totals().faults["cut"]),
            (4, 12)
        );
        assert_eq!(again.state, diary.state);
    }

    #[test]
    fn failing_seeds_are_kept_until_they_are_fine() {
        let dir = Dir::new("failing");
        let mut diary = Diary::open(&dir.0, "").unwrap();
        diary.add(&verdict(0, true), "the line".to_owned());
        diary.save().unwrap();
        let text = fs::read_to_string(dir.0.join("failing.txt")).unwrap();
        assert_eq!(
            text,
            "seed 0: liveness, 7.000 s: nobody moves\n  the line\n"
        );
        let mut again = Diary::open(&dir.0, "").unwrap();
        assert_eq!(again.failing().keys().collect::<Vec<_>>(), [&0]);
        again.judge(&verdict(0, false), String::new());
        assert!(again.failing().is_empty());
        assert_eq!(again.totals().seeds, 1);
    }

    #[test]
    fn a_diary_of_other_runs_is_left_alone() {
        let dir = Dir::new("other");
        Diary::open(&dir.0, " --mix dns").unwrap().save().unwrap();
        let refused = Diary::open(&dir.0, "").unwrap_err();
        assert!(refused.contains("--mix dns"), "{refused}");
    }
}
