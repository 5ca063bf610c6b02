//! What a configuration says about the ensemble a server is part of.

mod draft;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use draft::EnsembleDraft;

use super::server_config::DEFAULT_TICK_TIME;
use crate::error::ConfigError;
use crate::quorum::{HostPort, LearnerType, QuorumVerifier, ServerId};
use crate::session::LocalSessions;

/// A server's part in its ensemble, checked: its id, everybody's addresses and roles,
/// what a quorum is, and how long peers wait for one another.
///
/// Made from a text with a `zoo.cfg`'s keys by [`parse`](Self::parse), or with the files
/// around one by [`ZooCfg`](crate::ZooCfg).
#[derive(Clone, Debug)]
pub struct EnsembleConfig {
    /// `myid`
    pub(crate) id: ServerId,
    /// The members, of the version that the dynamic file's name says.
    pub(crate) verifier: QuorumVerifier,
    /// This server's role; the list's, whatever `peerType` says.
    pub(crate) learner_type: LearnerType,
    /// `peerType` said otherwise.
    pub(crate) is_peer_type_overruled: bool,
    /// Where this server serves clients.
    pub(crate) client_addr: HostPort,
    /// The `zoo.cfg`, which is kept up to date if it is known.
    pub(crate) zoo_cfg: Option<PathBuf>,
    /// A configuration that was proposed and may be undecided, `zoo.cfg.dynamic.next`.
    pub(crate) last_seen: Option<QuorumVerifier>,
    /// Everything else.
    pub(crate) settings: EnsembleSettings,
}

/// Values that need no other to be checked, with Apache's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnsembleSettings {
    /// `tickTime`, the unit of the limits.
    pub(crate) tick_time: Duration,
    /// `initLimit`: ticks to connect to a leader and to be in step with it.
    pub(crate) init_limit: u32,
    /// `syncLimit`: ticks that a peer may be silent.
    pub(crate) sync_limit: u32,
    /// `connectToLearnerMasterLimit`: ticks to connect; 0 is as many as `initLimit`.
    pub(crate) connect_to_learner_master_limit: u32,
    /// `quorumListenOnAllIPs`
    pub(crate) quorum_listen_on_all_ips: bool,
    /// `reconfigEnabled`
    pub(crate) reconfig_enabled: bool,
    /// `standaloneEnabled`: an ensemble does not shrink to a single voter.
    pub(crate) is_standalone_enabled: bool,
    /// `multiAddress.enabled`
    pub(crate) is_multi_address: bool,
    /// `cnxTimeout`: a dial of the election port.
    pub(crate) cnx_timeout: Duration,
    /// `quorumCnxnTimeoutMs`, or as long as `syncLimit`: the handshake there.
    pub(crate) quorum_cnxn_timeout: Option<Duration>,
    /// `electionPortBindRetry`; 0 is for ever.
    pub(crate) election_port_bind_retry: u32,
    /// `fastleader.minNotificationInterval`
    pub(crate) min_notification_interval: Duration,
    /// `fastleader.maxNotificationInterval`
    pub(crate) max_notification_interval: Duration,
    /// `syncEnabled`: an observer keeps a log and snapshots.
    pub(crate) sync_enabled: bool,
    /// `observerMasterPort`; 0 is none.
    pub(crate) observer_master_port: u16,
    /// `leaderServes`
    pub(crate) leader_serves: bool,
    /// `localSessionsEnabled`
    pub(crate) local_sessions_enabled: bool,
    /// `localSessionsUpgradingEnabled`
    pub(crate) local_sessions_upgrading_enabled: bool,
    /// `readonlymode.enabled`
    pub(crate) is_read_only_mode_enabled: bool,
}

impl Default for EnsembleSettings {
    fn default() -> Self {
        Self {
            tick_time: DEFAULT_TICK_TIME,
            init_limit: 0,
            sync_limit: 0,
            connect_to_learner_master_limit: 0,
            quorum_listen_on_all_ips: false,
            reconfig_enabled: false,
            is_standalone_enabled: true,
            is_multi_address: false,
            cnx_timeout: Duration::from_secs(5),
            quorum_cnxn_timeout: None,
            election_port_bind_retry: 3,
            min_notification_interval: Duration::from_millis(200),
            max_notification_interval: Duration::from_secs(60),
            sync_enabled: true,
            observer_master_port: 0,
            leader_serves: true,
            local_sessions_enabled: false,
            local_sessions_upgrading_enabled: false,
            is_read_only_mode_enabled: false,
        }
    }
}

impl EnsembleSettings {
    /// What new sessions are. Upgrading is for local ones only.
    pub(crate) const fn local_sessions(&self) -> LocalSessions {
        match (
            self.local_sessions_enabled,
            self.local_sessions_upgrading_enabled,
        ) {
            (false, _) => LocalSessions::Off,
            (true, false) => LocalSessions::On,
            (true, true) => LocalSessions::Upgradeable,
        }
    }
}

impl EnsembleConfig {
    /// Reads the keys of an ensemble, with Apache's names, for the member `myid`:
    /// `server.N`, `group.N`, `weight.N`, `initLimit`, `syncLimit`, `tickTime`, `clientPort`
    /// and so on. Keys that are not about the ensemble are passed over.
    ///
    /// # Errors
    ///
    /// The first key whose value cannot be used, what is missing, and what this server
    /// cannot do for an ensemble, above all TLS and SASL between peers.
    ///
    /// # Examples
    ///
    /// ```
    /// use zk_server::EnsembleConfig;
    ///
    /// let text = "initLimit=10
    /// syncLimit=5
    /// server.1=zk1:2888:3888;2181
    /// server.2=zk2:2888:3888;2181
    /// server.3=zk3:2888:3888;2181";
    /// let ensemble = EnsembleConfig::parse(text, 2)?;
    /// assert_eq!(ensemble.id(), 2);
    /// # Ok::<(), zk_server::ConfigError>(())
    /// ```
    pub fn parse(text: &str, myid: i64) -> Result<Self, ConfigError> {
        let draft = EnsembleDraft::parse(text)?;
        if let Some(file) = draft.dynamic_config_file() {
            let allowed = "nothing where there is the text of one file alone";
            let file = file.display().to_string();
            return Err(ConfigError::value("dynamicConfigFile", file, allowed));
        }
        draft.finish(&myid.to_string())
    }

    /// `myid`, the `N` of this server's `server.N`.
    pub fn id(&self) -> i64 {
        self.id.0
    }

    /// The host at which this server serves clients, as it is written; `0.0.0.0` is all
    /// of the machine's addresses.
    pub fn client_host(&self) -> &str {
        &self.client_addr.host
    }

    /// The port at which this server serves clients; 0 lets the system choose.
    pub fn client_port(&self) -> u16 {
        self.client_addr.port
    }

    /// Where votes are exchanged: on the addresses of the list, or on all of the machine.
    pub(crate) fn election_listen(&self) -> Vec<HostPort> {
        let own = self.verifier.member(self.id).into_iter();
        let addrs = own.flat_map(|own| own.addrs.iter().map(|addr| addr.election()));
        let mut listen: Vec<_> = addrs
            .map(|addr| HostPort {
                host: if self.settings.quorum_listen_on_all_ips {
                    "::".to_owned()
                } else {
                    addr.host
                },
                port: addr.port,
            })
            .collect();
        listen.dedup();
        listen
    }

    /// How long an election connection may take to say who it is.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        let settings = &self.settings;
        let by_ticks = settings.tick_time.saturating_mul(settings.sync_limit);
        settings.quorum_cnxn_timeout.unwrap_or(by_ticks)
    }
}
