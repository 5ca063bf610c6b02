//! How far a long command is.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use crate::runner::Totals;
use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(15);

/// A bar on a terminal, elsewhere a line now and then.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Towards so many seeds, if there is an end.
    pub(crate) fn new(goal: Option<u64>) -> Self {
        let style = match goal {
            Some(_) => "{bar:40} {pos}/{len} seeds, {elapsed} (eta {eta}), {msg}",
            None => "{spinner} {pos} seeds, {elapsed}, {msg}",
        };
        let style = ProgressStyle::with_template(style).expect("the template is well-formed");
        let bar = || match goal {
            Some(goal) => ProgressBar::new(goal).with_style(style),
            None => ProgressBar::new_spinner().with_style(style),
        };
        Self {
            bar: io::stderr().is_terminal().then(bar),
            last_line: Instant::now(),
        }
    }

    /// So much is done.
    pub(crate) fn show(&mut self, totals: &Totals) {
        let simulated = totals.simulated.as_secs_f64() / 3600.0;
        let failed = totals.failed;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{simulated:.1} h simulated, {failed} failed"));
            bar.set_position(totals.seeds);
        } else if self.last_line.elapsed() >= LINES {
            self.last_line = Instant::now();
            let seeds = totals.seeds;
            eprintln!("{seeds} seeds, {simulated:.1} h simulated, {failed} failed");
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
