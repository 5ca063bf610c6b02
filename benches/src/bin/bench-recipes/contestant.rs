//! One who is measured, in a process of its own that lasts for the whole run: `PROGRAM [ARG...]
//! CONNECT ROOT`. It connects two sessions, says `ready`, and then takes orders, a line each:
//!
//! ```text
//! uncontended MILLISECONDS     for so long
//! handoff TIMES                so often
//! failover TIMES
//! ```
//!
//! and answers each with a line of nanoseconds, one number for each time it did it; with an
//! empty line what it does not do. It ends with its standard input.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Result;
use crate::workload::Workload;

#[derive(Debug)]
pub(crate) struct Contestant {
    name: String,
    child: Child,
    /// Taken when it is to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Contestant {
    pub(crate) fn start(
        name: &str,
        program: &Path,
        args: &[&str],
        connect: &str,
        root: &str,
    ) -> Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .args([connect, root])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, answers) = pipes.ok_or("no pipes to a contestant")?;
        let mut contestant = Self {
            name: name.to_owned(),
            child,
            orders: Some(orders),
            answers: BufReader::new(answers),
        };
        match contestant.answer()?.as_str() {
            "ready" => Ok(contestant),
            other => Err(format!("{name}: not ready but {other:?}").into()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The nanoseconds of each time.
    pub(crate) fn order(&mut self, workload: Workload, amount: u64) -> Result<Vec<u64>> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{} {amount}", workload.word())?;
        }
        let answer = self.answer()?;
        let nanos = answer.split_whitespace().map(str::parse);
        nanos
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| format!("{}: {error} in {answer:?}", self.name).into())
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("{} has ended", self.name).into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}
