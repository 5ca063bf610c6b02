//! Peers that form an ensemble, and what is done to them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::configuration::{Ports, observer_master_port, zoo_cfg};
use super::process::Process;
use super::programs::Programs;
use super::traces::{self, Traces};
use super::words::{self, Mode};
use super::{Failure, Kind};
use crate::wait::holds_within;

/// How long anything may take: JVMs start slowly where several do at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries to find ports that nobody takes in between.
const START_ATTEMPTS: usize = 5;

/// An ensemble of processes on loopback, peer `n` of which has the id `n + 1`. Dropping it
/// kills them all and removes their directories, unless these are [kept](Self::keep).
#[derive(Debug)]
pub struct Processes {
    peers: Vec<Process>,
    programs: Programs,
    dir: TempDir,
}

impl Processes {
    /// Starts one peer of each of these kinds, and waits until all of them serve.
    /// `settings` are keys of `zoo.cfg` that come after those of this module.
    ///
    /// # Errors
    ///
    /// Something is missing to start them, or they do not serve; the end of a log is told.
    pub async fn start(kinds: &[Kind], settings: &[(String, String)]) -> Result<Self, Failure> {
        Self::start_observed(kinds, &[], settings).await
    }

    /// As [`start`](Self::start), with peers behind the voters that observe. These learn from
    /// followers, by `observerMasterPort`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_observed(
        voters: &[Kind],
        observers: &[Kind],
        settings: &[(String, String)],
    ) -> Result<Self, Failure> {
        let mut attempts = 1..START_ATTEMPTS;
        loop {
            let mut ensemble = Self::prepare(voters, observers, settings)?;
            match ensemble.start_all().await {
                Ok(()) => return Ok(ensemble),
                Err(_) if ensemble.is_port_taken() && attempts.next().is_some() => {}
                Err(error) => return Err(ensemble.keep(error)),
            }
        }
    }

    fn prepare(
        voters: &[Kind],
        observers: &[Kind],
        settings: &[(String, String)],
    ) -> Result<Self, Failure> {
        let kinds = &[voters, observers].concat();
        let mut settings = settings.to_vec();
        if !observers.is_empty() {
            let port = observer_master_port()?.to_string();
            settings.push(("observerMasterPort".to_owned(), port));
        }
        let programs = Programs::prepare(kinds)?;
        let dir = tempfile::Builder::new().prefix("zk-processes.").tempdir()?;
        let ports = Ports::choose(kinds.len())?;
        let peer = |(at, kind): (usize, &Kind)| {
            let dir = dir.path().join(format!("peer-{}", at + 1));
            let zoo_cfg = |data: &Path| zoo_cfg(data, &ports, voters.len(), &settings);
            Process::new(at + 1, kind.clone(), ports[at], dir, zoo_cfg)
        };
        let peers = kinds
            .iter()
            .enumerate()
            .map(peer)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            peers,
            programs,
            dir,
        })
    }

    async fn start_all(&mut self) -> Result<(), Failure> {
        for peer in &mut self.peers {
            peer.start(&self.programs)?;
        }
        self.wait_until_all_serve().await
    }

    fn is_port_taken(&self) -> bool {
        // One that still runs may have looked for its quorum port in vain.
        self.peers.iter().any(tells_of_taken_port)
    }

    /// Kills all, leaves their directories, and adds to `error` where they are.
    #[must_use]
    pub fn keep(mut self, error: Failure) -> Failure {
        self.peers.clear();
        self.dir.disable_cleanup(true);
        format!(
            "{error}\nlogs and data are kept in {}",
            self.dir.path().display()
        )
        .into()
    }

    /// How many peers there are.
    pub const fn len(&self) -> usize {
        self.peers.len()
    }

    /// There are none.
    pub const fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// What a peer runs.
    pub fn kind(&self, peer: usize) -> &Kind {
        &self.peers[peer].kind
    }

    /// Where a peer serves clients, `host:port`.
    pub fn host(&self, peer: usize) -> &str {
        &self.peers[peer].host
    }

    /// All of them, as a connect string.
    pub fn connect_string(&self) -> String {
        let hosts: Vec<&str> = self.peers.iter().map(|peer| &*peer.host).collect();
        hosts.join(",")
    }

    /// A peer by its kind and id, for people.
    pub fn name(&self, peer: usize) -> String {
        let peer = &self.peers[peer];
        format!("{} {}", peer.kind, peer.id)
    }

    /// Ends a peer as a crash would, by SIGKILL; its process is gone when this returns.
    ///
    /// # Errors
    ///
    /// It cannot be killed.
    pub async fn kill(&mut self, peer: usize) -> io::Result<()> {
        self.peers[peer].kill().await
    }

    /// Starts a peer that was killed, with what it knew.
    ///
    /// # Errors
    ///
    /// Its program cannot be run.
    pub fn restart(&mut self, peer: usize) -> io::Result<()> {
        self.peers[peer].start(&self.programs)
    }

    /// Has a peer that was killed be of another kind, which is one of those that were asked for
    /// at the start. It is started on the files of the one before.
    pub fn become_kind(&mut self, peer: usize, kind: Kind) {
        self.peers[peer].kind = kind;
    }

    /// Where a peer has its `zoo.cfg`.
    pub fn config_dir(&self, peer: usize) -> &Path {
        self.peers[peer].dir()
    }

    /// Stops a peer in its tracks by SIGSTOP; its sockets stay open.
    ///
    /// # Errors
    ///
    /// It does not run, or does not stop.
    pub async fn pause(&self, peer: usize) -> io::Result<()> {
        self.peers[peer].pause().await
    }

    /// Has a peer that was paused go on.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub async fn resume(&self, peer: usize) -> io::Result<()> {
        self.peers[peer].resume().await
    }

    /// What a peer is while it serves.
    pub async fn mode(&self, peer: usize) -> Option<Mode> {
        words::mode(self.host(peer)).await
    }

    /// Who leads and serves, if anybody does.
    pub async fn leader(&self) -> Option<usize> {
        for peer in 0..self.len() {
            if self.peers[peer].is_started() && self.mode(peer).await == Some(Mode::Leader) {
                return Some(peer);
            }
        }
        None
    }

    /// Waits until somebody leads and serves.
    ///
    /// # Errors
    ///
    /// Nobody does, for a minute.
    pub async fn wait_for_leader(&self) -> Result<usize, Failure> {
        let mut leader = None;
        let led = async || {
            leader = self.leader().await;
            leader.is_some()
        };
        holds_within(PATIENCE, led).await;
        leader.ok_or_else(|| format!("nobody leads after {PATIENCE:?}").into())
    }

    /// Waits until a peer serves. If another program has taken one of its ports in the
    /// meantime it is started again.
    ///
    /// # Errors
    ///
    /// It does not for a minute, or ends; the end of its log is told.
    pub async fn wait_until_serving(&mut self, peer: usize) -> Result<(), Failure> {
        let (process, programs) = (&mut self.peers[peer], &self.programs);
        let mut ended = None;
        let serves = async || {
            if let Some(status) = process.ended() {
                if !tells_of_taken_port(process) {
                    ended = Some(format!("ended with {status}"));
                    return true;
                }
                if let Err(error) = process.start(programs) {
                    ended = Some(format!("cannot be started again: {error}"));
                    return true;
                }
            }
            words::mode(&process.host).await.is_some()
        };
        let is_over = holds_within(PATIENCE, serves).await;
        let what = match (ended, is_over) {
            (None, true) => return Ok(()),
            (Some(what), _) => what,
            (None, false) => format!("does not serve after {PATIENCE:?}"),
        };
        let tail = process.log_tail();
        Err(format!("{} {what}:\n{tail}", self.name(peer)).into())
    }

    /// Waits until every peer serves.
    ///
    /// # Errors
    ///
    /// As [`wait_until_serving`](Self::wait_until_serving).
    pub async fn wait_until_all_serve(&mut self) -> Result<(), Failure> {
        for peer in 0..self.len() {
            self.wait_until_serving(peer).await?;
        }
        Ok(())
    }

    /// Where a peer has its transaction log and its snapshots.
    pub fn version_dir(&self, peer: usize) -> PathBuf {
        self.peers[peer].version_dir()
    }

    /// What all the logs tell so far.
    ///
    /// # Errors
    ///
    /// A log cannot be read.
    pub fn traces(&self) -> io::Result<Traces> {
        let mut all = Traces::default();
        for peer in &self.peers {
            traces::read(&peer.log()?, peer.id, &peer.kind, &mut all);
        }
        Ok(all)
    }
}

/// Of the process that was started last, by the end of its log.
fn tells_of_taken_port(peer: &Process) -> bool {
    let tail = peer.log_tail();
    tail.contains("Address already in use") || tail.contains("address in use")
}
