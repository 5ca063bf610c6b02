//! Runs of the simulator from the command line: many seeds, one seed as a timeline,
//! a failing seed made smaller, a night of them.
//!
//! It ends with 0 if all is well, with 1 after a violation and with 2 if it was
//! called wrongly.

mod args;
mod determinism;
mod list;
mod night;
mod plan;
mod progress;
mod replay;
mod run;
mod shrink;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All is well.
    Well,
    /// There was a violation, or what was to be found was not.
    Violated,
}

/// The program.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Night(args) => night::night(&args),
        Command::List => list::list(),
        Command::Hash(args) => determinism::print_hashes(&args),
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Violated) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
