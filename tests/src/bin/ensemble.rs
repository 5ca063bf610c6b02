//! Tests on an ensemble of processes that this program owns.
//!
//! ```text
//! cargo run -p zk-tests --bin ensemble -- -- cargo test -p zk-tests --test integration
//! cargo run -p zk-tests --bin ensemble -- --kill-leader-every-ms 3000 -- \
//!     cargo test -p zk-tests --test integration --
//! ```
//!
//! The command finds the ensemble in `ZK_TEST_CONNECT`. In the second form the leader is
//! killed again and again, and tests are run again that say that they lost their connection
//! (see [`zk_tests::leader_kills`]). Exits with 1, and keeps logs and data, if the command
//! or a test fails, or the ensemble.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use tokio::process::Command;
use zk_tests::leader_kills::{Kills, kill_leaders, run_until_passed};
use zk_tests::processes::{Failure, Kind, Processes, until_interrupted};

/// Fewer say nothing.
const ENOUGH_KILLS: u32 = 5;

/// Runs a command that tests an ensemble.
#[derive(Parser)]
struct Arguments {
    /// The kinds of the peers: `java`, `java:VERSION` or `rust`.
    #[arg(long, value_delimiter = ',', default_value = "rust,rust,rust")]
    peers: Vec<Kind>,
    /// How often the leader is killed; never by default.
    #[arg(long)]
    kill_leader_every_ms: Option<u64>,
    /// What is run; with leaders that are killed, something that takes names of tests.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match until_interrupted(run(&arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ensemble: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut ensemble = Processes::start(&arguments.peers, &[]).await?;
    let connect = format!("ZK_TEST_CONNECT={}", ensemble.connect_string());
    let mut command = vec!["env".to_owned(), connect];
    command.extend(arguments.command.iter().cloned());
    let outcome = match arguments.kill_leader_every_ms {
        None => run_once(&command).await,
        Some(every) => {
            let every = Duration::from_millis(every);
            run_while_leaders_die(&mut ensemble, &command, every).await
        }
    };
    let outcome = outcome.and_then(|()| no_alarms(&ensemble));
    outcome.map_err(|error| ensemble.keep(error))
}

async fn run_once(command: &[String]) -> Result<(), Failure> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let status = command.status().await?;
    if status.success() {
        return Ok(());
    }
    Err(format!("the command: {status}").into())
}

async fn run_while_leaders_die(
    ensemble: &mut Processes,
    command: &[String],
    every: Duration,
) -> Result<(), Failure> {
    let mut kills = Kills::default();
    tokio::select! {
        passed = run_until_passed(command) => passed?,
        failure = kill_leaders(ensemble, every, &mut kills) => failure?,
    }
    println!("all passed; {kills}");
    if kills.count() < ENOUGH_KILLS {
        return Err(format!("only {} leaders were killed", kills.count()).into());
    }
    ensemble.wait_until_all_serve().await
}

fn no_alarms(ensemble: &Processes) -> Result<(), Failure> {
    match &ensemble.traces()?.alarms[..] {
        [] => Ok(()),
        alarms => Err(alarms.join("\n").into()),
    }
}
