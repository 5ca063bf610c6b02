//! Setting a [`ServerConfig`] value by value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::admin::AdminConfig;
use super::sasl::SaslConfig;
use super::server_config::{FourLetterWords, ServerConfig};
use super::storage::StorageConfig;
use super::tls::TlsConfig;
use zk_proto::sasl::Secret;

use crate::error::ConfigError;

/// Collects values; [`build`](Self::build) checks them all at once.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerConfigBuilder {
    config: ServerConfig,
    min_session_timeout: Option<Duration>,
    max_session_timeout: Option<Duration>,
}

/// What the wire carries in a session timeout.
const MAX_MILLIS: u128 = i32::MAX as u128;

impl ServerConfigBuilder {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self {
            config,
            min_session_timeout: None,
            max_session_timeout: None,
        }
    }

    /// Where clients connect. Port 0, the default (on loopback), lets the system
    /// choose; [`Server::client_addr`](crate::Server::client_addr) tells what it chose.
    pub fn client_addr(mut self, addr: SocketAddr) -> Self {
        self.config.client_addr = addr;
        self
    }

    /// Where clients connect by TLS alone, as `secureClientPort`; nowhere by default.
    /// [`tls`](Self::tls) says how. Port 0 lets the system choose.
    pub fn secure_client_addr(mut self, addr: SocketAddr) -> Self {
        self.config.secure_client_addr = Some(addr);
        self
    }

    /// Whether clients may begin with TLS at [`client_addr`](Self::client_addr) as well, as
    /// `client.portUnification`; they may not by default.
    pub fn port_unification(mut self, unified: bool) -> Self {
        self.config.has_port_unification = unified;
        self
    }

    /// Keys, certificates and what is asked of clients with TLS. The subject of a client's
    /// certificate is its identity of scheme `x509`, and ACLs may have ids of it.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// The subject of a certificate whose owner passes every permission check, as
    /// `X509AuthenticationProvider.superUser`, such as `CN=admin,O=Zoo`. Nobody by default.
    pub fn x509_super_user(mut self, subject: impl Into<String>) -> Self {
        self.config.x509_super_user = Some(subject.into());
        self
    }

    /// The unit in which sessions expire, in whole milliseconds; 3 s by default, as
    /// Apache's `tickTime`. Sessions expire up to one tick late, never early. The
    /// default session timeout limits are 2 and 20 ticks.
    pub fn tick_time(mut self, tick: Duration) -> Self {
        self.config.tick_time = tick;
        self
    }

    /// Clients that ask for less get this much; two ticks by default.
    pub fn min_session_timeout(mut self, timeout: Duration) -> Self {
        self.min_session_timeout = Some(timeout);
        self
    }

    /// Clients that ask for more get this much; twenty ticks by default. A long
    /// timeout keeps the ephemerals of a dead client for as long.
    pub fn max_session_timeout(mut self, timeout: Duration) -> Self {
        self.max_session_timeout = Some(timeout);
        self
    }

    /// Connections from one client address; 60 by default as `maxClientCnxns`, 0 is
    /// no limit. One more is accepted and closed at once.
    pub fn max_client_cnxns(mut self, limit: u32) -> Self {
        self.config.max_client_cnxns = limit;
        self
    }

    /// Connections in all; 0, the default, is no limit.
    pub fn max_cnxns(mut self, limit: u32) -> Self {
        self.config.max_cnxns = limit;
        self
    }

    /// The largest frame payload taken from a client, in bytes; 1 048 575 by default
    /// as `jute.maxbuffer`. A longer one closes the connection unanswered.
    pub fn frame_limit(mut self, bytes: usize) -> Self {
        self.config.frame_limit = bytes;
        self
    }

    /// How long a connection may stay without a handshake; 10 s by default, as
    /// `nio.sessionlessCnxnTimeout`.
    pub fn sessionless_timeout(mut self, timeout: Duration) -> Self {
        self.config.sessionless_timeout = timeout;
        self
    }

    /// Requests handled for one connection before their replies go out and others
    /// have had their turn; 1000 by default, after `globalOutstandingLimit`. A lower
    /// limit is fairer to other connections and slower for pipelining clients.
    pub fn global_outstanding_limit(mut self, requests: u32) -> Self {
        self.config.global_outstanding_limit = requests;
        self
    }

    /// What may wait for the rest of large requests on all connections together, in
    /// bytes; 256 MiB by default, as many of the largest requests as that holds. Above
    /// it whoever sends more of one is closed. Lower saves memory under attack, and
    /// hits honest clients with large requests sooner.
    pub fn inbound_limit(mut self, bytes: usize) -> Self {
        self.config.inbound_limit_bytes = bytes;
        self
    }

    /// What may wait for a client that does not read, in bytes. Above `pause` (1 MiB
    /// by default) its requests are no longer read; above `limit` (64 MiB by default),
    /// which watch events alone can reach, it is closed.
    pub fn outbox_limits(mut self, pause: usize, limit: usize) -> Self {
        self.config.outbox_pause_bytes = pause;
        self.config.outbox_limit_bytes = limit;
        self
    }

    /// Whether TTL znodes can be created; off by default, as `extendedTypesEnabled`.
    pub fn extended_types(mut self, enabled: bool) -> Self {
        self.config.extended_types_enabled = enabled;
        self
    }

    /// Whether a hard quota rejects writes; off by default, as `enforceQuota`.
    pub fn enforce_quota(mut self, enforce: bool) -> Self {
        self.config.enforce_quota = enforce;
        self
    }

    /// Whether permissions go unchecked; off by default, as `skipACL`.
    pub fn skip_acl(mut self, skip: bool) -> Self {
        self.config.skip_acl = skip;
        self
    }

    /// Whether `reconfig` gets past its first check; off by default. A standalone
    /// server refuses it either way, with another code.
    pub fn reconfig(mut self, enabled: bool) -> Self {
        self.config.reconfig_enabled = enabled;
        self
    }

    /// Whether the `digest` scheme exists; it does by default.
    pub fn digest_auth(mut self, enabled: bool) -> Self {
        self.config.digest_auth_enabled = enabled;
        self
    }

    /// Who passes every permission check: `user:base64(sha1(user:password))`, usually
    /// `super:…`. Nobody by default.
    pub fn super_digest(mut self, digest: impl Into<String>) -> Self {
        self.config.super_digest = Some(digest.into());
        self
    }

    /// Schemes of which a connection must have an identity before its first request,
    /// as `enforce.auth.schemes`; none by default.
    pub fn enforce_auth_schemes(mut self, schemes: Vec<String>) -> Self {
        self.config.enforce_auth_schemes = schemes;
        self
    }

    /// Who may come by SASL DIGEST-MD5, with which password; ACLs may then have ids of
    /// scheme `sasl`. Nobody by default, and then there is no SASL.
    pub fn sasl_users<U: Into<String>, P: Into<Secret>>(
        mut self,
        users: impl IntoIterator<Item = (U, P)>,
    ) -> Self {
        let users = users
            .into_iter()
            .map(|(user, password)| (user.into(), password.into()));
        self.config.sasl.users = Some(users.collect());
        self.config.sasl.has_acls = true;
        self
    }

    /// A user of SASL who passes every permission check, as `superUser`; may be
    /// repeated. Nobody by default.
    pub fn sasl_super_user(mut self, user: impl Into<String>) -> Self {
        self.config.sasl.super_users.push(user.into());
        self
    }

    /// Whether a client whose SASL failed may stay, without an identity; it may not by
    /// default. Does nothing where `sasl` is enforced. As `allowSaslFailedClients`.
    pub fn allow_sasl_failed_clients(mut self, allow: bool) -> Self {
        self.config.sasl.allow_failed_clients = allow;
        self
    }

    pub(super) fn sasl(mut self, change: impl FnOnce(&mut SaslConfig)) -> Self {
        change(&mut self.config.sasl);
        self
    }

    /// How often empty containers and expired TTL znodes are looked for; 60 s by
    /// default, as `znode.container.checkIntervalMs`.
    pub fn container_check_interval(mut self, interval: Duration) -> Self {
        self.config.container_check_interval = interval;
        self
    }

    /// How many of them may be deleted in a minute; 10 000 by default, as
    /// `znode.container.maxPerMinute`.
    pub fn container_max_per_minute(mut self, deletions: u32) -> Self {
        self.config.container_max_per_minute = deletions;
        self
    }

    /// The age at which a container that never had a child is deleted; zero, the
    /// default, is never (ZOOKEEPER-3546).
    pub fn container_max_never_used(mut self, age: Duration) -> Self {
        self.config.container_max_never_used = age;
        self
    }

    /// The four-letter words that are answered; `srvr` alone by default.
    pub fn four_letter_words(mut self, words: FourLetterWords) -> Self {
        self.config.four_letter_words = words;
        self
    }

    pub(super) fn listen_backlog(mut self, backlog: i32) -> Self {
        self.config.listen_backlog = backlog;
        self
    }

    /// Where snapshots and the transaction log are kept, as `dataDir`: what a server has
    /// acknowledged survives its end. By default there is no such place and everything is in
    /// memory alone. The files are Apache's.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.data_dir = Some(dir.into());
        self
    }

    /// Where the transaction log is kept, if apart from the snapshots, as `dataLogDir`.
    pub fn data_log_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.data_log_dir = Some(dir.into());
        self
    }

    /// A snapshot is taken after this many transactions at the latest, and after half of them
    /// at the earliest; 100 000 by default, at least 2, as `snapCount`.
    pub fn snap_count(mut self, transactions: u32) -> Self {
        self.config.storage.snap_count = transactions.max(2);
        self
    }

    /// Whether a write is synced before it is acknowledged; true by default, as `forceSync`.
    /// Without it a crash of the machine, though not of the process, loses what was
    /// acknowledged.
    pub fn force_sync(mut self, sync: bool) -> Self {
        self.config.storage.force_sync = sync;
        self
    }

    /// Bytes by which a log is extended before it is full; 64 MiB by default, 0 is never, as
    /// `preAllocSize`.
    pub fn preallocate(mut self, bytes: u64) -> Self {
        self.config.storage.preallocate_bytes = bytes;
        self
    }

    /// Whether an empty data directory may be begun with; true by default, as
    /// `db.autocreate`. If not, a file `initialize` in it permits that once.
    pub fn autocreate(mut self, autocreate: bool) -> Self {
        self.config.storage.autocreate = autocreate;
        self
    }

    /// How often old snapshots and logs are deleted, and how many snapshots are kept, 3 at
    /// least; never by default, as `autopurge.purgeInterval`.
    pub fn autopurge(mut self, interval: Duration, snap_retain_count: usize) -> Self {
        self.config.storage.purge_interval = Some(interval);
        self.config.storage.snap_retain_count = snap_retain_count;
        self
    }

    pub(super) fn storage(mut self, change: impl FnOnce(&mut StorageConfig)) -> Self {
        change(&mut self.config.storage);
        self
    }

    /// Where Apache's admin commands (`/commands`) and metrics (`/metrics`) are served over
    /// HTTP, as `admin.serverAddress` and `admin.serverPort`; nowhere by default. Port 0 lets
    /// the system choose; [`Server::admin_addr`](crate::Server::admin_addr) tells what it
    /// chose. There is no authentication: give an address that operators alone can reach.
    #[cfg(feature = "admin")]
    pub fn admin_server(mut self, addr: SocketAddr) -> Self {
        self.config.admin.server_addr = Some(addr);
        self
    }

    /// Where metrics alone are served over HTTP for Prometheus, as
    /// `metricsProvider.httpPort`; nowhere by default. Port 0 lets the system choose;
    /// [`Server::metrics_addr`](crate::Server::metrics_addr) tells what it chose.
    #[cfg(feature = "admin")]
    pub fn metrics(mut self, addr: SocketAddr) -> Self {
        self.config.admin.metrics_addr = Some(addr);
        self
    }

    pub(super) fn admin(mut self, admin: AdminConfig) -> Self {
        self.config.admin = admin;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// The first value that cannot be served with, and what is allowed instead.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let Self {
            mut config,
            min_session_timeout,
            max_session_timeout,
        } = self;
        let tick = whole_millis("tickTime", config.tick_time)?;
        let min = min_session_timeout.unwrap_or(tick * 2);
        let max = max_session_timeout.unwrap_or(tick * 20);
        config.tick_time = tick;
        config.min_session_timeout = whole_millis("minSessionTimeout", min)?;
        config.max_session_timeout = whole_millis("maxSessionTimeout", max)?;
        if config.min_session_timeout > config.max_session_timeout {
            return Err(ConfigError::value(
                "minSessionTimeout",
                format!("{} ms", min.as_millis()),
                format!("at most maxSessionTimeout, {} ms", max.as_millis()),
            ));
        }
        check_limits(&config)?;
        if config.data_log_dir.is_none() {
            config.data_log_dir.clone_from(&config.data_dir);
        }
        Ok(config)
    }
}

fn whole_millis(key: &'static str, value: Duration) -> Result<Duration, ConfigError> {
    let millis = value.as_millis();
    if millis == 0 || millis > MAX_MILLIS {
        let given = format!("{millis} ms");
        return Err(ConfigError::value(
            key,
            given,
            format!("1 to {MAX_MILLIS} ms"),
        ));
    }
    Ok(Duration::from_millis(
        u64::try_from(millis).unwrap_or(u64::MAX),
    ))
}

fn check_limits(config: &ServerConfig) -> Result<(), ConfigError> {
    let wants_tls = config.secure_client_addr.is_some() || config.has_port_unification;
    if wants_tls && config.tls.is_none() {
        return Err(ConfigError::Missing {
            key: "ssl.keyStore.location".to_owned(),
            purpose: "TLS: a PEM file with the server's certificate and private key".to_owned(),
        });
    }
    let max_frame = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
    if config.frame_limit < 45 || config.frame_limit > max_frame {
        let allowed = format!("45 (a handshake) to {max_frame} bytes");
        let given = config.frame_limit.to_string();
        return Err(ConfigError::value("jute.maxbuffer", given, allowed));
    }
    if config.global_outstanding_limit == 0 {
        return Err(ConfigError::value(
            "globalOutstandingLimit",
            "0",
            "1 or more",
        ));
    }
    if config.inbound_limit_bytes < config.frame_limit {
        return Err(ConfigError::value(
            "inbound limit",
            config.inbound_limit_bytes.to_string(),
            format!("jute.maxbuffer, {}, or more", config.frame_limit),
        ));
    }
    if config.outbox_pause_bytes == 0 || config.outbox_pause_bytes > config.outbox_limit_bytes {
        return Err(ConfigError::value(
            "outbox limits",
            config.outbox_pause_bytes.to_string(),
            format!("1 to the closing limit, {}", config.outbox_limit_bytes),
        ));
    }
    if config.container_check_interval.is_zero() {
        return Err(ConfigError::value(
            "znode.container.checkIntervalMs",
            "0",
            "1 or more",
        ));
    }
    if config.container_max_per_minute == 0 {
        return Err(ConfigError::value(
            "znode.container.maxPerMinute",
            "0",
            "1 or more",
        ));
    }
    Ok(())
}
