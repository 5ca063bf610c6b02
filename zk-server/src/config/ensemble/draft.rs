//! The keys of an ensemble, and the files that have them, put together.

use std::path::{Path, PathBuf};

use super::{EnsembleConfig, EnsembleSettings};
use crate::config::properties::{self, Property};
use crate::config::value::{boolean, integer, millis, yes_or_no};
use crate::error::ConfigError;
use crate::quorum::{HostPort, LearnerType, QuorumVerifier, ServerId, VerifierDraft};

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
pub(super) fn version_of(file: &Path) -> i64 {
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
