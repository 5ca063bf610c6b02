//! The admin server and the metrics provider: their keys and their settings.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use zk_env::Env;

use super::value::{boolean, integer, millis};
use crate::error::ConfigError;

/// Whether this build has an admin server at all.
pub(super) const IS_BUILT_IN: bool = cfg!(feature = "admin");

/// What is served over HTTP to operators, if anything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminConfig {
    /// Where Apache's admin commands are served, `admin.enableServer` and so on; port 0 lets
    /// the system choose.
    pub(crate) server_addr: Option<SocketAddr>,
    /// The path below which they are, `admin.commandURL`; begins with a slash and ends with
    /// none.
    pub(crate) command_url: String,
    /// How long a connection may last, `admin.idleTimeout`.
    pub(crate) idle_timeout: Duration,
    /// Where metrics are served apart from them, `metricsProvider.httpPort`.
    pub(crate) metrics_addr: Option<SocketAddr>,
}

impl AdminConfig {
    /// Nothing is served; the rest is Apache's.
    pub(super) fn off() -> Self {
        Self {
            server_addr: None,
            command_url: DEFAULT_COMMAND_URL.to_owned(),
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            metrics_addr: None,
        }
    }
}

const DEFAULT_COMMAND_URL: &str = "/commands";
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_SERVER_PORT: u16 = 8080;
const DEFAULT_METRICS_PORT: u16 = 7000;

/// The provider that serves what Prometheus collects.
const PROMETHEUS: &str = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
/// Those that serve nothing.
const OTHERS: [&str; 2] = [
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
];

/// The keys of a `zoo.cfg`, before names are looked up.
#[derive(Clone, Debug)]
pub(super) struct AdminDraft {
    is_enabled: bool,
    host: Option<String>,
    port: u16,
    command_url: String,
    idle_timeout: Duration,
    has_prometheus: bool,
    metrics_host: Option<String>,
    metrics_port: u16,
}

impl Default for AdminDraft {
    fn default() -> Self {
        Self {
            is_enabled: true,
            host: None,
            port: DEFAULT_SERVER_PORT,
            command_url: DEFAULT_COMMAND_URL.to_owned(),
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            has_prometheus: false,
            metrics_host: None,
            metrics_port: DEFAULT_METRICS_PORT,
        }
    }
}

impl AdminDraft {
    /// Takes a key; false if it is none of these, or says what is not done here.
    pub(super) fn apply(&mut self, k: &str, v: &str) -> Result<bool, ConfigError> {
        if !IS_BUILT_IN {
            return Ok(false);
        }
        match k {
            "admin.enableServer" => self.is_enabled = boolean(k, v)?,
            "admin.serverAddress" => self.host = Some(v.to_owned()),
            "admin.serverPort" => self.port = integer(k, v, 0..=u16::MAX)?,
            "admin.commandURL" => self.command_url = command_url(k, v)?,
            "admin.idleTimeout" => self.idle_timeout = millis(k, v, 1)?,
            // False is what there is.
            "admin.portUnification" | "admin.forceHttps" | "admin.needClientAuth" => {
                return Ok(!boolean(k, v)?);
            }
            "metricsProvider.className" => {
                self.has_prometheus = v == PROMETHEUS;
                return Ok(self.has_prometheus || OTHERS.contains(&v));
            }
            "metricsProvider.httpHost" => self.metrics_host = Some(v.to_owned()),
            "metricsProvider.httpPort" => self.metrics_port = integer(k, v, 0..=u16::MAX)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Looks the addresses up. Without a host it is every address.
    pub(super) async fn resolve(&self, env: &dyn Env) -> Result<AdminConfig, ConfigError> {
        let mut config = AdminConfig {
            command_url: self.command_url.clone(),
            idle_timeout: self.idle_timeout,
            ..AdminConfig::off()
        };
        if self.is_enabled && IS_BUILT_IN {
            let (key, host) = ("admin.serverAddress", self.host.as_deref());
            config.server_addr = Some(bind_addr(key, host, self.port, env).await?);
        }
        if self.has_prometheus {
            let (key, host) = ("metricsProvider.httpHost", self.metrics_host.as_deref());
            config.metrics_addr = Some(bind_addr(key, host, self.metrics_port, env).await?);
        }
        Ok(config)
    }
}

/// Without the slash at its end.
fn command_url(key: &str, value: &str) -> Result<String, ConfigError> {
    if !value.starts_with('/') || value.contains(['?', '#']) {
        return Err(ConfigError::value(key, value, "a path that begins with /"));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// Where to listen; on every address without a host. `key` is what says the host.
pub(super) async fn bind_addr(
    key: &str,
    host: Option<&str>,
    port: u16,
    env: &dyn Env,
) -> Result<SocketAddr, ConfigError> {
    let Some(host) = host else {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    };
    let unknown = || ConfigError::value(key, host, "an address of this machine");
    let found = env.resolve(host, port).await.map_err(|_| unknown())?;
    found.first().copied().ok_or_else(unknown)
}
