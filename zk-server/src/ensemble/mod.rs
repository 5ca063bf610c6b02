//! Ensembles inside a process, for tests and for development.

mod addresses;
mod builder;
mod faults;
mod gate;
mod grow;
mod lifecycle;
mod links;
mod peer_env;
mod storage;
mod wait;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_env::Env;

use self::addresses::{Limits, Members};
pub use self::builder::EnsembleBuilder;
use self::links::Links;
pub use self::links::{Cut, Transport};
use self::peer_env::PeerEnv;
use self::storage::Storage;
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::quorum::{LearnerType, ServerId};
use crate::quorum_peer::QuorumPeer;

/// Several peers that are one ensemble, in this process: each with its own client port on
/// loopback, its own data, and links to the others that can fail.
///
/// They run on the tokio runtime they were started on until they are stopped or the ensemble
/// is dropped. Dropping stops everything without waiting.
///
/// Partitions and delays are of what peers say to one another. Clients reach every peer at
/// all times; [`QuorumPeer`] has what disturbs them.
///
/// # Panics
///
/// Every method that takes the id of a peer panics if there is none: a test that cuts off
/// nobody would prove nothing.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), zk_server::ServerError> {
/// use zk_server::Ensemble;
///
/// let ensemble = Ensemble::start(3).await?;
/// let hosts = ensemble.connect_string(); // for any ZooKeeper client
/// # assert_eq!(hosts.split(',').count(), 3);
///
/// let killed = ensemble.kill_leader().await?;
/// let leader = ensemble.wait_for_leader().await?; // of those that are left
/// assert_ne!(leader, killed);
/// ensemble.restart(killed).await?;
/// ensemble.wait_until_serving().await?;
///
/// ensemble.partition(&[1], &[2, 3]);
/// ensemble.wait_for_leader_among(&[2, 3]).await?;
/// ensemble.heal();
/// ensemble.stop_all().await;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ensemble {
    plan: Plan,
    known: Members,
    members: BTreeMap<ServerId, Member>,
}

/// What is the same for every peer.
struct Plan {
    env: Arc<dyn Env>,
    /// The same, if it is another world than the real one.
    given_env: Option<Arc<dyn Env>>,
    links: Arc<Links>,
    config: ServerConfig,
    limits: Limits,
    /// More keys of every peer's `zoo.cfg`.
    settings: Vec<(String, String)>,
    storage: Storage,
    patience: Duration,
    /// Where the first peer serves clients; 0 lets the system choose for all.
    base_port: u16,
}

impl Plan {
    /// Where a peer serves clients, on loopback.
    fn client_port(&self, id: ServerId) -> u16 {
        let offset = u16::try_from(id.0 - 1).unwrap_or(0);
        match self.base_port {
            0 => 0,
            // The builder refuses a base with too few ports above it.
            base => base.saturating_add(offset),
        }
    }
}

/// A peer and what is around it.
struct Member {
    peer: QuorumPeer,
    env: Arc<PeerEnv>,
    /// It was neither killed nor stopped.
    is_running: AtomicBool,
}

impl Ensemble {
    /// Starts `voters` peers in memory. When this returns one of them leads, and all others
    /// follow it and serve clients.
    ///
    /// # Errors
    ///
    /// As [`EnsembleBuilder::start`].
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end stops what has been started.
    pub async fn start(voters: usize) -> Result<Self, ServerError> {
        Self::builder().voters(voters).start().await
    }

    /// An ensemble with other settings.
    pub fn builder() -> EnsembleBuilder {
        EnsembleBuilder::default()
    }

    async fn start_all(
        plan: Plan,
        known: Members,
        roles: impl Iterator<Item = LearnerType>,
    ) -> Result<Self, ServerError> {
        let mut ensemble = Self {
            plan,
            known,
            members: BTreeMap::new(),
        };
        let mut newcomers = Vec::new();
        for role in roles {
            newcomers.push(ensemble.admit(role).await?);
        }
        // A dial that finds nobody costs the election a pause. Before all are there, it waits.
        ensemble.plan.links.suspend_dials();
        for newcomer in newcomers {
            ensemble.launch(newcomer).await?;
        }
        ensemble.plan.links.resume_dials();
        ensemble.wait_until_serving().await?;
        Ok(ensemble)
    }

    /// What a client in this process connects to: all peers, `127.0.0.1:34567,127.0.0.1:…`.
    pub fn connect_string(&self) -> String {
        let members = self.members.values();
        let hosts: Vec<_> = members.map(|member| member.peer.connect_string()).collect();
        hosts.join(",")
    }

    /// The ids of all peers, in order, running or not.
    pub fn peer_ids(&self) -> Vec<i64> {
        self.members.keys().map(|id| id.0).collect()
    }

    /// A peer.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn peer(&self, id: i64) -> &QuorumPeer {
        &self.member(id).peer
    }

    #[track_caller]
    fn member(&self, id: i64) -> &Member {
        match self.members.get(&ServerId(id)) {
            Some(member) => member,
            None => panic!("there is no peer {id}, there are {:?}", self.peer_ids()),
        }
    }

    #[track_caller]
    fn check(&self, ids: &[i64]) -> Vec<ServerId> {
        for id in ids {
            self.member(*id);
        }
        ids.iter().copied().map(ServerId).collect()
    }

    /// Who leads and serves at the moment; see [`wait_for_leader`](Self::wait_for_leader).
    pub fn leader(&self) -> Option<i64> {
        self.current_leader()
    }
}

impl Member {
    fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }
}

/// Connections and ports are closed; tasks end, and nobody waits for them.
impl Drop for Ensemble {
    fn drop(&mut self) {
        self.plan.links.close();
        for member in self.members.values() {
            member.peer.kill();
            member.env.gate().open();
        }
    }
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ensemble")
            .field("peers", &self.peer_ids())
            .field("leader", &self.leader())
            .finish_non_exhaustive()
    }
}
