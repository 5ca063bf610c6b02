//! TLS with clients: its settings.

use std::path::PathBuf;
use std::time::Duration;

/// Which certificate a client has to have, as `ssl.clientAuth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It is not asked for one.
    None,
    /// It may have none; one that is not trusted is refused.
    Want,
    /// Without one that is trusted it is refused.
    #[default]
    Need,
}

/// How clients are met on a port with TLS.
///
/// Files are PEM. They are read when the server starts and at every restart, and with
/// [`reload`](TlsConfig::reload) while it runs.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), zk_server::ServerError> {
/// use zk_server::{Server, ServerConfig, TlsConfig};
///
/// let tls = TlsConfig::new("server.pem").trust_store("clients.pem");
/// let config = ServerConfig::embedded()
///     .tls(tls)
///     .secure_client_addr(([127, 0, 0, 1], 0).into())
///     .build()?;
/// let server = Server::builder().config(config).start().await?;
/// println!("with TLS: {:?}", server.secure_client_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TlsConfig {
    pub(crate) key_store: PathBuf,
    pub(crate) trust_store: Option<PathBuf>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) protocols: Protocols,
    pub(crate) handshake_timeout: Duration,
    /// Every authority of a client has to have a list of what it has revoked, not out of date.
    pub(crate) crl: bool,
    /// `client.certReload`
    pub(crate) reload: bool,
}

/// Versions of TLS that are spoken; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocols {
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
}

/// As Apache's `ssl.handshakeDetectionTimeoutMillis`.
const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

impl TlsConfig {
    /// `key_store` holds the server's certificate, those between it and its authority, and
    /// its private key, not encrypted. Clients need a certificate, until
    /// [`client_auth`](Self::client_auth) says otherwise.
    pub fn new(key_store: impl Into<PathBuf>) -> Self {
        Self {
            key_store: key_store.into(),
            trust_store: None,
            client_auth: ClientAuth::Need,
            protocols: Protocols {
                tls12: true,
                tls13: true,
            },
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            crl: false,
            reload: false,
        }
    }

    /// The authorities whose clients are trusted, as `ssl.trustStore.location`. Lists of
    /// revoked certificates (`X509 CRL`) in it are heeded.
    pub fn trust_store(mut self, file: impl Into<PathBuf>) -> Self {
        self.trust_store = Some(file.into());
        self
    }

    /// Which certificate a client has to have; [`ClientAuth::Need`] by default.
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Whether every authority of a client has to have a list of revoked certificates that is
    /// not out of date, as `ssl.crl`; without, which is the default, lists that are there are
    /// heeded.
    pub fn crl(mut self, needed: bool) -> Self {
        self.crl = needed;
        self
    }

    /// Whether files that have changed count for the handshakes after that, as
    /// `client.certReload`; off by default. They are looked at when a client comes, at most
    /// once in ten seconds. If they cannot be used, a warning says so and what was read
    /// before stays in force. Connections that there are go on.
    pub fn reload(mut self, reload: bool) -> Self {
        self.reload = reload;
        self
    }

    /// How long a client may take from its connection to the end of the handshake; 5 s by
    /// default, as `ssl.handshakeDetectionTimeoutMillis`.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}
