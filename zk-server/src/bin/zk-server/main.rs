//! The `zk-server` command: reads arguments and files, sets up logging and
//! signals, and leaves the rest to the library.

mod ensemble;
mod logging;
mod shutdown;
mod start;
mod status;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use zk_env::TokioEnv;
use zk_server::ZooCfg;

/// A bundled ZooKeeper server, alone or as a member of an ensemble, speaking the protocols of
/// Apache ZooKeeper 3.9.5 and keeping its data in Apache's files.
#[derive(Debug, Parser)]
#[command(name = "zk-server", version)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs of Apache's `zkServer.sh` that make sense here.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Serves until SIGTERM or SIGINT; logs go to stderr, RUST_LOG filters them
    StartForeground {
        /// The configuration, with Apache's keys
        #[arg(default_value = "conf/zoo.cfg")]
        config: PathBuf,
    },
    /// Asks the server of a configuration for its mode; exits with 1 if it does not answer
    Status {
        /// The configuration, with Apache's keys
        #[arg(default_value = "conf/zoo.cfg")]
        config: PathBuf,
    },
    /// Runs an ensemble on this machine, for development, until SIGTERM or SIGINT
    Ensemble(ensemble::Options),
}

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("zk-server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let env: Arc<TokioEnv> = TokioEnv::new();
        match verb {
            Verb::StartForeground { config } => start::foreground(&config, env).await,
            Verb::Status { config } => status::status(&config, &*env).await,
            Verb::Ensemble(options) => ensemble::run(options).await,
        }
    })
}

/// Reads a `zoo.cfg`; errors name it.
fn read_config(path: &Path) -> Result<ZooCfg, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| named(&error))?;
    let cfg = ZooCfg::from_bytes(bytes).map_err(|error| named(&error))?;
    // Of the file itself, which may be written anew: a link to it stays.
    let path = fs::canonicalize(path).map_err(|error| named(&error))?;
    Ok(cfg.read_from(path))
}
