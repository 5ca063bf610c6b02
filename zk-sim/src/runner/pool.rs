//! Many runs on several cores.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Run, Verdict};

/// Runs `runs` on `jobs` threads and hands each verdict over as it comes, in no
/// particular order. After a `Break` no further run is started and those that are
/// under way are left out.
///
/// # Panics
///
/// As [`Run::start`].
pub fn run_all(
    runs: impl Iterator<Item = Run> + Send,
    jobs: usize,
    mut each: impl FnMut(Verdict) -> ControlFlow<()>,
) {
    let runs = Mutex::new(runs.fuse());
    let (verdicts, arriving) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (runs, verdicts) = (&runs, verdicts.clone());
            scope.spawn(move || work(runs, &verdicts));
        }
        drop(verdicts);
        for verdict in &arriving {
            if each(verdict).is_break() {
                break;
            }
        }
        drop(arriving);
    });
}

/// Runs one after the other until there are no more, or nobody wants them.
fn work(runs: &Mutex<impl Iterator<Item = Run>>, verdicts: &Sender<Verdict>) {
    loop {
        let next = runs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(run) = next else {
            return;
        };
        if verdicts.send(run.start()).is_err() {
            return;
        }
    }
}
