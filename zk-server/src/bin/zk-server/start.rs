//! `start-foreground`

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use zk_env::TokioEnv;
use zk_server::{Server, ServerError};

use crate::{read_config, shutdown};

/// Serves until asked to stop, or until it fails: whoever supervises it starts it anew.
pub(crate) async fn foreground(path: &Path, env: Arc<TokioEnv>) -> Result<ExitCode, String> {
    let cfg = read_config(path)?;
    log_to_stderr();
    let mut shutdown = shutdown::listen().map_err(|error| error.to_string())?;
    for note in cfg.notes() {
        tracing::warn!(config = %path.display(), "{note}");
    }
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let (config, ensemble) = cfg.load(&*env).await.map_err(|error| named(&error))?;
    if ensemble.is_some() {
        return Err(named(&"ensembles are not supported yet"));
    }
    let server = Server::builder().config(config).env(env).start().await;
    let server = server.map_err(|error: ServerError| named(&error))?;
    let failure = tokio::select! {
        signal = shutdown.requested() => {
            tracing::info!(signal, "stopping");
            None
        }
        failure = server.failed() => Some(failure.to_string()),
    };
    server.stop().await;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
