//! The candidate: the bundled server, in this process.

use std::net::SocketAddr;

use tokio::runtime::{Builder, Runtime};
use zk_env::TokioEnv;
use zk_server::{Server, ZooCfg};

use super::Configuration;

/// A running server and the runtime it runs on, stopped when dropped.
#[derive(Debug)]
pub struct Bundled {
    /// Before its runtime, so that it goes first.
    server: Server,
    _runtime: Runtime,
}

/// Why there is none.
type Failure = Box<dyn std::error::Error>;

impl Bundled {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// The server does not take the configuration, or finds no port.
    pub fn start(configuration: &Configuration) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let server = runtime.block_on(async {
            let cfg = ZooCfg::parse(&configuration.zoo_cfg())?;
            let (config, _) = cfg.load(&*TokioEnv::new()).await?;
            Ok::<_, Failure>(Server::builder().in_memory().config(config).start().await?)
        })?;
        Ok(Self {
            server,
            _runtime: runtime,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.client_addr()
    }
}
