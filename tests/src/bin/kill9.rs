//! Our peers as processes, one of which is killed (SIGKILL) again and again, under load.
//!
//! ```text
//! cargo run -p zk-tests --bin kill9 -- --rounds 200
//! cargo run -p zk-tests --bin kill9 -- --rounds 50 --peers rust,rust,rust,rust,rust
//! ```
//!
//! A round: any peer is killed; writes are acknowledged without it; it comes back and serves.
//! Now and then all are killed at once. In the end all servers have the same, and what was
//! acknowledged. Exits with 1 and keeps logs and data if not.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zk_env::EnvRng;
use zk_tests::load::{self, Load};
use zk_tests::processes::{Failure, Kind, Processes, until_interrupted};

/// Between two writes of one writer.
const PAUSE: Duration = Duration::from_millis(10);

/// Acknowledged before the next thing happens.
const SOME_WRITES: usize = 20;

/// All peers are killed in every so-manieth round.
const ALL: usize = 20;

/// How often it is told how far it has got.
const TOLD: usize = 20;

/// Kills peers of an ensemble.
#[derive(Parser)]
struct Arguments {
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// The kinds of the peers: `java`, `java:VERSION` or `rust`.
    #[arg(long, value_delimiter = ',', default_value = "rust,rust,rust")]
    peers: Vec<Kind>,
    /// How many clients write.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Which peers are killed when; what happens then is another matter.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fails if half of the rounds, but for those that kill all, take longer, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    median_limit_ms: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match until_interrupted(run(&arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kill9: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut ensemble = Processes::start(&arguments.peers, &[]).await?;
    let load = Load::start(&ensemble.connect_string(), arguments.clients, PAUSE).await?;
    let rounds = match play(arguments, &mut ensemble, &load).await {
        Ok(rounds) => rounds,
        Err(error) => return Err(ensemble.keep(error)),
    };
    let verdict = match load::verify(&mut ensemble, load).await {
        Ok(verdict) => verdict,
        Err(error) => return Err(ensemble.keep(error)),
    };
    println!("{verdict}");
    rounds.verify(Duration::from_millis(arguments.median_limit_ms))
}

async fn play(
    arguments: &Arguments,
    ensemble: &mut Processes,
    load: &Load,
) -> Result<Rounds, Failure> {
    let mut rng = EnvRng::from_seed(arguments.seed);
    let mut rounds = Rounds::default();
    let env = load.client().env();
    for round in 1..=arguments.rounds {
        let began = env.now();
        if round % ALL == 0 {
            kill_all(ensemble, load).await?;
            rounds.of_all.push(env.now().since(began));
        } else {
            let victim = usize::try_from(rng.below(ensemble.len() as u64))?;
            let leader = ensemble.wait_for_leader().await?;
            let written = kill_one(ensemble, load, victim).await?;
            rounds.add(
                env.now().since(began),
                written.since(began),
                victim == leader,
            );
        }
        if round % TOLD == 0 {
            println!("{round} rounds: {rounds}");
        }
    }
    Ok(rounds)
}

/// Returns when the first writes without the victim had been acknowledged.
async fn kill_one(
    ensemble: &mut Processes,
    load: &Load,
    victim: usize,
) -> Result<zk_env::Mono, Failure> {
    ensemble.kill(victim).await?;
    load.until_more(SOME_WRITES).await?;
    let written = load.client().env().now();
    ensemble.restart(victim)?;
    ensemble.wait_until_serving(victim).await?;
    Ok(written)
}

async fn kill_all(ensemble: &mut Processes, load: &Load) -> Result<(), Failure> {
    for peer in 0..ensemble.len() {
        ensemble.kill(peer).await?;
    }
    for peer in 0..ensemble.len() {
        ensemble.restart(peer)?;
    }
    ensemble.wait_until_all_serve().await?;
    load.until_more(SOME_WRITES).await
}

/// How long rounds took.
#[derive(Debug, Default)]
struct Rounds {
    of_one: Vec<Duration>,
    of_all: Vec<Duration>,
    /// From the kill of a leader until writes had been acknowledged without it.
    without_leader: Vec<Duration>,
}

impl Rounds {
    fn add(&mut self, round: Duration, written: Duration, was_leader: bool) {
        self.of_one.push(round);
        if was_leader {
            self.without_leader.push(written);
        }
    }

    fn verify(&self, median_limit: Duration) -> Result<(), Failure> {
        println!("{self}");
        let median = median(&self.of_one);
        if median > median_limit {
            return Err(format!("half of the rounds took more than {median:?}").into());
        }
        Ok(())
    }
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = [
            ("one killed", &self.of_one),
            ("leader killed, until written", &self.without_leader),
            ("all killed", &self.of_all),
        ];
        for (at, (what, times)) in kinds.iter().enumerate() {
            let end = if at == 0 { "" } else { "; " };
            let (times, most) = (times, times.iter().max().copied().unwrap_or_default());
            let (number, median) = (times.len(), median(times));
            write!(
                f,
                "{end}{what} {number} times, median {median:.0?}, at most {most:.0?}"
            )?;
        }
        Ok(())
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
