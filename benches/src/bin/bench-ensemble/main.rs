//! Servers that store and that stand together, beside one another in the same run:
//! `benches/ensemble.sh` prepares everything and calls it; `benches/README.md` says which
//! question each figure answers.

mod args;
mod failover;
mod fsync;
mod phases;
mod servers;
mod start;
mod table;
mod writes;

use std::error::Error;

use clap::Parser;

use args::{Args, Command};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    // A worker of its own keeps sessions alive while something else is measured.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    match Args::parse().command {
        Command::Failover(failover) => runtime.block_on(failover::run(&failover)),
        Command::Writes(writes) => runtime.block_on(writes::run(&writes)),
        Command::Start(start) => start::run(&start),
    }
}
