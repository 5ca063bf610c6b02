//! A failing seed made smaller.

use std::time::Duration;

use crate::runner;

use super::args::ShrinkArgs;
use super::plan::{Plan, Rest};
use super::{Ended, Suite};

pub(crate) fn shrink(suite: &'static Suite, args: &ShrinkArgs) -> Result<Ended, String> {
    let plan = Plan::new(suite, &args.one.plan)?;
    let (seed, rest) = (args.one.seed, Rest::from(&args.one));
    let run = plan.rest(seed, &rest);
    let before = run.drawn().len();
    let mut tries = 0;
    let shrunk = runner::shrink(&run, |verdict, faults| {
        tries += 1;
        let how = match &verdict.violation {
            Some(violation) => violation.found_by.as_str(),
            None => "fine",
        };
        eprintln!(
            "try {tries}: {faults} faults, {}: {how}",
            seconds(verdict.simulated)
        );
    });
    let Some(shrunk) = shrunk else {
        println!("seed {seed} does not fail");
        return Ok(Ended::Well);
    };
    if let Some(violation) = &shrunk.verdict.violation {
        println!("seed {seed} FAILED: {violation}");
    }
    for (number, fault) in shrunk.run.drawn() {
        println!("  fault {number}: {fault}");
    }
    let (after, until) = (shrunk.faults.len(), shrunk.until.or(rest.until));
    println!("{after} of {before} faults are left, after {tries} tries");
    let only = Some(shrunk.faults);
    println!("  {}", plan.line("replay", seed, &Rest { only, until }));
    Ok(Ended::Violated)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
