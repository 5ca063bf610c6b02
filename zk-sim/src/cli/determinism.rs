//! Whether the same seed gives the same run: again in this process, and in another.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;

use crate::runner::run_all;

use super::args::HashArgs;
use super::plan::Plan;
use super::{Ended, Suite};

/// Trace hashes by seed.
pub(crate) type Traces = BTreeMap<u64, u64>;

/// Runs the seeds of `first` again, here and in another process, and says whether all
/// hashes are equal.
pub(crate) fn check(plan: &Plan, first: &Traces, jobs: usize) -> Result<bool, String> {
    if first.is_empty() {
        return Ok(true);
    }
    let here = hashes(plan, first.keys().copied(), jobs);
    let there = elsewhere(plan, first)?;
    let mut differ = 0;
    for (seed, hash) in first {
        let (again, other) = (here.get(seed), there.get(seed));
        if again != Some(hash) || other != Some(hash) {
            differ += 1;
            println!(
                "seed {seed} DIFFERS: {hash:016x}, again {again:016x?}, in another process {other:016x?}"
            );
        }
    }
    let seeds = first.len();
    println!(
        "determinism   {} of {seeds} seeds the same three times, once in another process",
        seeds - differ
    );
    Ok(differ == 0)
}

fn hashes(plan: &Plan, seeds: impl Iterator<Item = u64> + Send, jobs: usize) -> Traces {
    let mut traces = Traces::new();
    run_all(seeds.map(|seed| plan.run(seed)), jobs, |verdict| {
        traces.insert(verdict.seed, verdict.trace);
        ControlFlow::Continue(())
    });
    traces
}

fn elsewhere(plan: &Plan, seeds: &Traces) -> Result<Traces, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let output = Command::new(program)
        .arg("hash")
        .args(plan.arguments())
        .args(seeds.keys().map(u64::to_string))
        .output()
        .map_err(|error| format!("another process: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(printed.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<(u64, u64)> {
    let (seed, hash) = line.split_once(' ')?;
    Some((seed.parse().ok()?, u64::from_str_radix(hash, 16).ok()?))
}

/// What the other process does.
pub(crate) fn print_hashes(suite: &'static Suite, args: &HashArgs) -> Result<Ended, String> {
    let plan = Plan::new(suite, &args.plan)?;
    for (seed, hash) in hashes(&plan, args.seeds.iter().copied(), 1) {
        println!("{seed} {hash:016x}");
    }
    Ok(Ended::Well)
}
