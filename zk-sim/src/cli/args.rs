//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// The whole ZooKeeper stack under faults, from a seed.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs many seeds and reports.
    Run(RunArgs),
    /// Runs one seed and shows what happened.
    Replay(ReplayArgs),
    /// Looks for the smallest run of a seed that still fails.
    Shrink(ShrinkArgs),
    /// Runs seeds for hours; resumes where it stopped.
    Night(NightArgs),
    /// Lists workloads, mixes of faults, and what can be planted.
    List,
    /// Prints the trace hashes of seeds.
    #[command(hide = true)]
    Hash(HashArgs),
}

/// What the runs are made of.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    /// Workloads, separated by commas; drawn from the seed unless given.
    #[arg(long, value_name = "NAMES")]
    pub(crate) workload: Option<String>,
    /// The mix of faults; drawn from the seed unless given.
    #[arg(long, value_name = "NAME")]
    pub(crate) mix: Option<String>,
    /// Simulated seconds for which faults strike.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) chaos: Option<Duration>,
    /// A bug to plant, to see whether it is found.
    #[arg(long, value_name = "BUG")]
    pub(crate) plant: Option<String>,
    /// Leaves out the replay of the server's log in the model.
    #[arg(long)]
    pub(crate) no_replay: bool,
}

/// What is left of one run.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneArgs {
    /// The seed.
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Lets only these of the faults strike, by their numbers, separated by commas.
    #[arg(long, value_name = "NUMBERS", value_parser = numbers)]
    pub(crate) only: Option<Numbers>,
    /// Ends the chaos after this many simulated seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) until: Option<Duration>,
}

/// Numbers between commas, possibly none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) Vec<usize>);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) from: u64,
    /// Runs at the same time; one per core unless given.
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// Runs so many of the seeds again, here and in another process, and compares.
    #[arg(long, value_name = "SEEDS", default_value_t = 0)]
    pub(crate) check_determinism: u64,
    /// Fails if any id of the catalogue of failures is not reached that a run can reach.
    #[arg(long)]
    pub(crate) require_catalogue: bool,
    /// Fails if any kind of fault does not strike.
    #[arg(long)]
    pub(crate) require_faults: bool,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// Shows only what concerns this host; may be given several times.
    #[arg(long)]
    pub(crate) host: Vec<String>,
    /// Shows nothing before this simulated second.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) from: Option<Duration>,
    /// Shows nothing after this simulated second.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) to: Option<Duration>,
    /// Shows only faults, states, calls and what came of them.
    #[arg(long)]
    pub(crate) calls_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NightArgs {
    /// For how long.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) hours: f64,
    /// Where to keep what was done.
    ///
    /// Unless given, in a directory called after this program.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Runs at the same time; one per core unless given.
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    /// The seeds.
    pub(crate) seeds: Vec<u64>,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn numbers(text: &str) -> Result<Numbers, String> {
    let numbers = text.split(',').filter(|number| !number.is_empty());
    let numbers: Result<_, _> = numbers.map(str::parse).collect();
    numbers.map(Numbers).map_err(|error| error.to_string())
}

/// How many runs at the same time.
pub(crate) fn jobs(given: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    given.unwrap_or_else(cores)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_replay_line_is_understood() {
        let line = "zk-sim replay 4711 --workload mixed,server-list --only 2,5 --until 1.5";
        let Command::Replay(args) = Cli::parse_from(line.split(' ')).command else {
            unreachable!("it is a replay");
        };
        assert_eq!(args.one.only, Some(Numbers(vec![2, 5])));
        assert_eq!(args.one.until, Some(Duration::from_millis(1500)));
    }
}
