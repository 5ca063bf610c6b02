//! What the examples share: a server to talk to.

use zk_server::Server;

/// The ensemble that `ZK_CONNECT` names, or a server of our own.
pub struct Target {
    /// Where to connect.
    pub connect_string: String,
    /// Our own server; it lives as long as this value.
    pub server: Option<Server>,
}

impl Target {
    /// Starts a server unless `ZK_CONNECT` is set.
    ///
    /// # Errors
    ///
    /// The server cannot listen.
    pub async fn start() -> Result<Self, Box<dyn std::error::Error>> {
        if let Ok(connect_string) = std::env::var("ZK_CONNECT") {
            return Ok(Self { connect_string, server: None });
        }
        let server = Server::start().await?;
        Ok(Self { connect_string: server.connect_string(), server: Some(server) })
    }
}
