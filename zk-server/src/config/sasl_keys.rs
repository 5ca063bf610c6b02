//! The keys of a `zoo.cfg` that are about SASL with clients.

use std::collections::BTreeMap;
use std::path::PathBuf;

use zk_env::Disk;
use zk_proto::sasl::Secret;

use super::jaas;
use super::load::{missing, read};
use super::sasl::SaslConfig;
use super::value::boolean;
use crate::error::ConfigError;

/// Where the users are. To Apache's server it is given as a JVM property.
const LOGIN_CONFIG: &str = "java.security.auth.login.config";
/// The provider of scheme `sasl`.
const PROVIDER: &str = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";

/// What has been read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct SaslDraft {
    config: SaslConfig,
    login_config: Option<PathBuf>,
    section: Option<String>,
    is_required: bool,
}

impl SaslDraft {
    /// Takes one key; false if it is about something else.
    pub(super) fn apply(&mut self, key: &str, value: &str) -> Result<bool, ConfigError> {
        let is_family = |family| key.starts_with(family);
        match key {
            LOGIN_CONFIG => self.login_config = Some(value.into()),
            "sasl.serverconfig" => self.section = Some(value.to_owned()),
            "sessionRequireClientSASLAuth" => self.is_required = boolean(key, value)?,
            "allowSaslFailedClients" => self.config.allow_failed_clients = boolean(key, value)?,
            "letAnySaslUserDoX" => self.config.anybody = Some(value.to_owned()),
            "SASLAuthenticationProvider.superPassword" => {
                self.config.super_password = Some(Secret::new(value));
            }
            _ if key == "superUser" || is_family("superUser.") => {
                self.config.super_users.push(value.to_owned());
            }
            _ if is_family("authProvider.") && value == PROVIDER => self.config.has_acls = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether nobody may do anything without SASL.
    pub(super) const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Checks that SASL can be had where it has to be.
    pub(super) fn check(&self, enforced: &[String]) -> Result<(), ConfigError> {
        if !enforced.iter().any(|scheme| scheme == "sasl") {
            return Ok(());
        }
        let needed = |key: &str, purpose: &str| ConfigError::Missing {
            key: key.to_owned(),
            purpose: purpose.to_owned(),
        };
        if !self.config.has_acls {
            let key = format!("authProvider.1={PROVIDER}");
            return Err(needed(&key, "enforcing scheme sasl"));
        }
        if self.login_config.is_none() {
            return Err(needed(
                LOGIN_CONFIG,
                "enforcing scheme sasl: it names the users' file",
            ));
        }
        Ok(())
    }

    /// What can be said before the file is read.
    pub(super) fn set(&self, config: &mut SaslConfig) {
        config.clone_from(&self.config);
    }

    /// The users in the file, if one is named.
    pub(super) async fn users(
        &self,
        disk: &dyn Disk,
    ) -> Result<Option<BTreeMap<String, Secret>>, ConfigError> {
        let Some(file) = &self.login_config else {
            return Ok(None);
        };
        let text = read(disk, file).await?;
        let text = text.ok_or_else(|| missing(file, LOGIN_CONFIG))?;
        let section = self.section.as_deref().unwrap_or("Server");
        let users = jaas::users(&text, section).map_err(|reason| ConfigError::Unreadable {
            file: file.display().to_string(),
            reason,
        })?;
        Ok(Some(users))
    }
}
