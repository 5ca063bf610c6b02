//! Configuration: a by-value builder, checked once.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zk_env::{BoxFuture, BoxStream, Env, TokioEnv};
use zk_proto::{ConnectString, DEFAULT_FRAME_LIMIT, Password, SessionId, Xid};

use crate::error::{ConnectError, Error};
use crate::sasl::{Mechanism, Sasl};
use crate::schedule::BackoffLimits;
use crate::session::{AuthInfo, Limits, SessionConfig};
use crate::{Client, client};

/// Kazoo's and Curator's users mostly run with 10 to 60 s; a short default finds
/// failures early, and Apache clamps it to 2–20 ticks anyway.
pub const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long `connect` tries by default: enough for an ensemble to elect a leader.
pub const DEFAULT_CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a call waits by default: three default session timeouts, by which
/// time the session is back or lost.
pub const DEFAULT_OPERATION_DEADLINE: Duration = Duration::from_secs(30);
/// Requests on the wire at once: beyond a few hundred, throughput no longer rises.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 1024;
/// Requests waiting to be sent.
pub const DEFAULT_QUEUED_REQUESTS: usize = 16 * 1024;
/// Bytes waiting to be sent: a dozen requests of the largest size.
pub const DEFAULT_QUEUED_BYTES: usize = 16 * 1024 * 1024;
/// Largest reply accepted. Apache's servers do not bound a list of children, so
/// this is larger than what they accept themselves.
pub const DEFAULT_REPLY_LIMIT: usize = 16 * 1024 * 1024;
/// How long the driver looks for an answer before it sleeps: what sleeping and being
/// woken costs on a virtual machine, about a round trip within a rack.
pub const DEFAULT_BUSY_POLL: Duration = Duration::from_micros(100);

/// No frame that matters fits into less: the handshake's takes 45 bytes.
const MIN_FRAME: usize = 64;

/// Opens connections: the place for proxies, service meshes and unix sockets.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Opens a stream to `address`. No deadline of its own.
    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<BoxStream>>;

    /// Opens a stream to `address`, one of those that `host` has in the connect string's
    /// words: for those who want to know by which name the server was looked up.
    fn connect_to(&self, host: &str, address: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        let _ = host;
        self.connect(address)
    }
}

/// Looks host names up, anew for every attempt.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// Every address of `host`, each with `port`.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
}

/// The environment itself as connector and resolver.
#[derive(Debug)]
struct Direct(Arc<dyn Env>);

impl Connector for Direct {
    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        self.0.connect(address)
    }
}

impl Resolver for Direct {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.0.resolve(host, port)
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) servers: ConnectString,
    pub(crate) session: SessionConfig,
    pub(crate) connect_deadline: Duration,
    pub(crate) operation_deadline: Duration,
    pub(crate) backoff: BackoffLimits,
    pub(crate) should_shuffle: bool,
    pub(crate) reply_limit: usize,
    pub(crate) busy_poll: Duration,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) resolver: Arc<dyn Resolver>,
}

/// Everything about a client that can be chosen. The defaults are good; each
/// setter says what raising and lowering does. Nothing is checked before
/// [`connect`](Self::connect).
///
/// ```no_run
/// # async fn example() -> Result<(), zk_client::ConnectError> {
/// use std::time::Duration;
/// let client = zk_client::Client::builder("zk1:2181,zk2:2181/app")
///     .session_timeout(Duration::from_secs(30))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    servers: String,
    session_timeout: Duration,
    connect_deadline: Duration,
    operation_deadline: Duration,
    backoff: BackoffLimits,
    limits: Limits,
    reply_limit: usize,
    busy_poll: Duration,
    should_shuffle: bool,
    allow_read_only: bool,
    new_session_after_expiry: bool,
    resume: Option<(SessionId, Password)>,
    auths: Vec<AuthInfo>,
    mechanism: Option<Arc<dyn Mechanism>>,
    last_xid: Xid,
    env: Option<Arc<dyn Env>>,
    connector: Option<Arc<dyn Connector>>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
    resolver: Option<Arc<dyn Resolver>>,
}

impl ClientBuilder {
    pub(crate) fn new(servers: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            session_timeout: DEFAULT_SESSION_TIMEOUT,
            connect_deadline: DEFAULT_CONNECT_DEADLINE,
            operation_deadline: DEFAULT_OPERATION_DEADLINE,
            backoff: BackoffLimits {
                min: Duration::from_millis(50),
                max: Duration::from_secs(2),
            },
            limits: Limits {
                queued_requests: DEFAULT_QUEUED_REQUESTS,
                queued_bytes: DEFAULT_QUEUED_BYTES,
                in_flight: DEFAULT_MAX_IN_FLIGHT,
                frame: DEFAULT_FRAME_LIMIT,
            },
            reply_limit: DEFAULT_REPLY_LIMIT,
            busy_poll: DEFAULT_BUSY_POLL,
            should_shuffle: true,
            allow_read_only: false,
            new_session_after_expiry: true,
            resume: None,
            auths: Vec::new(),
            mechanism: None,
            last_xid: Xid(0),
            env: None,
            connector: None,
            #[cfg(feature = "tls")]
            tls: None,
            resolver: None,
        }
    }

    /// How long the session survives without contact; the server clamps it (to 2–20
    /// of its ticks by default), [`Client::session_timeout`] tells the result.
    /// Shorter finds failures sooner and frees locks sooner; longer rides out longer
    /// pauses. Default 10 s.
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How long `connect` tries before it fails. Default 30 s.
    pub const fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// How long each call waits for its answer, time in the queue included;
    /// [`Client::with_deadline`] changes it for one handle. Default 30 s.
    pub const fn operation_deadline(mut self, deadline: Duration) -> Self {
        self.operation_deadline = deadline;
        self
    }

    /// Pauses between rounds of attempts, doubled from `min` to `max` with jitter.
    /// Smaller comes back sooner, larger spares a struggling ensemble. Default
    /// 50 ms to 2 s.
    pub const fn reconnect_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff = BackoffLimits { min, max };
        self
    }

    /// Requests on the wire at once; more wait in the queue. Default 1,024.
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.limits.in_flight = requests;
        self
    }

    /// Bounds of the queue: beyond either, calls fail with
    /// [`Error::QueueFull`]. Default 16,384 requests and 16 MiB.
    pub const fn queue_limits(mut self, requests: usize, bytes: usize) -> Self {
        self.limits.queued_requests = requests;
        self.limits.queued_bytes = bytes;
        self
    }

    /// Largest request sent, in bytes of its frame. Raise it only together with the
    /// servers' `jute.maxbuffer`: they close the connection on a larger one.
    /// Default 1,048,575.
    pub const fn frame_limit(mut self, bytes: usize) -> Self {
        self.limits.frame = bytes;
        self
    }

    /// Largest reply accepted, in bytes of its frame; a larger one costs the
    /// connection. Default 16 MiB.
    pub const fn reply_limit(mut self, bytes: usize) -> Self {
        self.reply_limit = bytes;
        self
    }

    /// For how long the client's task looks for an answer again and again, other
    /// tasks of the runtime in between, before it sleeps until one comes. Default
    /// 100 µs. Only while at most four answers are due, on a machine with more than
    /// one CPU; and where answers do not come that soon it hardly ever tries.
    ///
    /// With servers nearby this makes one call after the other several times as fast
    /// and takes less CPU than sleeping. Raising it beyond the round trip gains
    /// nothing; zero turns it off, for machines whose CPUs are all busy.
    pub const fn busy_poll(mut self, limit: Duration) -> Self {
        self.busy_poll = limit;
        self
    }

    /// Whether to shuffle the servers, so that clients spread over them. Default
    /// true.
    pub const fn shuffle(mut self, should_shuffle: bool) -> Self {
        self.should_shuffle = should_shuffle;
        self
    }

    /// Whether a server cut off from the ensemble will do meanwhile: reads may be
    /// stale, writes fail with [`Error::ReadOnly`], and a read-write server is
    /// looked for. Default false.
    pub const fn allow_read_only(mut self, allow: bool) -> Self {
        self.allow_read_only = allow;
        self
    }

    /// Whether to open a new session when one expires. If not, expiry is terminal.
    /// Default true.
    pub const fn new_session_after_expiry(mut self, open: bool) -> Self {
        self.new_session_after_expiry = open;
        self
    }

    /// Resumes a session, from what [`Client::session_id`] and
    /// [`Client::session_password`] gave, instead of opening one. If it is gone,
    /// `connect` fails with [`ConnectError::SessionExpired`].
    pub fn resume(mut self, session_id: SessionId, password: Password) -> Self {
        self.resume = Some((session_id, password));
        self
    }

    /// Credentials to present on every connection before anything else; may be
    /// repeated. For scheme `digest` the bytes are `user:password`.
    pub fn auth(mut self, scheme: impl Into<String>, auth: impl AsRef<[u8]>) -> Self {
        self.auths.push(AuthInfo {
            scheme: scheme.into(),
            auth: Bytes::copy_from_slice(auth.as_ref()),
        });
        self
    }

    /// Begins every connection with SASL DIGEST-MD5, as `user`. It comes before the
    /// credentials of [`auth`](Self::auth), before watches are restored and before any
    /// call, and it is never skipped: a server that refuses it, does not offer it, or
    /// does not prove that it knows the password ends the client with
    /// [`Error::SaslFailed`].
    ///
    /// The exchange does not show the password, and protects nothing that follows; MD5
    /// lets who listens guess at weak passwords.
    #[cfg(feature = "sasl")]
    pub fn sasl_digest_md5(
        mut self,
        user: impl AsRef<str>,
        password: impl Into<zk_proto::sasl::Secret>,
    ) -> Self {
        let mechanism = crate::sasl::DigestMd5::new(user.as_ref(), password.into());
        self.mechanism = Some(Arc::new(mechanism));
        self
    }

    /// Encrypts every connection, and proves by certificates who the server is, and who the
    /// client, as [`Tls`](crate::tls::Tls) says. The servers' ports have to be those for TLS
    /// (`secureClientPort` in `zoo.cfg`).
    ///
    /// No server is ever spoken to in plain text then, whatever it answers.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How connections are opened. Default: TCP. With feature `tls` and
    /// `ClientBuilder::tls` what is opened is encrypted.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// How host names are looked up. Default: the system's resolver.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// The environment: network, time, randomness, tasks.
    #[doc(hidden)]
    pub fn env(mut self, env: Arc<dyn Env>) -> Self {
        self.env = Some(env);
        self
    }

    /// Where xids start, for tests of their wrap.
    #[doc(hidden)]
    pub const fn last_xid(mut self, xid: Xid) -> Self {
        self.last_xid = xid;
        self
    }

    /// Connects; returns once a session exists.
    ///
    /// # Errors
    ///
    /// The configuration is invalid, no server gave a session before the connect
    /// deadline (with what each answered), the session to resume is gone, or the
    /// credentials were refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        client::connect(self.build().map_err(ConnectError::Invalid)?).await
    }

    fn build(self) -> Result<Config, Error> {
        let servers: ConnectString = self.servers.parse()?;
        let env = self.env.unwrap_or_else(|| TokioEnv::new());
        self.auths
            .iter()
            .try_for_each(|auth| check_auth(&auth.scheme))?;
        check(
            self.session_timeout >= Duration::from_millis(1),
            "session_timeout",
            "less than a millisecond",
        )?;
        check(
            self.session_timeout.as_millis() <= i32::MAX as u128,
            "session_timeout",
            "more than 2^31-1 milliseconds",
        )?;
        check(self.limits.in_flight > 0, "max_in_flight", "zero")?;
        check(
            self.limits.queued_requests > 0,
            "queue_limits",
            "zero requests",
        )?;
        check(self.limits.queued_bytes > 0, "queue_limits", "zero bytes")?;
        check(
            self.limits.frame >= MIN_FRAME,
            "frame_limit",
            "no request fits",
        )?;
        check(
            self.reply_limit >= MIN_FRAME,
            "reply_limit",
            "no handshake fits",
        )?;
        check(
            self.backoff.min <= self.backoff.max && !self.backoff.min.is_zero(),
            "reconnect_backoff",
            "min is zero or above max",
        )?;
        let direct = Arc::new(Direct(Arc::clone(&env)));
        let connector = self
            .connector
            .unwrap_or_else(|| Arc::<Direct>::clone(&direct));
        #[cfg(feature = "tls")]
        let connector = match self.tls {
            Some(tls) => tls.over(connector, Arc::clone(&env)),
            None => connector,
        };
        Ok(Config {
            servers,
            session: SessionConfig {
                timeout: self.session_timeout,
                allow_read_only: self.allow_read_only,
                new_session_after_expiry: self.new_session_after_expiry,
                resume: self.resume,
                auths: self.auths,
                sasl: self.mechanism.map(|mechanism| Sasl {
                    mechanism,
                    rng: env.rng("zk-client-sasl"),
                }),
                limits: self.limits,
                last_xid: self.last_xid,
                probe: env.probe(),
            },
            connect_deadline: self.connect_deadline,
            operation_deadline: self.operation_deadline,
            backoff: self.backoff,
            should_shuffle: self.should_shuffle,
            reply_limit: self.reply_limit,
            busy_poll: self.busy_poll,
            connector,
            resolver: self.resolver.unwrap_or(direct),
            env,
        })
    }
}

fn check(is_fine: bool, argument: &'static str, reason: &str) -> Result<(), Error> {
    if is_fine {
        Ok(())
    } else {
        Err(Error::invalid(argument, reason))
    }
}

/// `world` needs no proof and `auth` is no scheme of its own: every server refuses
/// them, and a refusal is terminal.
pub(crate) fn check_auth(scheme: &str) -> Result<(), Error> {
    match scheme {
        "world" | "auth" => Err(Error::invalid(
            "auth scheme",
            format!("{scheme:?} takes no credentials"),
        )),
        "" => Err(Error::invalid("auth scheme", "it is empty")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which argument is refused.
    fn refused(builder: ClientBuilder) -> &'static str {
        match builder.build() {
            Err(Error::InvalidArgument { argument, .. }) => argument,
            other => panic!("{other:?}"),
        }
    }

    fn builder() -> ClientBuilder {
        ClientBuilder::new("a:1,b:2/app")
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = builder().build().unwrap();
        assert_eq!(config.servers.hosts.len(), 2);
        assert_eq!(config.servers.chroot.as_str(), "/app");
        assert_eq!(config.session.timeout, DEFAULT_SESSION_TIMEOUT);
        assert!(config.session.new_session_after_expiry && !config.session.allow_read_only);
    }

    #[test]
    fn a_bad_connect_string_is_named() {
        let built = ClientBuilder::new("a:1/app/").build();
        assert!(matches!(
            built,
            Err(Error::InvalidConnectString(_) | Error::InvalidPath(_))
        ));
    }

    #[test]
    fn values_that_make_no_sense_are_named() {
        let ms = Duration::from_millis;
        let timeout = |timeout| refused(builder().session_timeout(timeout));
        assert_eq!(timeout(Duration::ZERO), "session_timeout");
        assert_eq!(timeout(ms(1 << 31)), "session_timeout");
        assert_eq!(refused(builder().max_in_flight(0)), "max_in_flight");
        assert_eq!(refused(builder().queue_limits(0, 1)), "queue_limits");
        assert_eq!(refused(builder().queue_limits(1, 0)), "queue_limits");
        assert_eq!(refused(builder().reply_limit(0)), "reply_limit");
        assert_eq!(refused(builder().frame_limit(0)), "frame_limit");
        let backoff = |min, max| refused(builder().reconnect_backoff(min, max));
        assert_eq!(backoff(ms(0), ms(1)), "reconnect_backoff");
        assert_eq!(backoff(ms(2), ms(1)), "reconnect_backoff");
        assert!(builder().session_timeout(ms((1 << 31) - 1)).build().is_ok());
    }

    #[test]
    fn schemes_that_take_no_credentials_are_refused() {
        for scheme in ["world", "auth", ""] {
            assert_eq!(refused(builder().auth(scheme, "x")), "auth scheme");
        }
        assert!(builder().auth("digest", "u:p").build().is_ok());
        assert!(builder().auth("ip", "").build().is_ok());
    }

    #[test]
    fn no_secret_shows_in_a_debug_print() {
        let builder = builder()
            .auth("digest", "u:hush")
            .resume(SessionId(1), Password::new(*b"hushhushhushhush"));
        assert!(!format!("{builder:?}").contains("hush"));
    }
}
