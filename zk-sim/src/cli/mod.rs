//! Runs of the simulator from the command line: many seeds, one seed as a timeline,
//! a failing seed made smaller, a night of them.
//!
//! It ends with 0 if all is well, with 1 after a violation and with 2 if it was
//! called wrongly.

mod args;
mod determinism;
mod ensembles;
mod list;
mod night;
mod plan;
mod progress;
mod replay;
mod run;
mod shrink;
mod suite;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Cli, Command};
pub use ensembles::ENSEMBLES;
pub use suite::{Suite, ZK_SIM};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All is well.
    Well,
    /// There was a violation, or what was to be found was not.
    Violated,
}

/// The program that runs `suite`, as its command line says.
pub fn main(suite: &'static Suite) -> ExitCode {
    let matches = Cli::command().name(suite.name).get_matches();
    let ended = match Cli::from_arg_matches(&matches) {
        Ok(cli) => carry_out(suite, cli.command),
        Err(error) => error.exit(),
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

fn carry_out(suite: &'static Suite, command: Command) -> Result<Ended, String> {
    match command {
        Command::Run(args) => run::run(suite, &args),
        Command::Replay(args) => replay::replay(suite, &args),
        Command::Shrink(args) => shrink::shrink(suite, &args),
        Command::Night(args) => night::night(suite, &args),
        Command::List => list::list(suite),
        Command::Hash(args) => determinism::print_hashes(suite, &args),
    }
}
