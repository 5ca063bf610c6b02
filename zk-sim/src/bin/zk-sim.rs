//! Runs of client and server in the simulator, from the command line; see
//! [`zk_sim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    zk_sim::cli::main(zk_sim::cli::ZK_SIM)
}
