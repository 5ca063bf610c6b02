//! What a configuration says about the ensemble a server is part of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::properties::{self, Property};
use super::server_config::DEFAULT_TICK_TIME;
use super::value::{boolean, integer, millis, yes_or_no};
use crate::error::ConfigError;
use crate::quorum::{HostPort, LearnerType, QuorumVerifier, ServerId, VerifierDraft};

/// A server's part in its ensemble, checked: its id, everybody's addresses and roles,
/// what a quorum is, and how long peers wait for one another.
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
    /// Where the members come from, if not from the file itself.
    pub(crate) dynamic_config_file: Option<PathBuf>,
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
        }
    }
}

/// The keys of a static file, before the other files have been read.
#[derive(Clone, Debug)]
pub(crate) struct EnsembleDraft {
    settings: EnsembleSettings,
    servers: VerifierDraft,
    /// The first key in `servers`.
    first_server_key: Option<String>,
    peer_type: Option<LearnerType>,
    client_host: Option<String>,
    client_port: Option<u16>,
    dynamic_config_file: Option<PathBuf>,
    is_standalone_enabled: bool,
    has_extended_types: bool,
}

impl EnsembleDraft {
    /// Takes what is about the ensemble out of the text of a `zoo.cfg`.
    ///
    /// # Errors
    ///
    /// The first key whose value cannot be used, and what this server cannot do for an
    /// ensemble, above all TLS and SASL between peers.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut draft = Self {
            settings: EnsembleSettings::default(),
            servers: VerifierDraft::default(),
            first_server_key: None,
            peer_type: None,
            client_host: None,
            client_port: None,
            dynamic_config_file: None,
            is_standalone_enabled: true,
            has_extended_types: false,
        };
        for Property { key, value } in properties::parse(text)? {
            if !draft.apply_setting(&key, &value)? {
                draft.apply(&key, &value)?;
            }
        }
        Ok(draft)
    }

    /// Takes a key that is a value by itself; false if it is none of them.
    fn apply_setting(&mut self, k: &str, v: &str) -> Result<bool, ConfigError> {
        let settings = &mut self.settings;
        match k {
            "tickTime" => settings.tick_time = millis(k, v, 1)?,
            "initLimit" => settings.init_limit = ticks(k, v)?,
            "syncLimit" => settings.sync_limit = ticks(k, v)?,
            "connectToLearnerMasterLimit" => {
                settings.connect_to_learner_master_limit = ticks(k, v)?;
            }
            "quorumListenOnAllIPs" => settings.quorum_listen_on_all_ips = boolean(k, v)?,
            "reconfigEnabled" => settings.reconfig_enabled = boolean(k, v)?,
            "multiAddress.enabled" => settings.is_multi_address = boolean(k, v)?,
            "cnxTimeout" => settings.cnx_timeout = millis(k, v, 1)?,
            "quorumCnxnTimeoutMs" if v == UNSET => settings.quorum_cnxn_timeout = None,
            "quorumCnxnTimeoutMs" => settings.quorum_cnxn_timeout = Some(millis(k, v, 1)?),
            "electionPortBindRetry" => {
                settings.election_port_bind_retry = integer(k, v, 0..=i32::MAX.unsigned_abs())?;
            }
            "fastleader.minNotificationInterval" => {
                settings.min_notification_interval = millis(k, v, 1)?;
            }
            "fastleader.maxNotificationInterval" => {
                settings.max_notification_interval = millis(k, v, 1)?;
            }
            "syncEnabled" | "observer.syncEnabled" => settings.sync_enabled = boolean(k, v)?,
            "observerMasterPort" => settings.observer_master_port = integer(k, v, 0..=u16::MAX)?,
            "leaderServes" => settings.leader_serves = yes_or_no(k, v)?,
            "localSessionsEnabled" => settings.local_sessions_enabled = boolean(k, v)?,
            "localSessionsUpgradingEnabled" => {
                settings.local_sessions_upgrading_enabled = boolean(k, v)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a key that has to fit others, or that cannot be obeyed.
    fn apply(&mut self, k: &str, v: &str) -> Result<(), ConfigError> {
        match k {
            // The others are gone since 3.6.
            "electionAlg" => drop(integer(k, v, 3..=3)?),
            "peerType" => {
                let peer_type = v.parse();
                let peer_type =
                    peer_type.map_err(|()| ConfigError::value(k, v, "observer, participant"))?;
                self.peer_type = Some(peer_type);
            }
            "standaloneEnabled" => self.is_standalone_enabled = boolean(k, v)?,
            "extendedTypesEnabled" => self.has_extended_types = boolean(k, v)?,
            "clientPort" => self.client_port = Some(integer(k, v, 0..=u16::MAX)?),
            "clientPortAddress" => self.client_host = Some(v.to_owned()),
            "dynamicConfigFile" => self.dynamic_config_file = Some(v.into()),
            "oraclePath" => {
                return Err(unsupported(
                    k,
                    "quorums that ask an oracle are not supported",
                ));
            }
            "sslQuorum" | "portUnification" if boolean(k, v)? => {
                return Err(unsupported(k, "TLS between servers is not supported yet"));
            }
            "quorum.auth.enableSasl" if boolean(k, v)? => {
                return Err(unsupported(k, "SASL between servers is not supported yet"));
            }
            _ if VerifierDraft::takes(k) => {
                self.first_server_key.get_or_insert_with(|| k.to_owned());
                self.servers.apply(k, v)?;
            }
            // All others are the server's own.
            _ => {}
        }
        Ok(())
    }

    /// The file that has the members, if this one has not.
    pub(crate) fn dynamic_config_file(&self) -> Option<&Path> {
        self.dynamic_config_file.as_deref()
    }

    /// Puts the files together. `myid` is the text of the file of that name in the data
    /// directory, `dynamic` that of the dynamic file. `None` is a standalone server.
    ///
    /// # Errors
    ///
    /// What does not make an ensemble, or this server no member of it.
    pub(crate) fn finish(
        mut self,
        myid: Option<&str>,
        dynamic: Option<&str>,
    ) -> Result<Option<EnsembleConfig>, ConfigError> {
        let version = self.take_dynamic(dynamic)?;
        let (voters, observers) = self.servers.count();
        let is_distributed = voters > 1 || !self.is_standalone_enabled;
        if !is_distributed && observers == 0 {
            return Ok(None);
        }
        if !is_distributed {
            let purpose = "observers: two participants, or standaloneEnabled=false";
            return Err(missing("server.N", purpose));
        }
        self.check_limits()?;
        let verifier = self.servers.clone().build(version)?;
        self.check_addresses(&verifier)?;
        let id = self.own_id(myid, &verifier)?;
        let own = verifier.member(id).cloned();
        let own =
            own.ok_or_else(|| missing(&format!("server.{id}"), "the server that myid names"))?;
        let told = self.static_client_addr();
        let (client_addr, verifier) = match (own.client_addr, told) {
            (Some(listed), Some(told)) if !is_same_client_addr(&listed, &told) => {
                return Err(ConfigError::value(
                    "clientPort",
                    told.to_string(),
                    format!("what server.{id} says, {listed}, or nothing"),
                ));
            }
            (Some(listed), _) => (listed, verifier),
            (None, Some(told)) => {
                let verifier = verifier.with_hidden_client_addr(id, told.clone());
                (told, verifier)
            }
            (None, None) => return Err(missing("clientPort", "clients to connect")),
        };
        Ok(Some(EnsembleConfig {
            id,
            learner_type: own.learner_type,
            is_peer_type_overruled: self.peer_type.is_some_and(|kind| kind != own.learner_type),
            client_addr,
            verifier,
            dynamic_config_file: self.dynamic_config_file,
            settings: self.settings,
        }))
    }

    /// Reads the dynamic file; its version is in its name.
    fn take_dynamic(&mut self, dynamic: Option<&str>) -> Result<i64, ConfigError> {
        let Some(file) = &self.dynamic_config_file else {
            return Ok(0);
        };
        if let Some(key) = &self.first_server_key {
            return Err(ConfigError::value(
                key.clone(),
                "set",
                "nothing beside dynamicConfigFile, which has the servers",
            ));
        }
        let text = dynamic.ok_or_else(|| {
            missing(
                &file.display().to_string(),
                "dynamicConfigFile, which names it",
            )
        })?;
        for Property { key, value } in properties::parse(text)? {
            if !VerifierDraft::takes(&key) {
                let allowed = "server, group and weight alone in a dynamic file";
                return Err(ConfigError::value(key, value, allowed));
            }
            self.servers.apply(&key, &value)?;
        }
        Ok(version_of(file))
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        for (key, ticks) in [
            ("initLimit", self.settings.init_limit),
            ("syncLimit", self.settings.sync_limit),
        ] {
            if ticks == 0 {
                return Err(missing(key, "an ensemble"));
            }
        }
        let (min, max) = (
            self.settings.min_notification_interval,
            self.settings.max_notification_interval,
        );
        if min > max {
            return Err(ConfigError::value(
                "fastleader.minNotificationInterval",
                format!("{} ms", min.as_millis()),
                format!("at most the longest one, {} ms", max.as_millis()),
            ));
        }
        Ok(())
    }

    fn check_addresses(&self, verifier: &QuorumVerifier) -> Result<(), ConfigError> {
        let several = verifier.members().find(|member| member.addrs.len() > 1);
        match several {
            Some(member) if !self.settings.is_multi_address => Err(ConfigError::value(
                format!("server.{}", member.id),
                member.to_string(),
                "one address, unless multiAddress.enabled=true",
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn own_id(
        &self,
        myid: Option<&str>,
        verifier: &QuorumVerifier,
    ) -> Result<ServerId, ConfigError> {
        let text = myid.ok_or_else(|| missing("myid", "a member of an ensemble, in dataDir"))?;
        let line = text.lines().next().unwrap_or_default().trim();
        let allowed = || ConfigError::value("myid", line, "the N of a server.N");
        let id = ServerId(line.parse().map_err(|_| allowed())?);
        if verifier.member(id).is_none() {
            return Err(allowed());
        }
        if self.has_extended_types && id.0 > MAX_EXTENDED_ID {
            return Err(ConfigError::value(
                "myid",
                line,
                "at most 254 with extendedTypesEnabled",
            ));
        }
        Ok(id)
    }

    fn static_client_addr(&self) -> Option<HostPort> {
        let host = self.client_host.clone();
        Some(HostPort {
            host: host.unwrap_or_else(|| "0.0.0.0".to_owned()),
            port: self.client_port?,
        })
    }
}

/// The top byte of a TTL znode's owner marks it as one.
const MAX_EXTENDED_ID: i64 = 254;
/// What Apache takes as "not set".
const UNSET: &str = "-1";

/// Ports have to agree; "any address" agrees with every host.
fn is_same_client_addr(a: &HostPort, b: &HostPort) -> bool {
    a.port == b.port && (a.host == b.host || a.is_wildcard() || b.is_wildcard())
}

/// The hexadecimal digits after the last dot of a file's name; 0 if there are none.
fn version_of(file: &Path) -> i64 {
    let name = file.file_name().and_then(|name| name.to_str());
    let suffix = name.and_then(|name| Some(name.rsplit_once('.')?.1));
    suffix
        .and_then(|hex| i64::from_str_radix(hex, 16).ok())
        .unwrap_or(0)
}

fn ticks(key: &str, value: &str) -> Result<u32, ConfigError> {
    integer(key, value, 0..=i32::MAX.unsigned_abs())
}

fn missing(key: &str, purpose: &str) -> ConfigError {
    ConfigError::Missing {
        key: key.to_owned(),
        purpose: purpose.to_owned(),
    }
}

fn unsupported(key: &str, reason: &str) -> ConfigError {
    ConfigError::Unsupported {
        key: key.to_owned(),
        reason: reason.to_owned(),
    }
}

impl EnsembleConfig {
    /// Reads the keys of a `zoo.cfg` that are about the ensemble; others are ignored. `myid` says
    /// which of the `server.N` this one is.
    ///
    /// # Errors
    ///
    /// The first key whose value cannot be used, what does not make an ensemble, and
    /// `dynamicConfigFile`, since no file is read here.
    pub fn parse(text: &str, myid: i64) -> Result<Self, ConfigError> {
        let config = EnsembleDraft::parse(text)?.finish(Some(&myid.to_string()), None)?;
        config.ok_or_else(|| {
            missing(
                "server.N",
                "an ensemble: two of them, or standaloneEnabled=false",
            )
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "clientPort=2181\ninitLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\n\
                         server.2=b:2888:3888\nserver.3=c:2888:3888:observer\n";

    fn read(text: &str, myid: Option<&str>) -> Result<Option<EnsembleConfig>, ConfigError> {
        EnsembleDraft::parse(text)?.finish(myid, None)
    }

    fn ensemble(text: &str) -> EnsembleConfig {
        read(text, Some("1\n")).unwrap().expect("an ensemble")
    }

    #[track_caller]
    fn refused(more: &str, reason: &str) {
        let error = read(&format!("{THREE}{more}"), Some("1"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{more}: {error}");
    }

    #[test]
    fn members_and_defaults_are_apaches() {
        let config = ensemble(THREE);
        assert_eq!(
            (config.id, config.learner_type),
            (ServerId(1), LearnerType::Participant)
        );
        assert_eq!(config.client_addr.to_string(), "0.0.0.0:2181");
        let expected = EnsembleSettings {
            init_limit: 10,
            sync_limit: 5,
            ..EnsembleSettings::default()
        };
        assert_eq!(config.settings, expected);
        assert_eq!(config.handshake_timeout(), Duration::from_secs(15));
        assert_eq!(
            config.verifier.to_text(),
            "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n\
             server.3=c:2888:3888:observer\nversion=0",
            "without the client port of the static file"
        );
        assert_eq!(config.election_listen(), ["a:3888".parse().unwrap()]);
    }

    #[test]
    fn every_setting_arrives() {
        let config = ensemble(&format!(
            "{THREE}tickTime=100\nquorumListenOnAllIPs=true\nreconfigEnabled=true\n\
             multiAddress.enabled=true\ncnxTimeout=7\nquorumCnxnTimeoutMs=8\n\
             electionPortBindRetry=0\nfastleader.minNotificationInterval=9\n\
             fastleader.maxNotificationInterval=10\nsyncEnabled=false\nobserverMasterPort=11\n\
             leaderServes=no\nlocalSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
             connectToLearnerMasterLimit=12\npeerType=observer\nelectionAlg=3",
        ));
        let expected = EnsembleSettings {
            tick_time: Duration::from_millis(100),
            init_limit: 10,
            sync_limit: 5,
            connect_to_learner_master_limit: 12,
            quorum_listen_on_all_ips: true,
            reconfig_enabled: true,
            is_multi_address: true,
            cnx_timeout: Duration::from_millis(7),
            quorum_cnxn_timeout: Some(Duration::from_millis(8)),
            election_port_bind_retry: 0,
            min_notification_interval: Duration::from_millis(9),
            max_notification_interval: Duration::from_millis(10),
            sync_enabled: false,
            observer_master_port: 11,
            leader_serves: false,
            local_sessions_enabled: true,
            local_sessions_upgrading_enabled: true,
        };
        assert_eq!(config.settings, expected);
        assert!(config.is_peer_type_overruled, "the list says participant");
        assert_eq!(config.election_listen(), ["[::]:3888".parse().unwrap()]);
        assert_eq!(config.handshake_timeout(), Duration::from_millis(8));
    }

    #[test]
    fn what_makes_no_ensemble_is_standalone_or_refused() {
        let alone = "clientPort=2181\nserver.1=a:1:2\n";
        assert!(read("clientPort=2181", None).unwrap().is_none());
        assert!(read(alone, None).unwrap().is_none());
        let distributed = format!("{alone}standaloneEnabled=false\ninitLimit=1\nsyncLimit=1");
        assert!(read(&distributed, Some("1")).unwrap().is_some());
        for text in [
            format!("{alone}server.2=b:1:2:observer"),
            "server.2=b:1:2:observer".to_owned(),
            "standaloneEnabled=false\ninitLimit=1\nsyncLimit=1".to_owned(),
        ] {
            let error = read(&text, Some("1")).unwrap_err().to_string();
            assert!(error.starts_with("server.N is missing"), "{error}");
        }
    }

    #[test]
    fn limits_have_to_be_set() {
        for key in ["initLimit", "syncLimit"] {
            let text: String = THREE
                .lines()
                .filter(|line| !line.starts_with(key))
                .collect::<Vec<_>>()
                .join("\n");
            let error = read(&text, Some("1")).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{key} is missing, it is needed for an ensemble")
            );
        }
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        refused("electionAlg=1", "electionAlg is 1");
        refused("peerType=leader", "observer, participant");
        refused("oraclePath=/x", "oracle");
        refused("sslQuorum=true", "TLS between servers");
        refused("portUnification=true", "TLS between servers");
        refused("quorum.auth.enableSasl=true", "SASL between servers");
        refused("server.4=d:1:2|e:1:2", "multiAddress.enabled");
        refused("server.4=d:1:1", "that differ");
        refused("group.1=1", "in no group");
        refused("standaloneEnabled=maybe", "true, false");
        refused("initLimit=-1", "whole numbers");
        refused(
            "fastleader.maxNotificationInterval=1",
            "at most the longest",
        );
        refused("server.1=a:2888:3888;2182", "what server.1 says");
    }

    #[test]
    fn myid_has_to_name_a_member() {
        for (myid, reason) in [
            (None, "myid is missing"),
            (Some(""), "the N of a server.N"),
            (Some("x"), "the N of a server.N"),
            (Some("9"), "the N of a server.N"),
        ] {
            let error = read(THREE, myid).unwrap_err().to_string();
            assert!(error.contains(reason), "{myid:?}: {error}");
        }
        assert_eq!(
            read(THREE, Some(" 3 \nrest")).unwrap().unwrap().id,
            ServerId(3)
        );
        let text = format!("{THREE}extendedTypesEnabled=true\nserver.255=d:1:2");
        assert!(
            read(&text, Some("255"))
                .unwrap_err()
                .to_string()
                .contains("254")
        );
    }

    #[test]
    fn a_dynamic_file_has_the_members_and_in_its_name_the_version() {
        let statics =
            "initLimit=10\nsyncLimit=5\ndynamicConfigFile=/conf/zoo.cfg.dynamic.10000000a\n";
        let servers = "server.1=a:1:2:participant;2181\nserver.2=b:1:2:participant;2181\n";
        let finish =
            |statics: &str, dynamic| EnsembleDraft::parse(statics)?.finish(Some("2"), dynamic);
        let config = finish(statics, Some(servers)).unwrap().unwrap();
        assert_eq!(config.verifier.version(), 0x1_0000_000a);
        assert_eq!(config.client_addr.to_string(), "0.0.0.0:2181");
        let error = |statics: &str, dynamic| finish(statics, dynamic).unwrap_err().to_string();
        assert!(error(statics, None).contains("dynamicConfigFile, which names it"));
        let with_version = format!("{servers}version=1");
        assert!(error(statics, Some(&with_version)).contains("alone in a dynamic file"));
        let both = format!("{statics}server.1=a:1:2");
        assert!(error(&both, Some(servers)).contains("beside dynamicConfigFile"));
    }

    #[test]
    fn a_file_without_a_version_has_version_zero() {
        for (name, version) in [("/a/zoo.dynamic", 0), ("zoo.cfg.dynamic.ff", 255), ("x", 0)] {
            assert_eq!(version_of(Path::new(name)), version, "{name}");
        }
    }
}
