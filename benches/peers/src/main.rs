//! zk-client beside other ZooKeeper clients for Rust: the same workloads, in the
//! same run, one after the other in every round so that a noisy machine is noisy
//! for all. Prints ratios to the best peer.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]

mod args;
mod client;
mod round;
mod runtime;
mod table;
mod workload;

use std::error::Error;

use clap::Parser;
use zk_benches::Backend;

use crate::args::Args;
use crate::client::{Contestant, set_up};
use crate::round::{Sample, Target};
use crate::table::Table;
use crate::workload::Workload;

/// Clients' errors differ; here they only end the run.
type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

fn main() -> Result<()> {
    let args = Args::parse();
    for program in &args.backends {
        let backend = Backend::start(program)?;
        let name = program.file_name().unwrap_or(program.as_os_str());
        compare(&args, &name.to_string_lossy(), Target::Process(backend))?;
    }
    for address in &args.connect {
        compare(&args, address, Target::Elsewhere(address.clone()))?;
    }
    Ok(())
}

/// All workloads of all clients against one server.
fn compare(args: &Args, name: &str, mut target: Target) -> Result<()> {
    set_up(target.connect_string())?;
    for &workload in args.workloads() {
        let mut table = Table::new(args.clients());
        for _ in 0..args.rounds {
            for (row, &client) in args.clients().iter().enumerate() {
                table.add(row, measure(args, client, workload, &mut target)?);
            }
        }
        println!(
            "{} against {name}, {} runtime",
            workload.name(),
            args.runtime.name()
        );
        println!("{table}");
    }
    Ok(())
}

fn measure(
    args: &Args,
    client: Contestant,
    workload: Workload,
    target: &mut Target,
) -> Result<Sample> {
    client
        .measure(args.runtime, workload, args.phases(), target)
        .map_err(|error| format!("{}: {error}", client.name()).into())
}
