//! A run on a thread of its own, and somebody who sees that it goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::history::{At, History};
use crate::sim::runtime;

use super::panics::Panics;
use super::play::play;
use super::{Run, Verdict, Violation};

/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(500);

/// Shows from outside that a run goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Beat(Arc<(AtomicU64, Mutex<&'static str>)>);

impl Beat {
    /// It is this late in the run, and this is what it does.
    pub(super) fn strike(&self, at: At, doing: &'static str) {
        let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.0.0.store(ms, Ordering::Relaxed);
        *self.0.1.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    fn last(&self) -> (At, &'static str) {
        let at = Duration::from_millis(self.0.0.load(Ordering::Relaxed));
        let doing = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
        (at, *doing)
    }
}

/// Runs `run` to its end, or until it hangs.
pub(super) fn start(run: &Run) -> (Verdict, Option<History>) {
    let (beat, panics) = (Beat::default(), Panics::default());
    let (done, ended) = mpsc::channel();
    let on_thread = (run.clone(), beat.clone(), panics.clone());
    let started = thread::Builder::new()
        .name(format!("seed {}", run.seed))
        .spawn(move || {
            let (run, beat, panics) = on_thread;
            panics.collect();
            // Nobody listens to a run that was given up as hung.
            let _ = done.send(on_this_thread(&run, &beat, &panics));
        });
    let thread = started.expect("a run needs a thread");
    match wait(&ended, &beat, run.patience) {
        Ok(ended) => ended,
        Err(RecvTimeoutError::Timeout) => (broken(run, "watchdog", &hung(run, &beat), &beat), None),
        Err(RecvTimeoutError::Disconnected) => {
            // What it panicked with has been collected.
            let _ = thread.join();
            let what = panics.first().unwrap_or_default();
            (broken(run, "panic", &what, &beat), None)
        }
    }
}

fn on_this_thread(run: &Run, beat: &Beat, panics: &Panics) -> (Verdict, Option<History>) {
    let runtime = match runtime(run.seed) {
        Ok(runtime) => runtime,
        Err(error) => panic!("no deterministic runtime: {error}"),
    };
    let (verdict, history) = runtime.block_on(play(run, beat, panics));
    (verdict, Some(history))
}

/// Waits as long as the run goes on.
fn wait<T>(
    ended: &mpsc::Receiver<T>,
    beat: &Beat,
    patience: Duration,
) -> Result<T, RecvTimeoutError> {
    let (mut last, mut since) = (beat.last(), Instant::now());
    loop {
        match ended.recv_timeout(LOOK.min(patience)) {
            Err(RecvTimeoutError::Timeout) => {}
            result => return result,
        }
        let now = beat.last();
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() >= patience {
            return Err(RecvTimeoutError::Timeout);
        }
    }
}

fn hung(run: &Run, beat: &Beat) -> String {
    let (at, doing) = beat.last();
    let patience = run.patience;
    format!("no progress in {patience:?} of real time: stuck about {at:?} into the run, {doing}")
}

/// The verdict on a run that did not come to its end.
fn broken(run: &Run, found_by: &str, what: &str, beat: &Beat) -> Verdict {
    let (at, _) = beat.last();
    let violation = Violation {
        found_by: found_by.to_owned(),
        at,
        what: what.to_owned(),
    };
    Verdict {
        simulated: at,
        violation: Some(violation),
        ..Verdict::new(run)
    }
}
