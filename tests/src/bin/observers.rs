//! Observers of Apache's kind and ours, and the followers of both kinds that they learn from.
//!
//! ```text
//! cargo run -p zk-tests --bin observers -- --voters java,rust,rust --observers java,rust
//! ```
//!
//! While clients write through all servers, each follower in turn is the only one that is
//! left, so that all observers have to turn to it; then each observer is killed and comes
//! back to it. The leader is killed until each kind of observer has learned from each
//! kind of follower. In the end all servers have the same, and what was acknowledged. Exits
//! with 1 and keeps logs and data if not.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zk_client::CreateMode;
use zk_tests::load::{self, Load, ROOT};
use zk_tests::processes::{Failure, Kind, Mode, Processes, until_interrupted, words};
use zk_tests::wait::holds_within;

/// Between two writes of one writer.
const PAUSE: Duration = Duration::from_millis(20);

/// Acknowledged after each thing that happens.
const SOME_WRITES: usize = 50;

/// How long observers may take to find another master.
const PATIENCE: Duration = Duration::from_secs(60);

/// Leaders there may be until every pair was seen.
const MOST_LEADERS: usize = 6;

/// Runs an ensemble with observer masters.
#[derive(Parser)]
struct Arguments {
    /// The kinds of the voters, three of them.
    #[arg(long, value_delimiter = ',', default_value = "java,rust,rust")]
    voters: Vec<Kind>,
    /// The kinds of the observers.
    #[arg(long, value_delimiter = ',', default_value = "java,rust")]
    observers: Vec<Kind>,
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
            eprintln!("observers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (voters, observers) = (&arguments.voters, &arguments.observers);
    if voters.len() != 3 {
        return Err("three voters, so that one follower is enough".into());
    }
    let ensemble = Processes::start_observed(voters, observers, &[]).await?;
    let load = Load::start(&ensemble.connect_string(), arguments.clients, PAUSE).await?;
    let mut stage = Stage {
        ensemble,
        load,
        voters: voters.len(),
        seen: BTreeSet::new(),
    };
    match stage.play().await {
        Ok(()) => stage.end().await,
        Err(error) => Err(stage.ensemble.keep(error)),
    }
}

struct Stage {
    ensemble: Processes,
    load: Load,
    voters: usize,
    /// Kinds of observers, and of followers they have learned from.
    seen: BTreeSet<(Kind, Kind)>,
}

impl Stage {
    async fn play(&mut self) -> Result<(), Failure> {
        let wanted = self.wanted();
        for _ in 0..MOST_LEADERS {
            let leader = self.ensemble.wait_for_leader().await?;
            println!("{} leads", self.ensemble.name(leader));
            let followers: Vec<_> = (0..self.voters).filter(|voter| *voter != leader).collect();
            self.have_observed(followers[0], followers[1]).await?;
            self.have_observed(followers[1], followers[0]).await?;
            if self.seen.is_superset(&wanted) {
                return Ok(());
            }
            self.ensemble.kill(leader).await?;
            self.ensemble.wait_for_leader().await?;
            self.load.until_more(SOME_WRITES).await?;
            self.ensemble.restart(leader)?;
            self.ensemble.wait_until_all_serve().await?;
        }
        Err(format!("only seen: {:?}", self.seen).into())
    }

    /// Every kind of observer at every kind of follower, if a follower can be of that kind.
    fn wanted(&self) -> BTreeSet<(Kind, Kind)> {
        let kind = |peer| self.ensemble.kind(peer).clone();
        let pairs = self.observers().flat_map(|observer| {
            (0..self.voters).map(move |follower| (kind(observer), kind(follower)))
        });
        pairs.collect()
    }

    fn observers(&self) -> std::ops::Range<usize> {
        self.voters..self.ensemble.len()
    }

    /// Has `master` be the only follower, and all observers learn from it.
    async fn have_observed(&mut self, master: usize, other: usize) -> Result<(), Failure> {
        self.ensemble.kill(other).await?;
        self.until_observed(master).await?;
        for observer in self.observers() {
            self.write_through(observer).await?;
            self.ensemble.kill(observer).await?;
            self.load.until_more(SOME_WRITES).await?;
            self.ensemble.restart(observer)?;
            self.ensemble.wait_until_serving(observer).await?;
            self.until_observed(master).await?;
            self.write_through(observer).await?;
            let [of, from] = [observer, master].map(|peer| self.ensemble.kind(peer).clone());
            self.seen.insert((of, from));
            let [of, from] = [observer, master].map(|peer| self.ensemble.name(peer));
            println!("{of} has learned from {from}, was killed and brought back");
        }
        self.ensemble.restart(other)?;
        self.ensemble.wait_until_all_serve().await?;
        self.load.until_more(SOME_WRITES).await
    }

    /// Waits until all observers learn from `master`, by what it says of itself.
    async fn until_observed(&self, master: usize) -> Result<(), Failure> {
        let wanted = self.observers().len();
        let host = self.ensemble.host(master);
        let mut seen = None;
        let is_so = async || {
            seen = words::monitored(host, "zk_synced_observers").await;
            let mut serve = 0;
            for observer in self.observers() {
                let mode = self.ensemble.mode(observer).await;
                serve += usize::from(mode == Some(Mode::Observer));
            }
            (seen, serve) == (Some(wanted), wanted)
        };
        if holds_within(PATIENCE, is_so).await {
            return Ok(());
        }
        let name = self.ensemble.name(master);
        Err(format!("{seen:?} of {wanted} observers learn from {name}").into())
    }

    /// What a client of one server sees: its own writes, those of others after a `sync`.
    async fn write_through(&self, observer: usize) -> Result<(), Failure> {
        let client = load::connect(self.ensemble.host(observer)).await?;
        let path = format!(
            "{ROOT}/through-{}",
            self.ensemble.name(observer).replace(' ', "-")
        );
        let created = client.create(&path, b"", CreateMode::Ephemeral).await;
        created.map_err(|error| format!("{}: {error}", self.ensemble.name(observer)))?;
        client.set_data(&path, b"written", None).await?;
        let (data, _) = client.read_linearizable(&path).await?;
        if &data[..] != b"written" {
            return Err(format!("{path} is {data:?}").into());
        }
        Ok(client.close().await?)
    }

    async fn end(self) -> Result<(), Failure> {
        let Self {
            mut ensemble, load, ..
        } = self;
        match load::verify(&mut ensemble, load).await {
            Ok(verdict) => println!("{verdict}"),
            Err(error) => return Err(ensemble.keep(error)),
        }
        Ok(())
    }
}
