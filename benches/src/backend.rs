//! A server in a process of its own, from both ends: the benchmark starts it and
//! asks, the server answers. One line each way on standard input and output; the
//! end of standard input ends the server, so none is left behind.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use thiserror::Error;

use crate::cpu::process_cpu;

const CPU: &str = "cpu";

/// Why a backend cannot be used.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The program could not be started, or its pipes broke.
    #[error("{program}: {source}")]
    Io {
        /// The program.
        program: String,
        /// What went wrong.
        source: io::Error,
    },
    /// It said something else than an address, or nothing.
    #[error("{program} answered {answer:?}")]
    Answer {
        /// The program.
        program: String,
        /// What it said.
        answer: String,
    },
}

/// A server process. Dropping it ends the process.
#[derive(Debug)]
pub struct Backend {
    program: String,
    child: Child,
    /// Taken when the process is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    connect_string: String,
}

impl Backend {
    /// Starts `program` and waits until it listens.
    ///
    /// # Errors
    ///
    /// The program does not start or does not say where it listens.
    pub fn start(program: &Path) -> Result<Self, BackendError> {
        let name = program.display().to_string();
        let fail = |source| BackendError::Io {
            program: name.clone(),
            source,
        };
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) =
            pipes.ok_or_else(|| fail(io::Error::from(io::ErrorKind::BrokenPipe)))?;
        let mut backend = Self {
            program: name,
            child,
            questions: Some(questions),
            answers: BufReader::new(answers),
            connect_string: String::new(),
        };
        backend.connect_string = backend.next_answer()?;
        if backend.connect_string.is_empty() {
            return Err(backend.unexpected(String::new()));
        }
        Ok(backend)
    }

    /// Where it listens.
    pub fn connect_string(&self) -> &str {
        &self.connect_string
    }

    /// The CPU time it has used; `None` where the platform cannot say.
    ///
    /// # Errors
    ///
    /// The process is gone or talks nonsense.
    pub fn cpu(&mut self) -> Result<Option<Duration>, BackendError> {
        let asked = self
            .questions
            .as_mut()
            .map_or(Ok(()), |questions| writeln!(questions, "{CPU}"));
        asked.map_err(|source| self.broken(source))?;
        let answer = self.next_answer()?;
        match answer.parse() {
            Ok(nanos) => Ok(Some(Duration::from_nanos(nanos))),
            Err(_) if answer == "unknown" => Ok(None),
            Err(_) => Err(self.unexpected(answer)),
        }
    }

    fn next_answer(&mut self) -> Result<String, BackendError> {
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .map_err(|source| self.broken(source))?;
        Ok(line.trim_end().to_owned())
    }

    fn broken(&self, source: io::Error) -> BackendError {
        BackendError::Io {
            program: self.program.clone(),
            source,
        }
    }

    fn unexpected(&self, answer: String) -> BackendError {
        BackendError::Answer {
            program: self.program.clone(),
            answer,
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// The server's end: says where it listens, then answers questions until there
/// are no more. Blocks; when it returns the server is to end.
///
/// # Errors
///
/// The pipe to the benchmark is broken.
pub fn answer_questions(connect_string: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{connect_string}")?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        let answer = match (line?.as_str(), process_cpu()) {
            (CPU, Some(cpu)) => cpu.as_nanos().to_string(),
            (CPU, None) => "unknown".to_owned(),
            (other, _) => format!("no such question: {other}"),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
