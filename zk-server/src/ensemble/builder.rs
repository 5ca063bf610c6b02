//! Settings of an ensemble to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zk_env::{Env, TokioEnv};

use super::addresses::{Limits, MAX_PEERS, Members, OBSERVER_MASTER_PORT};
use super::links::{Links, Transport};
use super::storage::StorageChoice;
use super::{Ensemble, Plan};
use crate::config::ServerConfig;
use crate::error::{ConfigError, ServerError};
use crate::quorum::LearnerType;

/// How long an ensemble waits for what should come soon.
const PATIENCE: Duration = Duration::from_secs(30);
/// In ticks, ten seconds and one.
const LIMITS: Limits = Limits {
    init: 100,
    sync: 10,
};

/// Settings of an [`Ensemble`] to be.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), zk_server::ServerError> {
/// use std::time::Duration;
/// use zk_server::Ensemble;
///
/// let ensemble = Ensemble::builder()
///     .voters(3)
///     .observers(1)
///     .tick(Duration::from_millis(50))
///     .temporary_dir()
///     .start()
///     .await?;
/// assert_eq!(ensemble.peer_ids(), [1, 2, 3, 4]);
/// # ensemble.stop_all().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EnsembleBuilder {
    voters: usize,
    observers: usize,
    groups: Vec<Vec<i64>>,
    weights: BTreeMap<i64, u64>,
    tick: Option<Duration>,
    limits: Limits,
    settings: Vec<(String, String)>,
    patience: Duration,
    config: Option<ServerConfig>,
    storage: StorageChoice,
    transport: Transport,
    base_port: u16,
    env: Option<Arc<dyn Env>>,
}

impl Default for EnsembleBuilder {
    fn default() -> Self {
        Self {
            voters: 3,
            observers: 0,
            groups: Vec::new(),
            weights: BTreeMap::new(),
            tick: None,
            limits: LIMITS,
            settings: Vec::new(),
            patience: PATIENCE,
            config: None,
            storage: StorageChoice::default(),
            transport: Transport::default(),
            base_port: 0,
            env: None,
        }
    }
}

impl EnsembleBuilder {
    /// Peers that vote, 3 by default. Their ids are 1, 2, 3 and so on. With the observers
    /// there may be 254 of them.
    pub fn voters(mut self, voters: usize) -> Self {
        self.voters = voters;
        self
    }

    /// Peers that follow without a vote, none by default. Their ids come after those of the
    /// voters.
    pub fn observers(mut self, observers: usize) -> Self {
        self.observers = observers;
        self
    }

    /// Observers learn from followers in place of the leader, as with `observerMasterPort`.
    /// Where they turn when there is no follower is the leader.
    pub fn observer_masters(self) -> Self {
        self.setting("observerMasterPort", OBSERVER_MASTER_PORT.to_string())
    }

    /// Hierarchical quorums: most votes in most of these groups of ids, in place of most
    /// votes. Every voter has to be in one.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), zk_server::ServerError> {
    /// use zk_server::Ensemble;
    ///
    /// let builder = Ensemble::builder().voters(6).groups(&[&[1, 2, 3], &[4, 5, 6]]);
    /// # let ensemble = builder.start().await?;
    /// # ensemble.stop_all().await;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new()?.block_on(example())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn groups(mut self, groups: &[&[i64]]) -> Self {
        self.groups = groups.iter().map(|group| group.to_vec()).collect();
        self
    }

    /// A voter's weight within its [group](Self::groups), 1 by default. Who has 0 never
    /// leads, and its acknowledgements do not count.
    pub fn weight(mut self, id: i64, weight: u64) -> Self {
        self.weights.insert(id, weight);
        self
    }

    /// The unit of all limits, in whole milliseconds; 100 ms by default. Shorter ticks find
    /// a peer that is silent sooner, and on a busy machine mistake a slow one for it. Votes are
    /// repeated after a fifth of a tick at first, and every five ticks in the end.
    /// As `tickTime`; it overrides that of [`config`](Self::config).
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = Some(tick);
        self
    }

    /// How many ticks a peer may take to find its leader and to be in step with it,
    /// `initLimit`, 100 by default; and how many it may be silent before the others give it
    /// up, `syncLimit`, 10 by default.
    pub fn limits(mut self, init: u32, sync: u32) -> Self {
        self.limits = Limits { init, sync };
        self
    }

    /// A further key of every peer's `zoo.cfg` that is about the ensemble, such as
    /// `localSessionsEnabled` or `readonlymode.enabled`. A value that cannot be used is an
    /// error of [`start`](Self::start).
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// How long [`start`](Self::start) and the methods that wait do so before they fail;
    /// 30 s by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What every peer may be told beside its place in the ensemble;
    /// [`ServerConfig::embedded`] by default. Its client address and its directories do not
    /// count. Files that it names, such as those of
    /// [`tls`](crate::ServerConfigBuilder::tls), have to be on the peers' disk: one in memory
    /// has none, so choose [`temporary_dir`](Self::temporary_dir) or a directory.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Logs and snapshots are kept in memory, as long as the ensemble is there; the default.
    /// A peer that is restarted finds its own again. Files are kept few and small: a
    /// snapshot after 10 000 transactions or 16 MiB at the latest, and a purge every second.
    /// A peer whose files need more than 4 GiB fails as with a full disk.
    pub fn in_memory(mut self) -> Self {
        self.storage = StorageChoice::Memory;
        self
    }

    /// Peer N keeps its logs and snapshots in the directory `N` of this one, in Apache's
    /// files, and goes on with what is there. One ensemble at a time may use it.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.storage = StorageChoice::Dir(dir.into());
        self
    }

    /// As [`data_dir`](Self::data_dir) with a new directory, in the system's place for such,
    /// which is removed once all peers have ended.
    pub fn temporary_dir(mut self) -> Self {
        self.storage = StorageChoice::TempDir;
        self
    }

    /// What carries bytes between the peers, [`Transport::Memory`] by default. Clients
    /// connect by TCP either way.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Peer N serves clients on the loopback port `port` + N − 1; by default, and with 0, the
    /// system chooses all ports.
    pub fn base_port(mut self, port: u16) -> Self {
        self.base_port = port;
        self
    }

    /// Another outside world than the real one, for all peers together.
    #[doc(hidden)]
    pub fn env(mut self, env: Arc<dyn Env>) -> Self {
        self.env = Some(env);
        self
    }

    /// Starts all peers; when this returns one leads, and all others follow or observe and
    /// serve clients.
    ///
    /// # Errors
    ///
    /// Settings that make no ensemble, a port or a directory that could not be had, what is
    /// stored cannot be used; [`ServerError::Unsettled`] if no leader is found.
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end stops what has been started.
    pub async fn start(self) -> Result<Ensemble, ServerError> {
        let count = self.voters.saturating_add(self.observers);
        if self.voters == 0 || count > MAX_PEERS {
            let given = format!("{} voters, {} observers", self.voters, self.observers);
            let allowed = format!("a voter or more, and at most {MAX_PEERS} peers");
            return Err(ConfigError::value("server.N", given, allowed).into());
        }
        if usize::from(u16::MAX - self.base_port) < MAX_PEERS {
            let allowed = format!("at most {}", usize::from(u16::MAX) - MAX_PEERS);
            return Err(
                ConfigError::value("base port", self.base_port.to_string(), allowed).into(),
            );
        }
        let storage = self.storage.prepare()?;
        let mut config = match (self.config, self.tick) {
            (Some(config), _) => config,
            (None, Some(tick)) => ServerConfig::embedded().tick_time(tick).build()?,
            (None, None) => ServerConfig::embedded().build()?,
        };
        if let Some(tick) = self.tick {
            config.tick_time = tick;
        }
        storage.adapt(&mut config);
        let env = self.env.clone().unwrap_or_else(|| TokioEnv::new());
        let plan = Plan {
            links: Links::new(Arc::clone(&env), self.transport),
            env,
            given_env: self.env,
            config,
            limits: self.limits,
            settings: self.settings,
            storage,
            patience: self.patience,
            base_port: self.base_port,
        };
        let members = Members::new(self.groups, self.weights);
        let voters = std::iter::repeat_n(LearnerType::Participant, self.voters);
        let observers = std::iter::repeat_n(LearnerType::Observer, self.observers);
        Ensemble::start_all(plan, members, voters.chain(observers)).await
    }
}
