//! Ensembles of Apache's peers and ours, under load, each peer killed and brought back.
//!
//! ```text
//! cargo run -p zk-tests --bin mixed -- --peers java,rust,rust
//! cargo run -p zk-tests --bin mixed -- --peers java,java,rust --leader java
//! ```
//!
//! Peers of each kind lead in turn. While clients write, every peer is killed (SIGKILL) and
//! comes back: it gets a DIFF. Then a leader is cut off from its followers while it logs
//! writes of its own, dies, and comes back to a leader of the other kind: it gets a TRUNC if
//! nothing was committed in the meantime, a SNAP if something was. In the end all servers
//! have the same, and what was acknowledged. Exits with 1 and keeps logs and data if not, or
//! if not everything was seen that should be.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zk_client::{Client, CreateMode};
use zk_tests::load::{self, Load, Paused, ROOT};
use zk_tests::processes::traces::{SyncOp, Synchronisation};
use zk_tests::processes::{Failure, Kind, Processes, until_interrupted, words};
use zk_tests::wait::holds_within;

/// Between two writes of one writer: three servers of Apache on two cores have to keep up.
const PAUSE: Duration = Duration::from_millis(20);

/// Acknowledged before anything else happens.
const SOME_WRITES: usize = 100;

/// Logged by a leader that is cut off.
const DOOMED: usize = 20;

/// How long a leader may take to log them.
const PATIENCE: Duration = Duration::from_secs(4);

/// Runs a mixed ensemble.
#[derive(Parser)]
struct Arguments {
    /// The kinds of the peers: `java`, `java:VERSION` or `rust`. Ids are given so that
    /// the kind there is one of has the largest.
    #[arg(long, value_delimiter = ',', default_value = "java,rust,rust")]
    peers: Vec<Kind>,
    /// Has leaders of this kind alone, and leaves out what comes after.
    #[arg(long)]
    leader: Option<Kind>,
    /// How many clients write.
    #[arg(long, default_value_t = 4)]
    clients: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match until_interrupted(run(&arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.peers.len() != 3 {
        return Err("three peers, so that two are a quorum".into());
    }
    let mut kinds = arguments.peers.clone();
    let peers = kinds.clone();
    let rarity = |kind: &Kind| peers.iter().filter(|peer| *peer == kind).count();
    kinds.sort_by_key(|kind| (std::cmp::Reverse(rarity(kind)), kind.clone()));
    let ensemble = Processes::start(&kinds, &[]).await?;
    let load = Load::start(&ensemble.connect_string(), arguments.clients, PAUSE).await?;
    let mut stage = Stage { ensemble, load };
    match stage.play(arguments.leader.as_ref()).await {
        Ok(()) => stage.end().await,
        Err(error) => Err(stage.ensemble.keep(error)),
    }
}

struct Stage {
    ensemble: Processes,
    load: Load,
}

impl Stage {
    async fn play(&mut self, leader: Option<&Kind>) -> Result<(), Failure> {
        let kinds = self.leaders(leader);
        for kind in &kinds {
            for victim in 0..self.ensemble.len() {
                self.have_lead(kind).await?;
                self.kill_and_restart(victim).await?;
            }
        }
        if leader.is_none() {
            for cut_off in self.cut_offs() {
                self.cut_off(cut_off, SyncOp::Trunc).await?;
                self.cut_off(cut_off, SyncOp::Snap).await?;
            }
            self.verify_seen(&self.ensemble.traces()?.synchronisations)?;
        }
        Ok(())
    }

    async fn end(self) -> Result<(), Failure> {
        let Self { mut ensemble, load } = self;
        let verdict = match load::verify(&mut ensemble, load).await {
            Ok(verdict) => verdict,
            Err(error) => return Err(ensemble.keep(error)),
        };
        let traces = ensemble.traces()?;
        for (seen, times) in count(&traces.synchronisations) {
            let Synchronisation {
                leader,
                learner,
                op,
            } = seen;
            let (leader, learner) = (ensemble.name(leader - 1), ensemble.name(learner - 1));
            println!("{leader} synchronised {learner} by {op:?}: {times} times");
        }
        println!("{verdict}");
        Ok(())
    }

    /// Every way of being brought in step was seen, from leaders of each kind.
    fn verify_seen(&self, all: &[Synchronisation]) -> Result<(), Failure> {
        for kind in self.leaders(None) {
            for op in [SyncOp::Diff, SyncOp::Trunc, SyncOp::Snap] {
                let mut such = all.iter().filter(|seen| seen.op == op);
                if !such.any(|seen| *self.ensemble.kind(seen.leader - 1) == kind) {
                    return Err(format!("no leader of kind {kind} has sent a {op:?}").into());
                }
            }
        }
        Ok(())
    }

    /// The kinds of peers, or that one.
    fn leaders(&self, only: Option<&Kind>) -> Vec<Kind> {
        let all = (0..self.ensemble.len()).map(|peer| self.ensemble.kind(peer).clone());
        let mut kinds: Vec<Kind> = all
            .filter(|kind| only.is_none_or(|only| only == kind))
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    fn is_mixed(&self) -> bool {
        self.leaders(None).len() > 1
    }

    /// Peers after whose end one of the other kind will lead: of two that have the same, the
    /// one with the larger id does. One of each kind.
    const fn cut_offs(&self) -> [usize; 2] {
        [0, self.ensemble.len() - 1]
    }

    /// Kills a peer as a crash would, and brings it back once writes have gone on without it.
    async fn kill_and_restart(&mut self, victim: usize) -> Result<(), Failure> {
        let leader = self.ensemble.wait_for_leader().await?;
        let name = self.ensemble.name(victim);
        let led = self.ensemble.name(leader);
        self.ensemble.kill(victim).await?;
        self.load.until_more(SOME_WRITES).await?;
        self.ensemble.restart(victim)?;
        self.ensemble.wait_until_serving(victim).await?;
        self.load.until_more(SOME_WRITES).await?;
        println!("{name} killed and brought back, while {led} led");
        Ok(())
    }

    /// Sees to it that a peer of this kind leads.
    async fn have_lead(&mut self, kind: &Kind) -> Result<(), Failure> {
        let leader = self.ensemble.wait_for_leader().await?;
        if self.ensemble.kind(leader) == kind {
            return Ok(());
        }
        let mut peers = 0..self.ensemble.len();
        let next = peers.find(|peer| self.ensemble.kind(*peer) == kind);
        let next = next.ok_or_else(|| format!("no peer is {kind}"))?;
        self.have_exactly_lead(next).await
    }

    /// Sees to it that this peer leads: it and the leader go on without the third, then it
    /// has more than the third, and the leader dies.
    async fn have_exactly_lead(&mut self, next: usize) -> Result<(), Failure> {
        let leader = self.ensemble.wait_for_leader().await?;
        if leader == next {
            return Ok(());
        }
        let third = 3 - leader - next;
        self.ensemble.kill(third).await?;
        self.load.until_more(SOME_WRITES).await?;
        self.ensemble.kill(leader).await?;
        self.ensemble.restart(third)?;
        let leads = self.ensemble.wait_for_leader().await?;
        if leads != next {
            let (leads, next) = (self.ensemble.name(leads), self.ensemble.name(next));
            return Err(format!("{leads} leads, though {next} had more").into());
        }
        self.load.until_more(SOME_WRITES).await?;
        self.ensemble.restart(leader)?;
        self.ensemble.wait_until_all_serve().await?;
        println!("{} leads", self.ensemble.name(next));
        Ok(())
    }

    /// Has a leader log what nobody else does, and come back to a leader of the other kind
    /// that knows nothing of it and synchronises it so.
    async fn cut_off(&mut self, peer: usize, expected: SyncOp) -> Result<(), Failure> {
        self.have_exactly_lead(peer).await?;
        let before = self.synchronisations_of(peer)?;
        let doomed = load::connect(self.ensemble.host(peer)).await?;
        let paused = self.load.pause().await?;
        self.settle().await?;
        let others: Vec<usize> = (0..self.ensemble.len())
            .filter(|other| *other != peer)
            .collect();
        // Stopped first, so that they can neither log what they are sent, nor does the
        // leader notice; then killed, with what they were sent.
        for other in &others {
            self.ensemble.pause(*other).await?;
        }
        self.write_doomed(&doomed, peer).await?;
        for other in &others {
            self.ensemble.kill(*other).await?;
        }
        self.ensemble.kill(peer).await?;
        for other in &others {
            self.ensemble.restart(*other)?;
        }
        let leader = self.ensemble.wait_for_leader().await?;
        self.return_to(peer, expected, paused).await?;
        doomed.close().await?;

        let name = self.ensemble.name(peer);
        let led = self.ensemble.name(leader);
        if self.is_mixed() && self.ensemble.kind(leader) == self.ensemble.kind(peer) {
            return Err(format!("{led} leads after {name} was cut off").into());
        }
        let now = self.synchronisations_of(peer)?;
        if now[before.len()..].iter().all(|seen| seen.op != expected) {
            let seen = &now[before.len()..];
            return Err(format!("{name} was not synchronised by {expected:?}: {seen:?}").into());
        }
        println!("{led} synchronised {name}, which had been cut off, by {expected:?}");
        Ok(())
    }

    /// Brings a peer back that has logged too much: before anything is committed in the new
    /// epoch, or after.
    async fn return_to(
        &mut self,
        peer: usize,
        expected: SyncOp,
        paused: Paused,
    ) -> Result<(), Failure> {
        if expected == SyncOp::Trunc {
            self.ensemble.restart(peer)?;
            self.ensemble.wait_until_all_serve().await?;
            drop(paused);
        } else {
            drop(paused);
            self.load.until_more(SOME_WRITES).await?;
            self.ensemble.restart(peer)?;
            self.ensemble.wait_until_all_serve().await?;
        }
        self.load.until_more(SOME_WRITES).await
    }

    /// Waits until all have everything that was written.
    async fn settle(&self) -> Result<(), Failure> {
        let is_settled = async || {
            let mut zxids = Vec::new();
            for peer in 0..self.ensemble.len() {
                zxids.push(words::zxid(self.ensemble.host(peer)).await);
            }
            zxids[0].is_some() && zxids.iter().all(|zxid| *zxid == zxids[0])
        };
        if holds_within(PATIENCE, is_settled).await {
            return Ok(());
        }
        Err("servers do not come to have the same".into())
    }

    /// Writes that the leader logs and that cannot be acknowledged.
    async fn write_doomed(&self, client: &Client, leader: usize) -> Result<(), Failure> {
        let data = format!("doomed by {}", client.session_id());
        let write = |n| client.create(&format!("{ROOT}/doomed-{n}"), &data, CreateMode::Persistent);
        let writes: Vec<_> = (0..DOOMED).map(write).collect();
        let dir = self.ensemble.version_dir(leader);
        let is_logged = async || holds(&dir, data.as_bytes(), DOOMED);
        if !holds_within(PATIENCE, is_logged).await {
            return Err(format!("{} does not log", self.ensemble.name(leader)).into());
        }
        drop(writes);
        Ok(())
    }

    fn synchronisations_of(&self, peer: usize) -> Result<Vec<Synchronisation>, Failure> {
        let all = self.ensemble.traces()?.synchronisations;
        Ok(all
            .into_iter()
            .filter(|seen| seen.learner == peer + 1)
            .collect())
    }
}

/// Whether the newest file of the transaction log holds these bytes so many times.
fn holds(version_dir: &Path, bytes: &[u8], times: usize) -> bool {
    let Ok(files) = fs::read_dir(version_dir) else {
        return false;
    };
    let names = files.flatten().map(|file| file.file_name().into_string());
    let logs = names.flatten().filter(|name| name.starts_with("log."));
    // The number is in hexadecimal, without leading zeros.
    let Some(newest) = logs.max_by_key(|name| (name.len(), name.clone())) else {
        return false;
    };
    let log = fs::read(version_dir.join(newest)).unwrap_or_default();
    let found = log.windows(bytes.len()).filter(|window| *window == bytes);
    found.count() >= times
}

/// Each once, with how often it was.
fn count(all: &[Synchronisation]) -> Vec<(Synchronisation, usize)> {
    let mut sorted = all.to_vec();
    sorted.sort();
    let same = sorted.chunk_by(|a, b| a == b);
    same.map(|same| (same[0], same.len())).collect()
}
