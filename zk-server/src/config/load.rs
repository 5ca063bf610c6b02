//! A `zoo.cfg` and the files around it, put together.

use std::io;
use std::path::Path;

use zk_env::{Disk, Env, OpenMode};

use super::admin::bind_addr;
use super::ensemble::EnsembleConfig;
use super::server_config::ServerConfig;
use super::zoo_cfg::ZooCfg;
use crate::error::ConfigError;
use crate::quorum::QuorumVerifier;
use crate::storage::next_of;

/// A dynamic file of the largest ensemble is far smaller.
const LONGEST_FILE: u64 = 1 << 20;

impl ZooCfg {
    /// The configuration of the server, and of its ensemble if it is a member of one: reads
    /// `dynamicConfigFile` and `myid`, and looks the client's address up. Without a
    /// `clientPortAddress` clients are served on every address.
    ///
    /// # Errors
    ///
    /// What the files lack or say wrongly, a host name that is not known, or values that do
    /// not fit each other.
    #[doc(hidden)]
    pub async fn load(
        self,
        env: &dyn Env,
    ) -> Result<(ServerConfig, Option<EnsembleConfig>), ConfigError> {
        let ensemble = self.ensemble(env).await?;
        let (key, host, port) = match &ensemble {
            Some(ensemble) => (
                "server.N",
                self.listed_host(ensemble),
                ensemble.client_port(),
            ),
            None => ("clientPortAddress", self.client_host(), self.needed_port()?),
        };
        let addr = bind_addr(key, host, port, env).await?;
        let admin = self.admin.resolve(env).await?;
        let users = self.sasl.users(&*env.disk()).await?;
        let mut builder = self.builder.client_addr(addr).admin(admin);
        if let Some(port) = self.tls.secure_port {
            let key = "secureClientPortAddress";
            let addr = bind_addr(key, self.tls.secure_host.as_deref(), port, env).await?;
            builder = builder.secure_client_addr(addr);
        }
        let builder = builder.sasl(|sasl| sasl.users = users);
        Ok((builder.build()?, ensemble))
    }

    /// What the file and those it names say about the ensemble; `None` if this is a
    /// standalone server.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    #[doc(hidden)]
    pub async fn ensemble(&self, env: &dyn Env) -> Result<Option<EnsembleConfig>, ConfigError> {
        let disk = env.disk();
        let mut draft = self.ensemble.clone();
        if let Some(file) = draft.dynamic_config_file().map(Path::to_owned) {
            let text = read(&*disk, &file).await?;
            let purpose = "dynamicConfigFile, which names it";
            let text = text.ok_or_else(|| missing(&file, purpose))?;
            draft = draft.with_dynamic(&file, &text)?;
        }
        if !draft.is_ensemble()? {
            return Ok(None);
        }
        let file = self.data_dir.join("myid");
        let myid = read(&*disk, &file).await?;
        let purpose = "a member of an ensemble: write the N of this server's server.N into it";
        let has_dynamic = draft.dynamic_config_file().is_some();
        let mut ensemble = draft.finish(&myid.ok_or_else(|| missing(&file, purpose))?)?;
        ensemble.zoo_cfg.clone_from(&self.file);
        if has_dynamic && ensemble.settings.reconfig_enabled {
            ensemble.last_seen = self.proposed(&*disk, ensemble.verifier.version()).await?;
        }
        Ok(Some(ensemble))
    }

    /// The ensemble by a `zoo.cfg` as it is now; `None` if it is not there any more.
    pub(crate) async fn read_again(
        file: &Path,
        env: &dyn Env,
    ) -> Result<Option<EnsembleConfig>, ConfigError> {
        let Some(text) = read(&*env.disk(), file).await? else {
            return Ok(None);
        };
        let cfg = Self::parse(&text).map_err(|error| error.in_file(file))?;
        cfg.read_from(file).ensemble(env).await
    }

    /// What `zoo.cfg.dynamic.next` says, if that is of a later version.
    async fn proposed(
        &self,
        disk: &dyn Disk,
        version: i64,
    ) -> Result<Option<QuorumVerifier>, ConfigError> {
        let Some(file) = self.file.as_deref().map(next_of) else {
            return Ok(None);
        };
        let text = read(disk, &file).await?;
        let proposed = text.map(|text| QuorumVerifier::parse(&text)).transpose();
        let proposed = proposed.map_err(|error| error.in_file(&file))?;
        Ok(proposed.filter(|proposed| proposed.version() > version))
    }

    /// The host of a member's client address, unless that is all of the machine.
    fn listed_host<'a>(&self, ensemble: &'a EnsembleConfig) -> Option<&'a str> {
        let addr = &ensemble.client_addr;
        (!addr.is_wildcard()).then_some(addr.host.as_str())
    }
}

pub(super) fn missing(file: &Path, purpose: &str) -> ConfigError {
    ConfigError::Missing {
        key: file.display().to_string(),
        purpose: purpose.to_owned(),
    }
}

/// The text of a file, `None` if there is no such file.
pub(crate) async fn read(disk: &dyn Disk, path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable {
        file: path.display().to_string(),
        reason,
    };
    let failed = |error: io::Error| unreadable(error.to_string());
    let file = match disk.open(path, OpenMode::ReadOnly).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let len = file.len().await.map_err(failed)?;
    let len = usize::try_from(len.min(LONGEST_FILE + 1)).unwrap_or(usize::MAX);
    let bytes = file.read_at(0, len).await.map_err(failed)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(unreadable(format!(
            "it is longer than {LONGEST_FILE} bytes"
        )));
    }
    Ok(Some(text_of(bytes.to_vec())))
}

/// Like Java's loader it takes Latin-1, but prefers UTF-8.
pub(super) fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}
