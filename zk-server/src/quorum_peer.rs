//! Running a member of an ensemble inside a process.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zk_env::{Env, TokioEnv};
use zk_proto::{SessionId, Zxid};

use crate::admin::{AdminAddrs, AdminServer};
use crate::config::{EnsembleConfig, ServerConfig, ZooCfg};
use crate::error::{ConfigError, ServerError};
use crate::net::{ClientAddrs, ClientPorts, Run, Shell, Spawner, storage};
use crate::observe::{Transaction, TransactionObserver};
use crate::quorum::peer::{Peer, Stored};
use crate::quorum::{ElectionPort, ElectionPortOptions, HostPort, QuorumVerifier};
use crate::server::{Counters, counters, loopback_for};
use crate::tree::SeededState;

pub use crate::quorum::PeerState;

/// What a member of an ensemble is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its id, the N of its `server.N`.
    pub id: i64,
    /// Its role, or that it has none.
    pub state: PeerState,
    /// Whether its role is established: it serves clients, unless it leads under
    /// `leaderServes=no`.
    pub is_serving: bool,
    /// Whom it follows, or itself; none in an election.
    pub leader: Option<i64>,
    /// From whom it learns, once it is connected: the leader, or an observer's observer master.
    pub learner_master: Option<i64>,
    /// The epoch whose history it has, `currentEpoch`.
    pub epoch: i64,
    /// The newest epoch it has promised to follow no older one than, `acceptedEpoch`.
    pub accepted_epoch: i64,
}

/// One member of an ensemble (Apache's `QuorumPeer`). The others may be in this process, in
/// others, or Apache ZooKeeper servers.
///
/// It runs on the tokio runtime it was started on until it is stopped or dropped. What it
/// acknowledges is in its data directory.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("zk-peer-doc-{}", std::process::id()));
/// use zk_server::{EnsembleConfig, QuorumPeer};
///
/// # let (quorum, election) = (free_port(), free_port());
/// let config = format!(
///     "tickTime=100\ninitLimit=10\nsyncLimit=5\nclientPort=0\nclientPortAddress=127.0.0.1\n\
///      standaloneEnabled=false\nserver.1=127.0.0.1:{quorum}:{election}\n"
/// );
/// let config = EnsembleConfig::parse(&config, 1)?;
/// let peer = QuorumPeer::builder(config).data_dir(&dir).start().await?;
/// let mut changes = peer.status_changes();
/// changes.wait_for(|status| status.is_serving).await?;
/// println!("connect to {}", peer.connect_string());
/// peer.stop().await;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// # fn free_port() -> u16 {
/// #     std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct QuorumPeer {
    blueprint: Blueprint,
    /// As bound at the first start; kept over restarts.
    client_addrs: ClientAddrs,
    /// As bound at the first start; kept over restarts.
    admin_addrs: AdminAddrs,
    /// What was started last, running or not.
    shell: std::sync::Mutex<Arc<Shell>>,
    status: watch::Sender<PeerStatus>,
    /// Held while starting and stopping, so that these happen one after the other.
    running: Mutex<Option<Running>>,
    /// Ends what runs at once.
    killed: std::sync::Mutex<CancellationToken>,
}

/// The tasks of a peer from its start to its stop.
struct Running {
    run: Run,
    admin: AdminServer,
    spawner: Spawner,
    stopped: CancellationToken,
}

/// All that a start needs.
#[derive(Clone)]
struct Blueprint {
    ensemble: EnsembleConfig,
    config: ServerConfig,
    data_dir: PathBuf,
    env: Arc<dyn Env>,
    on_transaction: TransactionObserver,
}

impl QuorumPeer {
    /// A peer that is the `myid` of `ensemble`.
    pub fn builder(ensemble: EnsembleConfig) -> QuorumPeerBuilder {
        QuorumPeerBuilder {
            ensemble,
            config: None,
            data_dir: None,
            env: None,
            on_transaction: TransactionObserver::default(),
        }
    }

    /// The N of its `server.N`.
    pub fn id(&self) -> i64 {
        self.blueprint.ensemble.id.0
    }

    /// Where it listens for clients, with the port the system chose if that was left to it.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addrs.plain
    }

    /// Where it listens for clients with TLS alone, with the port the system chose; `None` if
    /// it does not.
    pub fn secure_client_addr(&self) -> Option<SocketAddr> {
        self.client_addrs.secure
    }

    /// What a client in this process connects to, `127.0.0.1:34567`.
    pub fn connect_string(&self) -> String {
        loopback_for(self.client_addrs.plain).to_string()
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

    /// What it is doing.
    pub fn status(&self) -> PeerStatus {
        *self.status.borrow()
    }

    /// Tells of every change of [`status`](Self::status).
    pub fn status_changes(&self) -> watch::Receiver<PeerStatus> {
        self.status.subscribe()
    }

    /// Stops: replies that are due are written, connections are closed, the others look for
    /// another leader if this was theirs. Returns when no task is left. What is stored waits
    /// for a [`restart`](Self::restart). Stopping twice is harmless.
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves a peer that ends by itself.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
            tracing::info!(id = self.id(), "peer stopped");
        }
        self.tell_stopped();
    }

    /// Ends every task and connection at once, as the end of the process would: nothing is
    /// written any more, and what was not synced may be lost with the next power failure.
    /// Tasks may take a moment to notice.
    pub fn kill(&self) {
        let killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        killed.cancel();
        self.shell().abort();
        drop(killed);
        self.tell_stopped();
    }

    fn tell_stopped(&self) {
        self.status.send_modify(|status| {
            status.state = PeerState::Looking;
            status.is_serving = false;
            status.leader = None;
            status.learner_master = None;
        });
    }

    /// Stops, if it runs, and starts again on the same addresses with what is stored.
    ///
    /// # Errors
    ///
    /// A port could not be had again, or what is stored cannot be used; it is stopped then.
    pub async fn restart(&self) -> Result<(), ServerError> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
        }
        self.tell_stopped();
        let blueprint = &self.blueprint;
        let ports = ClientPorts::open(self.client_addrs, &blueprint.config, &blueprint.env).await?;
        let status = self.status.clone();
        let started = self.blueprint.start(ports, self.admin_addrs, status);
        let (shell, started) = started.await?;
        *self.shell.lock().unwrap_or_else(PoisonError::into_inner) = shell;
        *self.killed.lock().unwrap_or_else(PoisonError::into_inner) = started.stopped.clone();
        *running = Some(started);
        tracing::info!(id = self.id(), "peer restarted");
        Ok(())
    }

    /// Why the peer takes part no more, if it has ended by itself; see
    /// [`Server::failure`](crate::Server::failure).
    pub fn failure(&self) -> Option<ServerError> {
        self.shell().failure()
    }

    /// Waits until the peer fails; for ever, as a rule.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn failed(&self) -> ServerError {
        loop {
            let shell = self.shell();
            shell.broken.cancelled().await;
            if let Some(failure) = shell.failure() {
                return failure;
            }
        }
    }

    /// Ends a session as if it had timed out. False if there is no such session, or if this
    /// peer does not lead: only the leader ends sessions.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.shell().expire_session(session)
    }

    /// Closes every client's connection without a word and returns how many there were.
    pub fn drop_connections(&self) -> usize {
        self.shell().drop_connections(None)
    }

    /// Closes the connection of one session without a word. False if it has none here.
    pub fn drop_connection(&self, session: SessionId) -> bool {
        self.shell().drop_connections(Some(session)) > 0
    }

    /// Does nothing at all any more, as a process that was stopped by a signal: others hear
    /// nothing, and its clients neither.
    pub fn pause(&self) {
        self.shell().pause();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shell().resume();
    }

    /// What has been counted, and what there is now.
    pub fn counters(&self) -> Counters {
        counters(&self.shell())
    }

    /// The last transaction applied, and the digest of the tree there, as Apache computes it.
    #[doc(hidden)]
    pub fn tree_digest(&self) -> (Zxid, u64) {
        let shell = self.shell();
        let serving = shell.lock();
        let tree = serving.zks.tree();
        (tree.last_processed(), tree.digest().to_u64())
    }

    fn shell(&self) -> Arc<Shell> {
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&shell)
    }
}

/// Ends everything without waiting for it.
impl Drop for QuorumPeer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for QuorumPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumPeer")
            .field("status", &self.status())
            .field("client_addr", &self.client_addrs.plain)
            .finish_non_exhaustive()
    }
}

impl Running {
    async fn stop(self) {
        self.stopped.cancel();
        self.admin.stop().await;
        self.run.stop().await;
        self.spawner.tasks.close();
        self.spawner.tasks.wait().await;
    }
}

impl Blueprint {
    /// The ensemble by the list that was in force here last, if that is newer than the one
    /// that was given: a `zoo.cfg` may have been rewritten since it was read.
    async fn ensemble_by(
        &self,
        members: Option<(i64, String)>,
    ) -> Result<EnsembleConfig, ConfigError> {
        let mut ensemble = self.ensemble.clone();
        if let Some(zoo_cfg) = &ensemble.zoo_cfg
            && ensemble.settings.reconfig_enabled
            && let Some(now) = ZooCfg::read_again(zoo_cfg, &*self.env).await?
            && now.verifier.version() > ensemble.verifier.version()
        {
            ensemble.learner_type = now.learner_type;
            ensemble.verifier = now.verifier;
            ensemble.last_seen = now.last_seen;
        }
        let newer = members.filter(|(version, _)| {
            ensemble.settings.reconfig_enabled && *version > ensemble.verifier.version()
        });
        if let Some((version, text)) = newer {
            let verifier = QuorumVerifier::parse(&text)?.with_version(version);
            if let Some(own) = verifier.member(ensemble.id) {
                ensemble.learner_type = own.learner_type;
            }
            ensemble.last_seen = ensemble.last_seen.filter(|seen| seen.version() > version);
            ensemble.verifier = verifier;
        }
        Ok(ensemble)
    }

    /// Reads what is stored, opens the election port, and begins to look for a leader.
    async fn start(
        &self,
        ports: ClientPorts,
        admin: AdminAddrs,
        status: watch::Sender<PeerStatus>,
    ) -> Result<(Arc<Shell>, Running), ServerError> {
        let env = &self.env;
        let seed = env.rng("zk-server").next_u64();
        let (storage, mut recovered) = storage::open(
            &self.config,
            &self.data_dir,
            env,
            seed,
            storage::Vacancy::FilledByLeader,
        )
        .await?;
        let ensemble = self.ensemble_by(storage.dir().members().await?).await?;
        let stored = Stored {
            storage,
            last_zxid: recovered.last_zxid,
            committed: std::mem::take(&mut recovered.committed),
            hashing: SeededState(seed),
        };
        let shell = Arc::new(Shell::for_peer(
            self.config.clone(),
            Arc::clone(env),
            self.on_transaction.clone(),
            (seed, Arc::new(ensemble.clone())),
            recovered,
        ));
        let stopped = shell.broken.child_token();
        let spawner = Spawner {
            shell: Arc::clone(&shell),
            tasks: TaskTracker::new(),
        };
        let mut options = ElectionPortOptions::from_config(&ensemble);
        if options.listen.is_empty() {
            // It was removed. Only its own file still says where it is, and peers with a
            // higher id have to dial it back.
            options.listen = self.ensemble.election_listen();
        }
        let election = ElectionPort::start(Arc::clone(env), options, &stopped).await?;
        let peer = Peer::new(
            Arc::clone(&shell),
            ensemble,
            stored,
            election,
            status,
            (spawner.clone(), stopped.clone()),
        );
        let peer = peer.await?;
        let admin = AdminServer::start(&shell, admin, stopped.child_token()).await?;
        let run = Run::start(Arc::clone(&shell), ports, stopped.child_token());
        spawner.spawn("zk-server peer", Box::pin(peer.run()));
        let running = Running {
            run,
            admin,
            spawner,
            stopped,
        };
        Ok((shell, running))
    }
}

/// Settings of a [`QuorumPeer`] to be.
#[must_use]
pub struct QuorumPeerBuilder {
    ensemble: EnsembleConfig,
    config: Option<ServerConfig>,
    data_dir: Option<PathBuf>,
    env: Option<Arc<dyn Env>>,
    on_transaction: TransactionObserver,
}

impl fmt::Debug for QuorumPeerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumPeerBuilder")
            .field("ensemble", &self.ensemble)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl QuorumPeerBuilder {
    /// What is not about the ensemble; [`ServerConfig::embedded`] by default. The address for
    /// clients is the ensemble's.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Where this peer's history is, in Apache's files; needed, here or in the configuration.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
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

    /// Starts the peer. When this returns its ports are open and it looks for a leader;
    /// [`QuorumPeer::status_changes`] tells when it serves.
    ///
    /// # Errors
    ///
    /// A port could not be had, or what is stored cannot be used.
    pub async fn start(self) -> Result<QuorumPeer, ServerError> {
        let mut config = match self.config {
            Some(config) => config,
            None => ServerConfig::embedded().build()?,
        };
        if let Some(dir) = self.data_dir {
            config.data_log_dir = Some(dir.clone());
            config.data_dir = Some(dir);
        }
        let Some(data_dir) = config.data_dir.clone() else {
            return Err(ServerError::Config(ConfigError::Missing {
                key: "dataDir".to_owned(),
                purpose: "a member of an ensemble".to_owned(),
            }));
        };
        let blueprint = Blueprint {
            ensemble: self.ensemble,
            config,
            data_dir,
            env: self.env.unwrap_or_else(|| TokioEnv::new()),
            on_transaction: self.on_transaction,
        };
        if blueprint.ensemble.is_peer_type_overruled {
            tracing::warn!("peerType says otherwise than the list of servers, which counts");
        }
        let client_addr = resolve(&*blueprint.env, &blueprint.ensemble.client_addr).await?;
        let wanted = ClientAddrs {
            plain: client_addr,
            ..ClientAddrs::wanted(&blueprint.config)
        };
        let ports = ClientPorts::open(wanted, &blueprint.config, &blueprint.env).await?;
        let client_addrs = ports.addrs();
        let id = blueprint.ensemble.id.0;
        let (status, _) = watch::channel(PeerStatus {
            id,
            state: PeerState::Looking,
            is_serving: false,
            leader: None,
            learner_master: None,
            epoch: 0,
            accepted_epoch: 0,
        });
        let admin = AdminAddrs::wanted(&blueprint.config);
        let (shell, running) = blueprint.start(ports, admin, status.clone()).await?;
        tracing::info!(id, client_addr = %client_addrs.plain, "peer started");
        Ok(QuorumPeer {
            blueprint,
            client_addrs,
            admin_addrs: running.admin.addrs,
            shell: std::sync::Mutex::new(shell),
            status,
            killed: std::sync::Mutex::new(running.stopped.clone()),
            running: Mutex::new(Some(running)),
        })
    }
}

async fn resolve(env: &dyn Env, addr: &HostPort) -> Result<SocketAddr, ServerError> {
    let failed = |source: io::Error| ServerError::Bind {
        addr: SocketAddr::from(([0, 0, 0, 0], addr.port)),
        source: Arc::new(source),
    };
    let found = env.resolve(&addr.host, addr.port).await.map_err(failed)?;
    let first = found.first().copied();
    first.ok_or_else(|| failed(io::Error::new(io::ErrorKind::NotFound, "no such host")))
}
