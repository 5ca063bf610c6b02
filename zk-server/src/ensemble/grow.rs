//! How a peer becomes one of the ensemble.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use zk_env::Env;

use super::addresses::{MAX_PEERS, peer_addrs};
use super::peer_env::PeerEnv;
use super::{Ensemble, Member};
use crate::config::ServerConfig;
use crate::config::ensemble::EnsembleConfig;
use crate::error::{ConfigError, ServerError};
use crate::quorum::{LearnerType, ServerId};
use crate::quorum_peer::{PeerStatus, QuorumPeer};

/// A peer that is known to the others and does not run yet.
pub(super) struct Newcomer {
    id: ServerId,
    env: Arc<PeerEnv>,
    client_addr: SocketAddr,
    config: ServerConfig,
}

impl Ensemble {
    /// Makes a peer known, with a client port that nobody else can have any more.
    pub(super) async fn admit(&mut self, role: LearnerType) -> Result<Newcomer, ServerError> {
        let plan = &self.plan;
        let id = self.known.next_id();
        if id.0 > MAX_PEERS as i64 {
            let allowed = format!("at most {} peers", MAX_PEERS);
            return Err(ConfigError::value("server.N", id.to_string(), allowed).into());
        }
        for addr in peer_addrs(id) {
            plan.links.assign(addr, id);
        }
        let storage = plan.storage.of_peer(id, plan.given_env.as_ref());
        let env = PeerEnv::new(
            Arc::clone(&plan.env),
            id,
            Arc::clone(&plan.links),
            storage.disk,
            storage.temp_dir,
        );
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, plan.client_port(id)));
        let reserved = env.reserve(wanted).await;
        let client_addr = reserved.map_err(|source| ServerError::Bind {
            addr: wanted,
            source: Arc::new(source),
        })?;
        self.known.insert(id, role, client_addr);
        let mut config = plan.config.clone();
        config.client_addr = client_addr;
        config.data_dir = Some(storage.data_dir.clone());
        config.data_log_dir = Some(storage.data_dir);
        Ok(Newcomer {
            id,
            env: Arc::new(env),
            client_addr,
            config,
        })
    }

    /// Starts a peer, which knows all others that are known by now.
    pub(super) async fn launch(&mut self, newcomer: Newcomer) -> Result<(), ServerError> {
        let Newcomer {
            id,
            env,
            client_addr,
            config,
        } = newcomer;
        let text = self
            .known
            .zoo_cfg(&config, self.plan.limits, &self.plan.settings);
        let started = QuorumPeer::builder(EnsembleConfig::parse(&text, id.0)?)
            .config(config)
            .env(Arc::clone(&env) as Arc<dyn Env>)
            .start();
        let peer = started.await?;
        debug_assert_eq!(peer.client_addr(), client_addr, "the reserved port");
        let member = Member {
            peer,
            env,
            is_running: AtomicBool::new(true),
        };
        self.members.insert(id, member);
        Ok(())
    }

    /// Starts one more peer and returns its id. It follows the leader without a vote until a
    /// `reconfig` by a client makes it a member: [`server_line`](Self::server_line) is what
    /// that needs. When this returns it serves clients.
    ///
    /// # Errors
    ///
    /// As [`EnsembleBuilder::start`](super::EnsembleBuilder::start).
    ///
    /// # Cancel safety
    ///
    /// Not waiting to the end leaves a peer that is not known here and stops, or one that is
    /// and still looks for its leader.
    pub async fn add_peer(&mut self) -> Result<i64, ServerError> {
        let newcomer = self.admit(LearnerType::Participant).await?;
        let id = newcomer.id;
        self.launch(newcomer).await?;
        let is_serving =
            |peers: &[PeerStatus]| peers.iter().any(|peer| peer.id == id.0 && peer.is_serving);
        let missing = format!("peer {id} does not serve");
        self.wait_until(&missing, is_serving).await?;
        Ok(id.0)
    }

    /// A peer's line in a configuration,
    /// `server.1=127.0.0.1:2888:3888:participant;127.0.0.1:34567`: what joins in a `reconfig`.
    /// The first two ports are known to the peers of this ensemble alone.
    ///
    /// # Panics
    ///
    /// If there is no such peer.
    #[track_caller]
    pub fn server_line(&self, id: i64) -> String {
        self.member(id);
        let line = self.known.server_line(ServerId(id));
        line.expect("every peer is known before it starts")
    }
}
