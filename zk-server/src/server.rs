//! Running a server inside a process: for tests, development and single-binary
//! installs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use zk_env::{Env, TokioEnv};
use zk_proto::{SessionId, Zxid};

use crate::admin::{AdminAddrs, AdminServer};
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::net::{ClientAddrs, ClientPorts, Run, Shell, storage};
use crate::observe::{Transaction, TransactionObserver};

/// A standalone server, in memory unless it has a [data directory](ServerBuilder::data_dir).
///
/// It runs on the tokio runtime it was started on until it is stopped or
/// dropped. Dropping stops it without waiting.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), zk_server::ServerError> {
/// let server = zk_server::Server::start().await?;
/// println!("connect to {}", server.connect_string());
/// server.stop().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    shell: Arc<Shell>,
    /// As bound at the first start; kept over restarts.
    addrs: ClientAddrs,
    /// As bound at the first start; kept over restarts.
    admin_addrs: AdminAddrs,
    /// The tasks, unless stopped. Held while starting and stopping, so that these
    /// happen one after the other.
    running: Mutex<Option<Running>>,
}

/// The tasks of a server that has started.
#[derive(Debug)]
struct Running {
    run: Run,
    admin: AdminServer,
}

impl Running {
    async fn stop(self) {
        self.admin.stop().await;
        self.run.stop().await;
    }
}

/// What a server has counted, and holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames and four-letter words received since the start, or since `srst`.
    pub packets_received: u64,
    /// Frames and answers to four-letter words sent, watch events among them.
    pub packets_sent: u64,
    /// Bytes received in whole frames.
    pub bytes_received: u64,
    /// Connections taken.
    pub connections_accepted: u64,
    /// Connections closed at once because a limit was reached.
    pub connections_rejected: u64,
    /// Connections there are.
    pub connections: usize,
    /// Sessions there are, connected or not.
    pub sessions: usize,
    /// Znodes; like Apache's count this has the root twice, so that a fresh server has 5.
    pub znodes: usize,
    /// Ephemeral znodes among them.
    pub ephemerals: usize,
    /// Watches left by reads and by `addWatch`.
    pub watches: usize,
    /// The last transaction applied.
    pub last_zxid: Zxid,
}

impl Server {
    /// Starts a server on a free loopback port, with the defaults of
    /// [`ServerConfig::embedded`].
    ///
    /// # Errors
    ///
    /// The port could not be had.
    pub async fn start() -> Result<Self, ServerError> {
        Self::builder().start().await
    }

    /// A server with other settings.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// What a client in this process connects to, `127.0.0.1:34567`.
    pub fn connect_string(&self) -> String {
        loopback_for(self.addrs.plain).to_string()
    }

    /// The address it listens on, with the port the system chose.
    pub fn client_addr(&self) -> SocketAddr {
        self.addrs.plain
    }

    /// Where it listens for clients with TLS alone, with the port the system chose; `None` if
    /// it does not.
    pub fn secure_client_addr(&self) -> Option<SocketAddr> {
        self.addrs.secure
    }

    /// Where the admin server listens, with the port the system chose; `None` if it is off,
    /// or could not have its port.
    #[cfg(feature = "admin")]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addrs.server
    }

    /// Where metrics alone are served, with the port the system chose.
    #[cfg(feature = "admin")]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.admin_addrs.metrics
    }

    /// Stops: no new connections, replies that are due are written, connections
    /// are closed. Returns when no task is left, after three seconds at most. Tree,
    /// sessions and zxid wait for a [`restart`](Self::restart). Stopping twice is
    /// harmless.
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves a server that ends by itself.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
            tracing::info!(addr = %self.addrs.plain, "server stopped");
        }
    }

    /// Stops, if it runs, and starts again on the same port with the same tree,
    /// sessions and zxid. Each session has its full timeout from now on. Pauses,
    /// freezes and delays are over.
    ///
    /// # Errors
    ///
    /// The port could not be had again, or the server has [failed](Self::failure); it is
    /// stopped then.
    pub async fn restart(&self) -> Result<(), ServerError> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let ports = ClientPorts::open(self.addrs, &self.shell.config, &self.shell.env).await?;
        let stopped = self.shell.broken.child_token();
        let admin =
            AdminServer::start(&self.shell, self.admin_addrs, stopped.child_token()).await?;
        let run = Run::start(Arc::clone(&self.shell), ports, stopped);
        *running = Some(Running { run, admin });
        tracing::info!(addr = %self.addrs.plain, "server restarted");
        Ok(())
    }

    /// Why the server serves nobody any more, if it has ended by itself:
    /// [`ServerError::Storage`] if its disk is full or fails, so that nothing can be
    /// acknowledged any more; [`ServerError::Failed`] after a panic. A panic that may have left a change half made closes
    /// every connection and the port, for good; one that concerns a single connection
    /// closes that one and is no failure.
    pub fn failure(&self) -> Option<ServerError> {
        self.shell.failure()
    }

    /// Waits until the server fails; see [`failure`](Self::failure). For ever, as a rule.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn failed(&self) -> ServerError {
        loop {
            self.shell.broken.cancelled().await;
            if let Some(failure) = self.failure() {
                return failure;
            }
        }
    }

    /// Ends a session as if it had timed out: its ephemerals go and its connection
    /// is closed. False if there is no such session.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.shell.expire_session(session)
    }

    /// Closes every connection without a word and returns how many there were.
    /// Sessions live on until their timeout.
    pub fn drop_connections(&self) -> usize {
        self.shell.drop_connections(None)
    }

    /// Closes the connection of one session without a word. False if it has none.
    pub fn drop_connection(&self, session: SessionId) -> bool {
        self.shell.drop_connections(Some(session)) > 0
    }

    /// Reads and writes nothing more, on the connections there are and on new ones,
    /// as if the network swallowed every byte. Time goes on: sessions expire, and
    /// their clients are not told. Does nothing on a stopped server.
    pub fn freeze_connections(&self) {
        self.shell.set_frozen(true);
    }

    /// Ends a freeze. What was sent in both directions meanwhile now arrives.
    pub fn thaw_connections(&self) {
        self.shell.set_frozen(false);
    }

    /// Replies and events made from now on are written this much later, in the
    /// same order. Zero ends it. Requests take effect without delay.
    pub fn delay_connections(&self, delay: Duration) {
        self.shell.set_delay(delay);
    }

    /// Does nothing at all any more, as a stopped process would: connections are
    /// not even accepted. Requests being handled are handled before this returns.
    /// Does nothing on a stopped server.
    pub fn pause(&self) {
        self.shell.pause();
    }

    /// Ends a pause. First comes what timed out during it, then what clients sent.
    pub fn resume(&self) {
        self.shell.resume();
    }

    /// What has been counted, and what there is now.
    pub fn counters(&self) -> Counters {
        counters(&self.shell)
    }

    /// How many tasks the server has: two while it runs, one per connection, and one or more that store.
    #[doc(hidden)]
    pub async fn tasks(&self) -> usize {
        let running = self.running.lock().await;
        running.as_ref().map_or(0, |running| running.run.tasks())
    }
}

/// What a server has counted, and what there is now.
pub(crate) fn counters(shell: &Shell) -> Counters {
    let serving = shell.lock();
    let (stats, zks) = (&serving.stats, &serving.zks);
    Counters {
        packets_received: stats.packets_received,
        packets_sent: stats.packets_sent,
        bytes_received: stats.bytes_received,
        connections_accepted: stats.connections_accepted,
        connections_rejected: stats.connections_rejected,
        connections: serving.cnxns.len(),
        sessions: zks.session_count(),
        znodes: zks.node_count(),
        ephemerals: zks.ephemerals_count(),
        watches: zks.watch_count(),
        last_zxid: zks.last_zxid(),
    }
}

/// Where a client in this process reaches a server that listens on `addr`.
pub(crate) fn loopback_for(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addrs.plain)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Server`] to be.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), zk_server::ServerError> {
/// use std::time::Duration;
/// use zk_server::{Server, ServerConfig};
///
/// let config = ServerConfig::embedded()
///     .min_session_timeout(Duration::from_millis(500))
///     .build()?;
/// let server = Server::builder().config(config).start().await?;
/// # server.stop().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ServerBuilder {
    config: Option<ServerConfig>,
    data_dir: Option<PathBuf>,
    is_in_memory: bool,
    env: Option<Arc<dyn Env>>,
    on_transaction: TransactionObserver,
}

impl ServerBuilder {
    /// Everything that can be set; [`ServerConfig::embedded`] by default.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Keeps what is acknowledged in this directory, in Apache's files, and goes on with what
    /// is there; as [`ServerConfigBuilder::data_dir`](crate::ServerConfigBuilder::data_dir),
    /// whatever the configuration says. One server at a time may use a directory, and
    /// has it until it is dropped; another one waits for that for three seconds, and fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), zk_server::ServerError> {
    /// # let dir = std::env::temp_dir().join(format!("zk-server-doc-{}", std::process::id()));
    /// use zk_server::Server;
    ///
    /// let server = Server::builder().data_dir(&dir).start().await?;
    /// server.stop().await;
    /// drop(server);
    /// let again = Server::builder().data_dir(&dir).start().await?; // tree, sessions, zxid
    /// # again.stop().await;
    /// # std::fs::remove_dir_all(&dir).ok();
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new()?.block_on(example())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Stores nothing, whatever the configuration says.
    pub fn in_memory(mut self) -> Self {
        self.is_in_memory = true;
        self
    }

    /// Another outside world than the real one.
    #[doc(hidden)]
    pub fn env(mut self, env: Arc<dyn Env>) -> Self {
        self.env = Some(env);
        self
    }

    /// Tells of every transaction once it is applied, in the order of zxids. Called
    /// while the server's lock is held: it must not call the server.
    #[doc(hidden)]
    pub fn on_transaction(
        mut self,
        observe: impl Fn(&Transaction) + Send + Sync + 'static,
    ) -> Self {
        self.on_transaction = TransactionObserver::new(Arc::new(observe));
        self
    }

    /// Starts the server; it serves when this returns.
    ///
    /// # Errors
    ///
    /// The port could not be had, what is stored cannot be used, or another server uses the
    /// directory ([`StorageError::InUse`](crate::StorageError::InUse)).
    pub async fn start(self) -> Result<Server, ServerError> {
        let mut config = match self.config {
            Some(config) => config,
            None => ServerConfig::embedded().build()?,
        };
        if let Some(dir) = self.data_dir {
            config.data_log_dir = Some(dir.clone());
            config.data_dir = Some(dir);
        }
        if self.is_in_memory {
            (config.data_dir, config.data_log_dir) = (None, None);
        }
        let env = self.env.unwrap_or_else(|| TokioEnv::new());
        let seed = env.rng("zk-server").next_u64();
        let ports = ClientPorts::open(ClientAddrs::wanted(&config), &config, &env).await?;
        let addrs = ports.addrs();
        let stored = match &config.data_dir {
            Some(dir) => {
                Some(storage::open(&config, dir, &env, seed, storage::Vacancy::Refused).await?)
            }
            None => None,
        };
        let shell = Shell::new(config, env, self.on_transaction, seed, stored);
        let shell = Arc::new(shell);
        let stopped = shell.broken.child_token();
        let admin_addrs = AdminAddrs::wanted(&shell.config);
        let admin = AdminServer::start(&shell, admin_addrs, stopped.child_token()).await?;
        let run = Run::start(Arc::clone(&shell), ports, stopped);
        if let Some(addr) = addrs.secure {
            tracing::info!(%addr, "clients may come by TLS");
        }
        tracing::info!(addr = %addrs.plain, "server started");
        Ok(Server {
            shell,
            addrs,
            admin_addrs: admin.addrs,
            running: Mutex::new(Some(Running { run, admin })),
        })
    }
}
