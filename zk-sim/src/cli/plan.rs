//! From the command line to runs, and back to the line that repeats one.

use std::fmt::Write as _;
use std::time::Duration;

use crate::faults::mix::Mix;
use crate::runner::Run;

use super::args::{OneArgs, PlanArgs};
use super::suite::Suite;

/// What the runs are made of, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    suite: &'static Suite,
    /// By name; drawn from the seed if empty.
    workloads: Vec<String>,
    /// Drawn from the seed unless given.
    mix: Option<&'static Mix>,
    chaos: Option<Duration>,
    planted: Option<&'static str>,
    is_replayed: bool,
}

/// What is left of one run after shrinking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// The only faults that strike.
    pub(crate) only: Option<Vec<usize>>,
    /// When the chaos ends.
    pub(crate) until: Option<Duration>,
}

impl From<&OneArgs> for Rest {
    fn from(args: &OneArgs) -> Self {
        Self {
            only: args.only.clone().map(|only| only.0),
            until: args.until,
        }
    }
}

impl Plan {
    pub(crate) fn new(suite: &'static Suite, args: &PlanArgs) -> Result<Self, String> {
        let names = args.workload.as_deref().unwrap_or_default().split(',');
        let names = names.filter(|name| !name.is_empty());
        Ok(Self {
            suite,
            workloads: names
                .map(|name| known_workload(suite, name))
                .collect::<Result<_, _>>()?,
            mix: args
                .mix
                .as_deref()
                .map(|name| known_mix(suite, name))
                .transpose()?,
            chaos: args.chaos,
            planted: args
                .plant
                .as_deref()
                .map(|bug| known_bug(suite, bug))
                .transpose()?,
            is_replayed: !args.no_replay,
        })
    }

    /// The run of `seed`.
    pub(crate) fn run(&self, seed: u64) -> Run {
        let (suite, workloads) = (self.suite, self.workloads.clone());
        let make = move || suite.made(&workloads, seed);
        let mix = self.mix.unwrap_or_else(|| (suite.mix)(seed));
        let mut run = Run::new(seed).workloads(make).mix(mix);
        if let Some(chaos) = self.chaos {
            run = run.chaos(chaos);
        }
        if let Some(bug) = self.planted {
            run = run.plant(bug);
        }
        if !self.is_replayed {
            run = run.without_replay();
        }
        (suite.finish)(run.catalogue(suite.catalogue))
    }

    /// What is left of the run of `seed`.
    pub(crate) fn rest(&self, seed: u64, rest: &Rest) -> Run {
        let mut run = self.run(seed);
        if let Some(only) = &rest.only {
            run = run.only(only.iter().copied());
        }
        if let Some(until) = rest.until {
            run = run.until(until);
        }
        run
    }

    /// The same without the bug.
    pub(crate) fn sound(&self) -> Self {
        Self {
            planted: None,
            ..self.clone()
        }
    }

    /// Whether a bug is planted.
    pub(crate) fn has_planted(&self) -> bool {
        self.planted.is_some()
    }

    /// The line that repeats the run.
    pub(crate) fn line(&self, command: &str, seed: u64, rest: &Rest) -> String {
        let mut line = format!("cargo run {}", self.suite.target);
        if !cfg!(debug_assertions) {
            line.push_str(" --release");
        }
        if self.planted.is_some() {
            line.push_str(" --features planted-bugs");
        }
        line.push_str(&format!(" -- {command} {seed}{self}"));
        if let Some(only) = &rest.only {
            let numbers: Vec<_> = only.iter().map(usize::to_string).collect();
            line.push_str(" --only=");
            line.push_str(&numbers.join(","));
        }
        if let Some(until) = rest.until {
            line.push_str(&format!(" --until {}", until.as_secs_f64()));
        }
        line
    }

    /// The arguments that make this plan.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if !self.workloads.is_empty() {
            add("--workload", dashed(&self.workloads.join(",")));
        }
        if let Some(mix) = self.mix {
            add("--mix", mix.name.to_owned());
        }
        if let Some(chaos) = self.chaos {
            add("--chaos", chaos.as_secs_f64().to_string());
        }
        if let Some(bug) = self.planted {
            add("--plant", bug.to_owned());
        }
        if !self.is_replayed {
            arguments.push("--no-replay".to_owned());
        }
        arguments
    }
}

/// As it stands in a line.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for argument in self.arguments() {
            f.write_char(' ')?;
            if argument.contains(' ') {
                write!(f, "'{argument}'")?;
            } else {
                f.write_str(&argument)?;
            }
        }
        Ok(())
    }
}

/// Names with dashes need no quotes.
fn dashed(name: &str) -> String {
    name.replace(' ', "-")
}

fn known_workload(suite: &Suite, name: &str) -> Result<String, String> {
    let entries = suite.workloads.iter();
    let names: Vec<_> = entries.map(|entry| entry.name).collect();
    known("workload", name, &names).map(str::to_owned)
}

fn known_mix(suite: &Suite, name: &str) -> Result<&'static Mix, String> {
    let names: Vec<_> = suite.mixes.iter().map(|mix| mix.name).collect();
    let name = known("mix", name, &names)?;
    let mut mixes = suite.mixes.iter();
    Ok(mixes
        .find(|mix| mix.name == name)
        .expect("the name is one of theirs"))
}

fn known_bug(suite: &Suite, name: &str) -> Result<&'static str, String> {
    if !cfg!(feature = "planted-bugs") {
        return Err("bugs can be planted with --features planted-bugs only".to_owned());
    }
    known("bug", name, suite.bugs)
}

fn known(kind: &str, name: &str, names: &[&'static str]) -> Result<&'static str, String> {
    let found = names.iter().find(|known| dashed(known) == dashed(name));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = names.iter().map(|name| dashed(name)).collect();
        format!(
            "no {kind} is called {name}; there are: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::super::suite::ZK_SIM;
    use super::*;

    fn plan(workload: &str, mix: &str) -> Result<Plan, String> {
        Plan::new(
            ZK_SIM,
            &PlanArgs {
                workload: Some(workload.to_owned()),
                mix: Some(mix.to_owned()),
                chaos: Some(Duration::from_secs(12)),
                plant: None,
                no_replay: false,
            },
        )
    }

    #[test]
    fn the_line_makes_the_same_run_again() {
        let plan = plan("mixed,server-list", "all").unwrap();
        let rest = Rest {
            only: Some(vec![0, 3]),
            until: Some(Duration::from_millis(2500)),
        };
        let line = plan.line("replay", 4711, &rest);
        let (_, arguments) = line.split_once(" -- ").unwrap();
        let words = std::iter::once("zk-sim").chain(arguments.split(' '));
        let Command::Replay(args) = Cli::parse_from(words).command else {
            unreachable!("it is a replay");
        };
        let again = Plan::new(ZK_SIM, &args.one.plan).unwrap();
        assert_eq!(
            again.line("replay", args.one.seed, &Rest::from(&args.one)),
            line
        );
        let (run, same) = (plan.rest(4711, &rest), again.rest(4711, &rest));
        assert_eq!((run.hosts(), run.drawn()), (same.hosts(), same.drawn()));
        assert!(
            run.drawn()
                .iter()
                .all(|(number, _)| [0, 3].contains(number))
        );
    }

    #[test]
    fn a_run_without_any_fault_has_a_line_too() {
        let plan = plan("mixed", "all").unwrap();
        let rest = Rest {
            only: Some(Vec::new()),
            until: None,
        };
        let line = plan.line("replay", 1, &rest);
        let (_, arguments) = line.split_once(" -- ").unwrap();
        let words = std::iter::once("zk-sim").chain(arguments.split(' '));
        let Command::Replay(args) = Cli::parse_from(words).command else {
            unreachable!("it is a replay");
        };
        assert_eq!(Rest::from(&args.one).only, Some(Vec::new()));
    }

    #[test]
    fn what_nobody_knows_is_refused_with_what_there_is() {
        let refused = plan("nonsense", "all").unwrap_err();
        assert!(
            refused.contains("nonsense") && refused.contains("mixed"),
            "{refused}"
        );
        assert!(plan("mixed", "nonsense").unwrap_err().contains("network"));
    }
}
