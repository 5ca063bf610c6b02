//! The checked configuration of one server.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use zk_proto::DEFAULT_FRAME_LIMIT;

use super::admin::AdminConfig;
use super::builder::ServerConfigBuilder;
use super::sasl::SaslConfig;
use super::storage::StorageConfig;
use super::tls::TlsConfig;

/// Apache's `tickTime` when the configuration does not say.
pub(crate) const DEFAULT_TICK_TIME: Duration = Duration::from_millis(3000);

/// Everything a server may be told, checked: the values fit each other.
///
/// Made by [`ServerConfig::builder`], by [`ServerConfig::embedded`], or from the
/// text of a `zoo.cfg` by [`ZooCfg::parse`](crate::config::ZooCfg::parse).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where clients connect; port 0 lets the system choose.
    pub(crate) client_addr: SocketAddr,
    /// Where clients connect by TLS alone; port 0 lets the system choose.
    pub(crate) secure_client_addr: Option<SocketAddr>,
    /// Clients may begin with TLS at `client_addr` as well.
    pub(crate) has_port_unification: bool,
    /// How they are met then.
    pub(crate) tls: Option<TlsConfig>,
    /// `X509AuthenticationProvider.superUser`
    pub(crate) x509_super_user: Option<String>,
    /// The unit of expiry buckets; at least one millisecond.
    pub(crate) tick_time: Duration,
    /// Shorter session timeouts are raised to this; fits an `i32` of milliseconds.
    pub(crate) min_session_timeout: Duration,
    /// Longer session timeouts are lowered to this; fits an `i32` of milliseconds.
    pub(crate) max_session_timeout: Duration,
    /// Connections per client address; 0 is no limit.
    pub(crate) max_client_cnxns: u32,
    /// Connections in all; 0 is no limit.
    pub(crate) max_cnxns: u32,
    /// `jute.maxbuffer`: the largest payload of a frame from a client, in bytes.
    pub(crate) frame_limit: usize,
    /// How long a connection may stay without a handshake.
    pub(crate) sessionless_timeout: Duration,
    /// Requests taken from one connection before its replies have been written.
    pub(crate) global_outstanding_limit: u32,
    /// Bytes of incomplete requests on all connections.
    pub(crate) inbound_limit_bytes: usize,
    /// Bytes waiting for one connection above which nothing more is read from it.
    pub(crate) outbox_pause_bytes: usize,
    /// Bytes waiting for one connection above which it is closed.
    pub(crate) outbox_limit_bytes: usize,
    /// TTL znodes, `extendedTypesEnabled`.
    pub(crate) extended_types_enabled: bool,
    /// Hard quotas reject writes, `enforceQuota`.
    pub(crate) enforce_quota: bool,
    /// Permissions are not checked, `skipACL`.
    pub(crate) skip_acl: bool,
    /// Operation 16 is not refused outright, `reconfigEnabled`.
    pub(crate) reconfig_enabled: bool,
    /// The `digest` scheme exists.
    pub(crate) digest_auth_enabled: bool,
    /// `user:base64(sha1(user:password))` that makes a connection `super`.
    pub(crate) super_digest: Option<String>,
    /// Schemes of which a connection needs one before its first request; empty
    /// is no such rule.
    pub(crate) enforce_auth_schemes: Vec<String>,
    pub(crate) sasl: SaslConfig,
    /// How often the reaper looks for containers and TTL znodes to delete.
    pub(crate) container_check_interval: Duration,
    /// The reaper's pace.
    pub(crate) container_max_per_minute: u32,
    /// Age at which a container that never had a child is deleted; zero is never.
    pub(crate) container_max_never_used: Duration,
    /// Four-letter words that are answered.
    pub(crate) four_letter_words: FourLetterWords,
    /// Shown by `conf`: the backlog the configuration asked for, −1 if it did not.
    pub(crate) listen_backlog: i32,
    /// Where snapshots are; without it everything is in memory alone.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the transaction log is, if there is a `data_dir`.
    pub(crate) data_log_dir: Option<PathBuf>,
    pub(crate) storage: StorageConfig,
    pub(crate) admin: AdminConfig,
}

/// The four-letter words a server answers, `4lw.commands.whitelist`. `srvr` is
/// always one of them: `zkServer.sh status` and `zk-server status` ask with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FourLetterWords {
    /// All of them, `*`.
    All,
    /// These, and `srvr`.
    Only(BTreeSet<String>),
}

impl FourLetterWords {
    /// Whether `word` is answered.
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(words) => word == "srvr" || words.contains(word),
        }
    }
}

impl ServerConfig {
    /// Apache's defaults, listening on a free loopback port.
    pub fn builder() -> ServerConfigBuilder {
        ServerConfigBuilder::new(Self::apache())
    }

    /// Defaults for tests and for development, on a free loopback port: ticks of
    /// 100 ms so that sessions can be short (from 200 ms to 60 s), the reaper every
    /// 100 ms, TTL znodes on, any number of connections, every four-letter word.
    pub fn embedded() -> ServerConfigBuilder {
        Self::builder()
            .tick_time(Duration::from_millis(100))
            .max_session_timeout(Duration::from_secs(60))
            .container_check_interval(Duration::from_millis(100))
            .extended_types(true)
            .max_client_cnxns(0)
            .four_letter_words(FourLetterWords::All)
    }

    fn apache() -> Self {
        Self {
            client_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secure_client_addr: None,
            has_port_unification: false,
            tls: None,
            x509_super_user: None,
            tick_time: DEFAULT_TICK_TIME,
            min_session_timeout: 2 * DEFAULT_TICK_TIME,
            max_session_timeout: 20 * DEFAULT_TICK_TIME,
            max_client_cnxns: 60,
            max_cnxns: 0,
            frame_limit: DEFAULT_FRAME_LIMIT,
            sessionless_timeout: Duration::from_secs(10),
            global_outstanding_limit: 1000,
            inbound_limit_bytes: 256 << 20,
            outbox_pause_bytes: 1 << 20,
            outbox_limit_bytes: 64 << 20,
            extended_types_enabled: false,
            enforce_quota: false,
            skip_acl: false,
            reconfig_enabled: false,
            digest_auth_enabled: true,
            super_digest: None,
            enforce_auth_schemes: Vec::new(),
            sasl: SaslConfig::default(),
            container_check_interval: Duration::from_secs(60),
            container_max_per_minute: 10_000,
            container_max_never_used: Duration::ZERO,
            four_letter_words: FourLetterWords::Only(BTreeSet::new()),
            listen_backlog: -1,
            data_dir: None,
            data_log_dir: None,
            storage: StorageConfig::DEFAULT,
            admin: AdminConfig::off(),
        }
    }

    /// Where clients connect; port 0 lets the system choose.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// The unit in which sessions expire.
    pub fn tick_time(&self) -> Duration {
        self.tick_time
    }

    /// The shortest session timeout a client gets.
    pub fn min_session_timeout(&self) -> Duration {
        self.min_session_timeout
    }

    /// The longest session timeout a client gets.
    pub fn max_session_timeout(&self) -> Duration {
        self.max_session_timeout
    }

    /// Connections per client address; 0 is no limit.
    pub fn max_client_cnxns(&self) -> u32 {
        self.max_client_cnxns
    }

    /// The largest frame payload taken from a client, in bytes.
    pub fn frame_limit(&self) -> usize {
        self.frame_limit
    }
}
