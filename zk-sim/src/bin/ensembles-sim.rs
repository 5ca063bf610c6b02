//! Runs of whole ensembles in the simulator, from the command line; see
//! [`zk_sim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    zk_sim::cli::main(zk_sim::cli::ENSEMBLES)
}
