//! `ensemble`: several servers in this process, for development.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use zk_server::{Ensemble, PeerState, PeerStatus};

use crate::{logging, shutdown};

/// What the ensemble looks like.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Servers that vote
    #[arg(default_value_t = 3)]
    voters: usize,
    /// Servers that follow without a vote
    #[arg(long, default_value_t = 0)]
    observers: usize,
    /// The first server's port for clients, the others' follow; free ones without it
    #[arg(long, default_value_t = 0)]
    base_port: u16,
    /// Where the servers keep their data, each in a directory of its own; in memory without it
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Prints the connect string, then each member; serves until asked to stop.
pub(crate) async fn run(options: Options) -> Result<ExitCode, String> {
    logging::to_stderr("warn");
    let mut shutdown = shutdown::listen().map_err(|error| error.to_string())?;
    let builder = Ensemble::builder()
        .voters(options.voters)
        .observers(options.observers)
        .base_port(options.base_port);
    let builder = match options.data_dir {
        Some(dir) => builder.data_dir(dir),
        None => builder.in_memory(),
    };
    let ensemble = tokio::select! {
        started = builder.start() => started.map_err(|error| error.to_string())?,
        _ = shutdown.requested() => return Ok(ExitCode::SUCCESS),
    };
    println!("{}", ensemble.connect_string());
    for id in ensemble.peer_ids() {
        let peer = ensemble.peer(id);
        println!(
            "server.{id} {} {}",
            peer.connect_string(),
            mode(peer.status())
        );
    }
    let signal = shutdown.requested().await;
    tracing::info!(signal, "stopping");
    ensemble.stop_all().await;
    Ok(ExitCode::SUCCESS)
}

/// As `status` calls it.
fn mode(status: PeerStatus) -> &'static str {
    match status.state {
        PeerState::Looking => "looking",
        PeerState::Following => "follower",
        PeerState::Leading => "leader",
        PeerState::Observing => "observer",
    }
}
