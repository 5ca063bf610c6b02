//! The ports on which clients are met.

use std::net::SocketAddr;
use std::sync::Arc;

use zk_env::Env;

use super::listen::{Bound, bind};
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::tls::ClientTls;

/// Ports nobody accepts on yet.
pub(crate) struct ClientPorts {
    /// `clientPort`, and what meets clients there that begin with a handshake of TLS, if
    /// anything does.
    pub(crate) plain: (Bound, Option<ClientTls>),
    /// `secureClientPort`
    pub(crate) secure: Option<(Bound, ClientTls)>,
}

/// Where clients are met, with the ports the system chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddrs {
    pub(crate) plain: SocketAddr,
    pub(crate) secure: Option<SocketAddr>,
}

impl ClientAddrs {
    /// As configured.
    pub(crate) fn wanted(config: &ServerConfig) -> Self {
        Self {
            plain: config.client_addr,
            secure: config.secure_client_addr,
        }
    }
}

impl ClientPorts {
    /// Reads keys and certificates anew, and opens the ports.
    pub(crate) async fn open(
        addrs: ClientAddrs,
        config: &ServerConfig,
        env: &Arc<dyn Env>,
    ) -> Result<Self, ServerError> {
        let tls = match &config.tls {
            Some(tls) => Some(ClientTls::open(tls, env).await?),
            None => None,
        };
        let secure = match (addrs.secure, &tls) {
            (Some(addr), Some(tls)) => Some((bind(&**env, addr).await?, tls.clone())),
            _ => None,
        };
        let plain = bind(&**env, addrs.plain).await?;
        let tls = tls.filter(|_| config.has_port_unification);
        Ok(Self {
            plain: (plain, tls),
            secure,
        })
    }

    /// With the ports the system chose.
    pub(crate) fn addrs(&self) -> ClientAddrs {
        ClientAddrs {
            plain: self.plain.0.addr,
            secure: self.secure.as_ref().map(|(bound, _)| bound.addr),
        }
    }
}
