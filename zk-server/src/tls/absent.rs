//! In place of TLS in a build without it.

use std::sync::Arc;
use std::time::Duration;

use zk_env::{BoxStream, Env};

use super::Accepted;
use crate::config::TlsConfig;
use crate::error::ConfigError;

/// Never made.
#[derive(Clone, Debug)]
pub(crate) enum ClientTls {}

impl ClientTls {
    pub(crate) async fn open(_: &TlsConfig, _: &Arc<dyn Env>) -> Result<Self, ConfigError> {
        Err(ConfigError::Unsupported {
            key: "secureClientPort".to_owned(),
            reason: "this build has no TLS, the feature tls is missing".to_owned(),
        })
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        match *self {}
    }

    pub(crate) async fn accept(&self, _: BoxStream) -> Result<Accepted, String> {
        match *self {}
    }
}
