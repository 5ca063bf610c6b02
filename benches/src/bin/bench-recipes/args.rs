//! What the command line may say.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::workload::Workload;

/// Recipes beside those of other languages' clients.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure everybody and print a table per workload.
    Compare(Compare),
    /// Be one of those who are measured: zk-recipes, or as many requests without it.
    Contestant {
        /// Send the requests of a lock one by one, without a recipe.
        #[arg(long = "floor")]
        is_floor: bool,
        /// Where the server is.
        connect: String,
        /// The znode to stay below.
        root: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Server program of zk-benches to measure on.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) server: Option<PathBuf>,
    /// Address of a server that already runs, instead.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "server")]
    pub(crate) connect: Option<String>,
    /// Somebody else to measure; may be repeated.
    #[arg(long = "peer", value_name = "NAME=PROGRAM", value_parser = peer)]
    pub(crate) peers: Vec<Peer>,
    /// Rounds; figures are medians over them.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Rounds before that, not measured: a virtual machine compiles what is called often.
    #[arg(long, value_name = "ROUNDS", default_value_t = 3)]
    pub(crate) warm_up: u32,
    /// Milliseconds of uncontended locking in each round.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub(crate) uncontended_ms: u64,
    /// Times a lock changes hands in each round.
    #[arg(long, value_name = "TIMES", default_value_t = 30)]
    pub(crate) handoffs: u64,
    /// Times a leader goes in each round.
    #[arg(long, value_name = "TIMES", default_value_t = 10)]
    pub(crate) failovers: u64,
}

impl Compare {
    /// How much of a workload is one order.
    pub(crate) const fn amount(&self, workload: Workload) -> u64 {
        match workload {
            Workload::Uncontended => self.uncontended_ms,
            Workload::Handoff => self.handoffs,
            Workload::Failover => self.failovers,
        }
    }
}

/// A program that speaks as `contestant.rs` says.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
}

fn peer(text: &str) -> Result<Peer, String> {
    let (name, program) = text.split_once('=').ok_or("not NAME=PROGRAM")?;
    Ok(Peer {
        name: name.to_owned(),
        program: program.into(),
    })
}
