//! Many seeds and a report.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::runner::{Report, Totals, Verdict, run_all};

use super::args::{RunArgs, jobs};
use super::determinism;
use super::plan::{Plan, Rest};
use super::progress::Progress;
use super::{Ended, Suite};

pub(crate) fn run(suite: &'static Suite, args: &RunArgs) -> Result<Ended, String> {
    let plan = Plan::new(suite, &args.plan)?;
    let end = args
        .from
        .checked_add(args.seeds)
        .ok_or("there are no such seeds")?;
    let began = Instant::now();
    let mut tally = Tally::new(&plan, args.seeds);
    let runs = (args.from..end).map(|seed| plan.run(seed));
    run_all(runs, jobs(args.jobs), |verdict| tally.add(&verdict));
    let Tally {
        totals,
        traces,
        failed,
        ..
    } = tally;
    let report = Report::new(&totals, began.elapsed()).on(suite.catalogue);
    print!("{report}");
    if plan.has_planted() {
        return Ok(caught(&plan, failed, &totals));
    }
    let mut is_well = totals.failed == 0;
    is_well &= !args.require_faults || every_fault_struck(suite, &totals);
    is_well &= !args.require_catalogue || every_id_reached(&report);
    let sample = traces
        .into_iter()
        .take(usize::try_from(args.check_determinism).unwrap_or(usize::MAX));
    is_well &= determinism::check(&plan, &sample.collect(), jobs(args.jobs))?;
    Ok(if is_well {
        Ended::Well
    } else {
        Ended::Violated
    })
}

/// What has come of the runs so far.
struct Tally<'p> {
    plan: &'p Plan,
    progress: Progress,
    totals: Totals,
    /// The trace hash of each seed.
    traces: BTreeMap<u64, u64>,
    /// The first seed that failed.
    failed: Option<u64>,
}

impl<'p> Tally<'p> {
    fn new(plan: &'p Plan, seeds: u64) -> Self {
        Self {
            plan,
            progress: Progress::new(Some(seeds)),
            totals: Totals::default(),
            traces: BTreeMap::new(),
            failed: None,
        }
    }

    fn add(&mut self, verdict: &Verdict) -> ControlFlow<()> {
        self.totals.add(verdict);
        self.traces.insert(verdict.seed, verdict.trace);
        if verdict.violation.is_some() {
            self.progress.say(&failure(self.plan, verdict));
            self.failed.get_or_insert(verdict.seed);
            // One is enough to know that a bug is found.
            if self.plan.has_planted() {
                return ControlFlow::Break(());
            }
        }
        self.progress.show(&self.totals);
        ControlFlow::Continue(())
    }
}

/// What went wrong, and the line that repeats it.
pub(crate) fn failure(plan: &Plan, verdict: &Verdict) -> String {
    let seed = verdict.seed;
    let line = plan.line("replay", seed, &Rest::default());
    match &verdict.violation {
        Some(violation) => format!("seed {seed} FAILED: {violation}\n  {line}"),
        None => format!("seed {seed} is fine\n  {line}"),
    }
}

/// A seed that fails without the bug as well has found something else.
fn caught(plan: &Plan, failed: Option<u64>, totals: &Totals) -> Ended {
    let Some(seed) = failed else {
        println!("the planted bug was NOT found in {} seeds", totals.seeds);
        return Ended::Violated;
    };
    if let Some(violation) = plan.sound().run(seed).start().violation {
        println!("seed {seed} FAILED without the planted bug too: {violation}");
        return Ended::Violated;
    }
    println!(
        "the planted bug was found, after {} seeds; seed {seed} is fine without it",
        totals.seeds
    );
    Ended::Well
}

fn every_fault_struck(suite: &Suite, totals: &Totals) -> bool {
    let struck = |name: &&&str| totals.faults.contains_key(**name);
    let missing: Vec<_> = suite.faults.iter().filter(|name| !struck(name)).collect();
    if !missing.is_empty() {
        println!("FAILED: faults that never struck: {missing:?}");
    }
    missing.is_empty()
}

fn every_id_reached(report: &Report<'_>) -> bool {
    let missing = report.missing();
    if !missing.is_empty() {
        println!(
            "FAILED: ids of the catalogue never reached: {}",
            missing.join(" ")
        );
    }
    missing.is_empty()
}
