//! One seed, as it happened.

use std::io::{self, Write as _};

use crate::runner::{Filter, Kind, Timeline, Verdict};

use super::args::ReplayArgs;
use super::plan::{Plan, Rest};
use super::{Ended, Suite};

pub(crate) fn replay(suite: &'static Suite, args: &ReplayArgs) -> Result<Ended, String> {
    let plan = Plan::new(suite, &args.one.plan)?;
    let run = plan.rest(args.one.seed, &Rest::from(&args.one));
    let faults = run.drawn();
    let (verdict, history) = run.replay();
    let timeline = history.as_ref().map(Timeline::new).unwrap_or_default();
    let mut out = io::stdout().lock();
    let shown = timeline
        .show(&filter(args))
        .try_for_each(|line| writeln!(out, "{line}"));
    // Somebody who has seen enough, such as `head`, has closed the pipe.
    if shown.is_ok() {
        for (number, fault) in faults {
            // As above.
            let _ = writeln!(out, "fault {number}: {fault}");
        }
    }
    drop(out);
    Ok(conclude(&verdict))
}

fn filter(args: &ReplayArgs) -> Filter {
    let kinds: &[Kind] = if args.calls_only {
        &[Kind::Fault, Kind::Peer, Kind::State, Kind::Call]
    } else {
        &[]
    };
    Filter {
        hosts: args.host.iter().cloned().collect(),
        from: args.from,
        to: args.to,
        kinds: kinds.iter().copied().collect(),
    }
}

fn conclude(verdict: &Verdict) -> Ended {
    let Verdict {
        seed,
        workloads,
        trace,
        simulated,
        operations,
        violation,
        ..
    } = verdict;
    eprintln!(
        "seed {seed}, {}: {:.1} s simulated, {operations} operations, {} faults, trace {trace:016x}",
        workloads.join(" + "),
        simulated.as_secs_f64(),
        verdict.fault_count(),
    );
    match violation {
        Some(violation) => {
            eprintln!("FAILED: {violation}");
            Ended::Violated
        }
        None => {
            eprintln!("fine");
            Ended::Well
        }
    }
}
