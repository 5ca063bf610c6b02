//! What the command line may say.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Servers that store and that stand together, beside one another on the same machine.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// From the end of the leader's process to the first write that a survivor acknowledges.
    Failover(Failover),
    /// Durable writes per second.
    Writes(Writes),
    /// From nothing to an ensemble that serves, within one process.
    Start(Start),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Systems {
    /// Server to measure, called with the name of a zoo.cfg; may be repeated, and the last
    /// one is what the others are compared with.
    #[arg(long = "system", value_name = "NAME=PROGRAM", value_parser = system, required = true)]
    pub(crate) systems: Vec<System>,
    /// Where data directories go: on the disk that is meant. Ours are removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rounds {
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Rounds before that, not measured: a virtual machine compiles what is called often.
    #[arg(long, value_name = "ROUNDS", default_value_t = 3)]
    pub(crate) warm_up: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Failover {
    #[command(flatten)]
    pub(crate) systems: Systems,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
    /// Pauses of the client between its rounds of attempts to connect, first and longest;
    /// 50 and 2000 are what it does by itself.
    #[arg(long, value_name = "MS", num_args = 2, default_values_t = [5, 20])]
    pub(crate) backoff_ms: Vec<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Writes {
    #[command(flatten)]
    pub(crate) systems: Systems,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
    /// Servers that stand together; 1 is standalone.
    #[arg(long, value_name = "COUNT", num_args = 1.., default_values_t = [1, 3])]
    pub(crate) servers: Vec<usize>,
    /// Writes that are under way at any moment, over all sessions.
    #[arg(long, value_name = "COUNT", num_args = 1.., default_values_t = [1, 16, 128])]
    pub(crate) in_flight: Vec<usize>,
    /// Sessions that they are spread over, if there are as many.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    pub(crate) sessions: usize,
    /// Milliseconds of each workload in each round.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub(crate) millis: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Times; the figure is the median over them.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Servers in the ensemble.
    #[arg(long, default_value_t = 3)]
    pub(crate) servers: usize,
}

/// A server to measure.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
}

fn system(text: &str) -> Result<System, String> {
    let (name, program) = text.split_once('=').ok_or("not NAME=PROGRAM")?;
    Ok(System {
        name: name.to_owned(),
        program: program.into(),
    })
}
