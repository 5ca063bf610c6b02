//! One peer's process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::Kind;
use super::configuration::Ports;
use super::programs::Programs;
use crate::wait::holds_within;

/// How much of a log is shown of a process that ended by itself.
const TAIL_LINES: usize = 30;

/// How long a process may take to stop in its tracks.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A peer: a directory with its configuration, its data and its log, and the process while
/// there is one. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: usize,
    pub(super) kind: Kind,
    pub(super) host: String,
    dir: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A peer that has never run.
    pub(super) fn new(
        id: usize,
        kind: Kind,
        ports: Ports,
        dir: PathBuf,
        zoo_cfg: impl FnOnce(&Path) -> String,
    ) -> io::Result<Self> {
        let data = dir.join("data");
        fs::create_dir_all(&data)?;
        fs::write(data.join("myid"), format!("{id}\n"))?;
        fs::write(dir.join("zoo.cfg"), zoo_cfg(&data))?;
        Ok(Self {
            id,
            kind,
            host: format!("127.0.0.1:{}", ports.client),
            dir,
            child: None,
        })
    }

    /// Everything its processes have said so far.
    pub(super) fn log(&self) -> io::Result<String> {
        let bytes = fs::read(self.dir.join("log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of that.
    pub(super) fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Where its `zoo.cfg` is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where its transaction log and its snapshots are.
    pub(super) fn version_dir(&self) -> PathBuf {
        self.dir.join("data/version-2")
    }

    /// Starts it, with what it knew. It runs already if it was started and not killed.
    pub(super) fn start(&mut self, programs: &Programs) -> io::Result<()> {
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))?;
        writeln!(log, "--- {} starts", self.kind)?;
        let command = programs.command(&self.kind, &self.dir.join("zoo.cfg"));
        let child = Command::from(command)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it as a crash would, by SIGKILL. It is gone when this returns, its ports free.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Stops it by SIGSTOP. When this returns, no thread of it goes on.
    pub(super) async fn pause(&self) -> io::Result<()> {
        self.signal("STOP").await?;
        let pid = self.child.as_ref().and_then(Child::id);
        let tasks = PathBuf::from(format!("/proc/{}/task", pid.unwrap_or_default()));
        let is_stopped = async || are_stopped(&tasks).unwrap_or(true);
        if holds_within(STOP_PATIENCE, is_stopped).await {
            return Ok(());
        }
        Err(io::Error::other(format!("peer {} does not stop", self.id)))
    }

    /// Has it go on.
    pub(super) async fn resume(&self) -> io::Result<()> {
        self.signal("CONT").await
    }

    /// Sends a signal by its name.
    async fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.child.as_ref().and_then(Child::id);
        let pid = pid.ok_or_else(|| io::Error::other(format!("peer {} does not run", self.id)))?;
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}")).arg(pid.to_string());
        let status = kill.status().await?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("kill -{signal} {pid}: {status}")))
    }

    pub(super) const fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// How it has ended by itself, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }
}

/// Whether Linux says so of each of these threads. The signal is for all of them, but one
/// that runs, or waits for the disk, takes it a moment later. Elsewhere this cannot be asked.
fn are_stopped(tasks: &Path) -> io::Result<bool> {
    for task in fs::read_dir(tasks)? {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        // Behind the name in parentheses, which may hold anything.
        let state = stat.rsplit(") ").next();
        if !state.is_some_and(|state| state.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}
