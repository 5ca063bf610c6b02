//! The keys of an ensemble, and the files that have them, put together.

use std::path::{Path, PathBuf};

use super::{EnsembleConfig, EnsembleSettings};
use crate::config::properties::{self, Property};
use crate::config::value::{boolean, integer, millis, yes_or_no};
use crate::error::ConfigError;
use crate::quorum::{HostPort, LearnerType, QuorumVerifier, ServerId, VerifierDraft};

/// The keys of a static file, before the other files have been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnsembleDraft {
    settings: EnsembleSettings,
    servers: VerifierDraft,
    /// The first key in `servers`.
    first_server_key: Option<String>,
    /// As the dynamic file's name says.
    version: i64,
    peer_type: Option<LearnerType>,
    client_host: Option<String>,
    client_port: Option<u16>,
    dynamic_config_file: Option<PathBuf>,
    has_extended_types: bool,
    /// What an ensemble would be refused for.
    refused: Option<ConfigError>,
}

impl EnsembleDraft {
    /// Takes what is about the ensemble out of the text of a `zoo.cfg`.
    ///
    /// # Errors
    ///
    /// The first key whose value cannot be used.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut draft = Self::default();
        for Property { key, value } in properties::parse(text)? {
            draft.apply(&key, &value)?;
        }
        Ok(draft)
    }

    /// Takes a key of a static file; false if an ensemble has no use for it.
    ///
    /// # Errors
    ///
    /// A value that cannot be used. What this server cannot do for an ensemble, above all
    /// TLS and SASL between peers, is an error only once there is one.
    pub(crate) fn apply(&mut self, key: &str, value: &str) -> Result<bool, ConfigError> {
        Ok(self.apply_setting(key, value)? || self.apply_other(key, value)?)
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
            "readonlymode.enabled" => settings.is_read_only_mode_enabled = boolean(k, v)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a key that has to fit others, or that cannot be obeyed; false if it is none
    /// of them.
    fn apply_other(&mut self, k: &str, v: &str) -> Result<bool, ConfigError> {
        match k {
            // The others are gone since 3.6.
            "electionAlg" => drop(integer(k, v, 3..=3)?),
            "peerType" => {
                let peer_type = v.parse();
                let peer_type =
                    peer_type.map_err(|()| ConfigError::value(k, v, "observer, participant"))?;
                self.peer_type = Some(peer_type);
            }
            "standaloneEnabled" => self.settings.is_standalone_enabled = boolean(k, v)?,
            "extendedTypesEnabled" => self.has_extended_types = boolean(k, v)?,
            "clientPort" => self.client_port = Some(integer(k, v, 0..=u16::MAX)?),
            "clientPortAddress" => self.client_host = Some(v.to_owned()),
            "dynamicConfigFile" => self.dynamic_config_file = Some(v.into()),
            "oraclePath" => self.refuse(k, "quorums that ask an oracle are not supported"),
            "sslQuorum" | "portUnification" => {
                if boolean(k, v)? {
                    self.refuse(k, "TLS between servers is not supported yet");
                }
            }
            "quorum.auth.enableSasl" => {
                if boolean(k, v)? {
                    self.refuse(k, "SASL between servers is not supported yet");
                }
            }
            _ if VerifierDraft::takes(k) => {
                self.first_server_key.get_or_insert_with(|| k.to_owned());
                self.servers.apply(k, v)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The first such key is the error of whoever makes an ensemble of this.
    fn refuse(&mut self, key: &str, reason: &str) {
        self.refused.get_or_insert_with(|| unsupported(key, reason));
    }

    /// The file that has the members, if this one has not.
    pub(crate) fn dynamic_config_file(&self) -> Option<&Path> {
        self.dynamic_config_file.as_deref()
    }

    /// The first key that says who is a member.
    pub(crate) fn first_server_key(&self) -> Option<&str> {
        self.first_server_key.as_deref()
    }

    /// Takes the members from the text of the dynamic file; its version is in its name.
    ///
    /// # Errors
    ///
    /// Anything but members there, and members in the static file as well.
    pub(crate) fn with_dynamic(mut self, file: &Path, text: &str) -> Result<Self, ConfigError> {
        if let Some(key) = &self.first_server_key {
            return Err(ConfigError::value(
                key.clone(),
                "set",
                "nothing beside dynamicConfigFile, which has the servers",
            ));
        }
        self.take_members(text)
            .map_err(|error| error.in_file(file))?;
        self.version = version_of(file);
        Ok(self)
    }

    fn take_members(&mut self, text: &str) -> Result<(), ConfigError> {
        for Property { key, value } in properties::parse(text)? {
            if !VerifierDraft::takes(&key) {
                let allowed = "server, group and weight alone in a dynamic file";
                return Err(ConfigError::value(key, value, allowed));
            }
            self.servers.apply(&key, &value)?;
        }
        Ok(())
    }

    /// Whether the members that are known make an ensemble. If not it is a standalone server.
    ///
    /// # Errors
    ///
    /// Members that make neither.
    pub(crate) fn is_ensemble(&self) -> Result<bool, ConfigError> {
        let (voters, observers) = self.servers.count();
        let is_distributed = voters > 1 || !self.settings.is_standalone_enabled;
        if !is_distributed && observers > 0 {
            let purpose = "observers: two participants, or standaloneEnabled=false";
            return Err(missing("server.N", purpose));
        }
        Ok(is_distributed)
    }

    /// Puts everything together. `myid` is the text of the file of that name in the data
    /// directory.
    ///
    /// # Errors
    ///
    /// What does not make an ensemble, or this server no member of it, and what this server
    /// cannot do.
    pub(crate) fn finish(self, myid: &str) -> Result<EnsembleConfig, ConfigError> {
        if !self.is_ensemble()? {
            let purpose = "an ensemble: two participants, or standaloneEnabled=false";
            return Err(missing("server.N", purpose));
        }
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        self.check_limits()?;
        let verifier = self.servers.clone().build(self.version)?;
        self.check_addresses(&verifier)?;
        let id = self.own_id(myid, &verifier)?;
        let own = verifier.member(id).cloned();
        let own =
            own.ok_or_else(|| missing(&format!("server.{id}"), "the server that myid names"))?;
        let (client_addr, verifier) = self.client_addr(id, own.client_addr, verifier)?;
        Ok(EnsembleConfig {
            id,
            learner_type: own.learner_type,
            is_peer_type_overruled: self.peer_type.is_some_and(|kind| kind != own.learner_type),
            client_addr,
            verifier,
            zoo_cfg: None,
            last_seen: None,
            settings: self.settings,
        })
    }

    /// Where this server serves clients: as the list says, or as the static file does; if
    /// both, they have to agree.
    fn client_addr(
        &self,
        id: ServerId,
        listed: Option<HostPort>,
        verifier: QuorumVerifier,
    ) -> Result<(HostPort, QuorumVerifier), ConfigError> {
        match (listed, self.static_client_addr()) {
            (Some(listed), Some(told)) if !is_same_client_addr(&listed, &told) => {
                Err(ConfigError::value(
                    "clientPort",
                    told.to_string(),
                    format!("what server.{id} says, {listed}, or nothing"),
                ))
            }
            (Some(listed), _) => Ok((listed, verifier)),
            (None, Some(told)) => {
                let verifier = verifier.with_hidden_client_addr(id, told.clone());
                Ok((told, verifier))
            }
            (None, None) => Err(missing("clientPort", "clients to connect")),
        }
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

    fn own_id(&self, myid: &str, verifier: &QuorumVerifier) -> Result<ServerId, ConfigError> {
        let line = myid.lines().next().unwrap_or_default().trim();
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
