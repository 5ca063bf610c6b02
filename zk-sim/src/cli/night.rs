//! Runs for hours, on from where the last night stopped.

mod diary;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::runner::{Report, run_all};

use super::args::{NightArgs, jobs};
use super::plan::{Plan, Rest};
use super::progress::Progress;
use super::run::failure;
use super::{Ended, Suite};
use diary::Diary;

/// What a process ends with that was interrupted, by the custom of shells.
const INTERRUPTED: i32 = 130;

pub(crate) fn night(suite: &'static Suite, args: &NightArgs) -> Result<Ended, String> {
    let plan = Plan::new(suite, &args.plan)?;
    let length = Duration::try_from_secs_f64(args.hours * 3600.0);
    let length = length.map_err(|error| format!("--hours: {error}"))?;
    let dir = args.dir.clone();
    let dir = dir.unwrap_or_else(|| format!("{}-night", suite.name).into());
    let mut diary = Diary::open(&dir, &plan.to_string())?;
    let night = Night {
        plan: &plan,
        jobs: jobs(args.jobs),
        ends: Instant::now()
            .checked_add(length)
            .ok_or("--hours: too many")?,
        stopped: stop_on_ctrl_c()?,
    };
    night.retry(&mut diary)?;
    night.go_on(&mut diary)?;
    diary.save()?;
    conclude(suite, &diary);
    let is_well = diary.failing().is_empty();
    Ok(if is_well {
        Ended::Well
    } else {
        Ended::Violated
    })
}

fn conclude(suite: &Suite, diary: &Diary) {
    let report = Report::new(diary.totals(), diary.elapsed());
    print!("{}", report.on(suite.catalogue));
    for (seed, failing) in diary.failing() {
        println!("seed {seed} FAILED: {}\n  {}", failing.what, failing.line);
    }
    println!("to go on from seed {}, run the same again", diary.next());
}

struct Night<'n> {
    plan: &'n Plan,
    jobs: usize,
    ends: Instant,
    stopped: Arc<AtomicBool>,
}

impl Night<'_> {
    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || Instant::now() >= self.ends
    }

    /// First what failed before: it may have been repaired.
    fn retry(&self, diary: &mut Diary) -> Result<(), String> {
        let seeds: Vec<u64> = diary.failing().keys().copied().collect();
        let seeds = seeds.into_iter().take_while(|_| !self.is_over());
        let runs = seeds.map(|seed| self.plan.run(seed));
        run_all(runs, self.jobs, |verdict| {
            let verb = if verdict.violation.is_some() {
                "still fails"
            } else {
                "is fine now"
            };
            println!("seed {} {verb}", verdict.seed);
            diary.judge(&verdict, self.line(verdict.seed));
            ControlFlow::Continue(())
        });
        diary.save()
    }

    /// Then seeds that nobody has run.
    fn go_on(&self, diary: &mut Diary) -> Result<(), String> {
        let fresh = diary.fresh().take_while(|_| !self.is_over());
        let runs = fresh.map(|seed| self.plan.run(seed));
        let mut progress = Progress::new(None);
        let mut saved = Ok(());
        run_all(runs, self.jobs, |verdict| {
            if verdict.violation.is_some() {
                progress.say(&failure(self.plan, &verdict));
            }
            diary.add(&verdict, self.line(verdict.seed));
            progress.show(diary.totals());
            saved = diary.save_now_and_then();
            match saved {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        saved
    }

    fn line(&self, seed: u64) -> String {
        self.plan.line("replay", seed, &Rest::default())
    }
}

/// Set by the first ctrl-c, which lets the runs under way end; the second ends all.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, String> {
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("ctrl-c: {error}"))?;
    let wait = move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if seen.swap(true, Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
                eprintln!("stopping when the runs under way have ended");
            }
        });
    };
    let thread = thread::Builder::new().name("ctrl-c".to_owned()).spawn(wait);
    thread.map_err(|error| format!("ctrl-c: {error}"))?;
    Ok(stopped)
}
