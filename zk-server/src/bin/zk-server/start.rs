//! `start-foreground`

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use zk_env::TokioEnv;
use zk_server::{EnsembleConfig, QuorumPeer, Server, ServerConfig, ServerError};

use crate::{logging, read_config, shutdown};

/// Serves until asked to stop, or until it fails: whoever supervises it starts it anew.
pub(crate) async fn foreground(path: &Path, env: Arc<TokioEnv>) -> Result<ExitCode, String> {
    let cfg = read_config(path)?;
    logging::to_stderr("info");
    let mut shutdown = shutdown::listen().map_err(|error| error.to_string())?;
    for note in cfg.notes() {
        tracing::warn!(config = %path.display(), "{note}");
    }
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let loaded = cfg.load(&*env).await;
    let (config, ensemble) = loaded.map_err(|error| named(&error))?;
    let started = Started::start(config, ensemble, env).await;
    let started = started.map_err(|error| named(&error))?;
    let failure = tokio::select! {
        signal = shutdown.requested() => {
            tracing::info!(signal, "stopping");
            None
        }
        failure = started.failed() => Some(failure.to_string()),
    };
    started.stop().await;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// What the configuration describes, at work.
enum Started {
    Alone(Box<Server>),
    Member(Box<QuorumPeer>),
}

impl Started {
    async fn start(
        config: ServerConfig,
        ensemble: Option<EnsembleConfig>,
        env: Arc<TokioEnv>,
    ) -> Result<Self, ServerError> {
        match ensemble {
            None => {
                let server = Server::builder().config(config).env(env).start().await?;
                Ok(Self::Alone(Box::new(server)))
            }
            Some(ensemble) => {
                let peer = QuorumPeer::builder(ensemble).config(config).env(env);
                Ok(Self::Member(Box::new(peer.start().await?)))
            }
        }
    }

    async fn failed(&self) -> ServerError {
        match self {
            Self::Alone(server) => server.failed().await,
            Self::Member(peer) => peer.failed().await,
        }
    }

    async fn stop(&self) {
        match self {
            Self::Alone(server) => server.stop().await,
            Self::Member(peer) => peer.stop().await,
        }
    }
}
