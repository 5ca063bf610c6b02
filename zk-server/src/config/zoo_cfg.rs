//! The text of a `zoo.cfg`, with Apache's keys.

use std::path::{Path, PathBuf};

use super::admin::AdminDraft;
use super::builder::ServerConfigBuilder;
use super::ensemble::EnsembleDraft;
use super::key_table::{self, Effect};
use super::load;
use super::note::ConfigNote;
use super::properties::{self, Property};
use super::sasl_keys::SaslDraft;
use super::server_config::{FourLetterWords, ServerConfig};
use super::tls_keys::TlsDraft;
use super::value::{boolean, integer, list, millis, yes_or_no};
use crate::error::ConfigError;

/// A `zoo.cfg` that has been read and checked.
///
/// Apache's keys are understood as Apache understands them. What this server
/// does not do, and keys nobody knows, are listed in [`notes`](Self::notes) and
/// do not keep it from starting.
///
/// # Examples
///
/// ```
/// use zk_server::config::ZooCfg;
///
/// let cfg = ZooCfg::parse("clientPort=2181\ndataDir=/var/lib/zk\ntickTime=2000\nfoo=1\n")?;
/// assert_eq!(cfg.unknown_keys().collect::<Vec<_>>(), ["foo"]);
/// # Ok::<(), zk_server::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ZooCfg {
    pub(super) builder: ServerConfigBuilder,
    /// Until the files it names have been read.
    pub(super) ensemble: EnsembleDraft,
    pub(super) admin: AdminDraft,
    pub(super) data_dir: PathBuf,
    /// Where this was read.
    pub(super) file: Option<PathBuf>,
    /// Until the file with the users has been read.
    pub(super) sasl: SaslDraft,
    /// Until its address has been looked up.
    pub(super) tls: TlsDraft,
    client_host: Option<String>,
    client_port: Option<u16>,
    notes: Vec<ConfigNote>,
}

impl ZooCfg {
    /// Reads the bytes of a file: UTF-8, or else Latin-1 as Java's loader does.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ConfigError> {
        Self::parse(&load::text_of(bytes))
    }

    /// Reads the text of a file. The members of an ensemble may be in another one, which
    /// `dynamicConfigFile` names.
    ///
    /// # Errors
    ///
    /// The first key whose value cannot be used and what is allowed there, or a key
    /// that is missing.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut draft = Draft::default();
        for property in properties::parse(text)? {
            draft = draft.apply(property)?;
        }
        draft.finish()
    }

    /// Says which file this was read from, best by an absolute path without links. A member of
    /// an ensemble with `reconfigEnabled` then keeps it up to date as Apache's does: with
    /// every configuration it is rewritten to name a `zoo.cfg.dynamic.<version>` beside it,
    /// and `zoo.cfg.bak` is what it was before the first. Where that cannot be written, and
    /// without this, the members are kept in the data directory, where Apache does not look.
    pub fn read_from(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// What the reader of the file should know.
    pub fn notes(&self) -> &[ConfigNote] {
        &self.notes
    }

    /// Keys that neither Apache nor this server knows. (Apache makes JVM
    /// properties of them.)
    pub fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().filter_map(|note| match note {
            ConfigNote::Unknown { key } => Some(key.as_str()),
            ConfigNote::NoEffect { .. } => None,
        })
    }

    /// `clientPortAddress`, as it is written there.
    pub fn client_host(&self) -> Option<&str> {
        self.client_host.as_deref()
    }

    /// `clientPort`; a member of an ensemble may have it in its `server.N` instead.
    pub fn client_port(&self) -> Option<u16> {
        self.client_port
    }

    /// `dataDir`, in which a member of an ensemble has its `myid`.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The port of a standalone server.
    pub(super) fn needed_port(&self) -> Result<u16, ConfigError> {
        self.client_port
            .ok_or_else(|| missing("clientPort", "clients to connect"))
    }
}

/// What has been read so far.
struct Draft {
    builder: ServerConfigBuilder,
    client_port: Option<u16>,
    client_host: Option<String>,
    data_dir: Option<PathBuf>,
    data_log_dir: Option<PathBuf>,
    words: FourLetterWords,
    is_read_only_mode: bool,
    ensemble: EnsembleDraft,
    admin: AdminDraft,
    /// What is to be said if it is a member of an ensemble.
    ensemble_notes: Vec<ConfigNote>,
    is_auth_enforced: bool,
    auth_schemes: Vec<String>,
    sasl: SaslDraft,
    tls: TlsDraft,
    notes: Vec<ConfigNote>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            builder: ServerConfig::builder(),
            client_port: None,
            client_host: None,
            data_dir: None,
            data_log_dir: None,
            words: FourLetterWords::Only([].into()),
            is_read_only_mode: false,
            ensemble: EnsembleDraft::default(),
            admin: AdminDraft::default(),
            ensemble_notes: Vec::new(),
            is_auth_enforced: false,
            auth_schemes: Vec::new(),
            sasl: SaslDraft::default(),
            tls: TlsDraft::default(),
            notes: Vec::new(),
        }
    }
}

impl Draft {
    /// Takes one key. Keys of one subject are together.
    fn apply(mut self, Property { key, value }: Property) -> Result<Self, ConfigError> {
        let (k, v) = (key.as_str(), value.as_str());
        let is_about_ensemble = self.ensemble.apply(k, v)?;
        match k {
            "clientPort" => self.client_port = Some(integer(k, v, 0..=u16::MAX)?),
            "clientPortAddress" => self.client_host = Some(value),
            "dataDir" => self.data_dir = Some(value.into()),
            "dataLogDir" => self.data_log_dir = Some(value.into()),

            "tickTime" => self.builder = self.builder.tick_time(millis(k, v, 1)?),
            "minSessionTimeout" if v != UNSET => {
                self.builder = self.builder.min_session_timeout(millis(k, v, 1)?);
            }
            "maxSessionTimeout" if v != UNSET => {
                self.builder = self.builder.max_session_timeout(millis(k, v, 1)?);
            }
            "minSessionTimeout" | "maxSessionTimeout" => {}

            "maxClientCnxns" => self.builder = self.builder.max_client_cnxns(limit(k, v)?),
            "maxCnxns" => self.builder = self.builder.max_cnxns(limit(k, v)?),
            "clientPortListenBacklog" => {
                self.builder = self.builder.listen_backlog(integer(k, v, -1..=i32::MAX)?);
                self.no_effect(k, "the backlog is always 1024");
            }
            "globalOutstandingLimit" => {
                let requests = integer(k, v, 1..=i32::MAX.unsigned_abs())?;
                self.builder = self.builder.global_outstanding_limit(requests);
            }
            "jute.maxbuffer" => self.builder = self.builder.frame_limit(integer(k, v, 45..=MAX)?),
            "nio.sessionlessCnxnTimeout" => {
                self.builder = self.builder.sessionless_timeout(millis(k, v, 1)?);
            }

            "extendedTypesEnabled" => self.builder = self.builder.extended_types(boolean(k, v)?),
            "enforceQuota" => self.builder = self.builder.enforce_quota(boolean(k, v)?),
            "skipACL" => self.builder = self.builder.skip_acl(yes_or_no(k, v)?),
            "reconfigEnabled" => self.builder = self.builder.reconfig(boolean(k, v)?),
            "znode.container.checkIntervalMs" => {
                self.builder = self.builder.container_check_interval(millis(k, v, 1)?);
            }
            "znode.container.maxPerMinute" => {
                let deletions = integer(k, v, 1..=i32::MAX.unsigned_abs())?;
                self.builder = self.builder.container_max_per_minute(deletions);
            }
            "znode.container.maxNeverUsedIntervalMs" => {
                self.builder = self.builder.container_max_never_used(millis(k, v, 0)?);
            }

            "4lw.commands.whitelist" => self.words = words(v),
            "readonlymode.enabled" => self.is_read_only_mode = boolean(k, v)?,

            "DigestAuthenticationProvider.enabled" => {
                self.builder = self.builder.digest_auth(boolean(k, v)?);
            }
            "DigestAuthenticationProvider.superDigest" => {
                self.builder = self.builder.super_digest(value);
            }
            "DigestAuthenticationProvider.digestAlg" => only_sha1(k, v)?,
            "enforce.auth.enabled" => self.is_auth_enforced = boolean(k, v)?,
            "enforce.auth.schemes" => self.auth_schemes = schemes(k, v)?,

            _ if is_about_ensemble => self.note_ensemble(k, v),
            _ => return self.apply_storage(key, value),
        }
        Ok(self)
    }

    /// Keys about logs and snapshots.
    fn apply_storage(mut self, key: String, value: String) -> Result<Self, ConfigError> {
        let (k, v) = (key.as_str(), value.as_str());
        let builder = self.builder.clone();
        self.builder = match k {
            "snapCount" => builder.snap_count(integer(k, v, 0..=i32::MAX.unsigned_abs())?),
            "snapSizeLimitInKb" => {
                let kilobytes: i64 = integer(k, v, i64::MIN..=MAX_KILOBYTES)?;
                let bytes = positive_kilobytes(kilobytes);
                builder.storage(|storage| storage.snap_size_limit_bytes = bytes)
            }
            "txnLogSizeLimitInKb" => {
                let kilobytes: i64 = integer(k, v, i64::MIN..=MAX_KILOBYTES)?;
                let bytes = positive_kilobytes(kilobytes);
                builder.storage(|storage| storage.log_size_limit_bytes = bytes)
            }
            "preAllocSize" => {
                let kilobytes: i64 = integer(k, v, 0..=MAX_KILOBYTES)?;
                let bytes = positive_kilobytes(kilobytes).unwrap_or_default();
                builder.preallocate(bytes)
            }
            "forceSync" => builder.force_sync(yes_or_no(k, v)?),
            "fsync.warningthresholdms" => {
                let limit = millis(k, v, 0)?;
                builder.storage(|storage| storage.fsync_warning = limit)
            }
            "autopurge.snapRetainCount" => {
                let retain: u32 = integer(k, v, 0..=i32::MAX.unsigned_abs())?;
                builder.storage(|storage| storage.snap_retain_count = retain.max(3) as usize)
            }
            "autopurge.purgeInterval" => {
                let hours: u32 = integer(k, v, 0..=24 * 365)?;
                let interval = std::time::Duration::from_secs(u64::from(hours) * 3600);
                let interval = (hours > 0).then_some(interval);
                builder.storage(|storage| storage.purge_interval = interval)
            }
            "db.autocreate" => builder.autocreate(boolean(k, v)?),
            _ => {
                self.apply_other(k, v)?;
                builder
            }
        };
        Ok(self)
    }

    /// Settings of a member that are read and not acted on.
    fn note_ensemble(&mut self, key: &str, value: &str) {
        let reason = match key {
            "syncEnabled" | "observer.syncEnabled" if value.eq_ignore_ascii_case("false") => {
                "observers keep a log and snapshots as well"
            }
            _ => return,
        };
        self.ensemble_notes.push(ConfigNote::NoEffect {
            key: key.to_owned(),
            reason,
        });
    }

    /// Keys about the admin server, and those that do nothing here.
    fn apply_other(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let is_known = self.sasl.apply(key, value)?
            || self.admin.apply(key, value)?
            || self.tls.apply(key, value)?;
        if is_known {
            return Ok(());
        }
        match key_table::find(key) {
            Some(known) => {
                known.kind.check(key, value)?;
                match known.effect {
                    Effect::None(reason) => self.no_effect(key, reason),
                    Effect::NoneInEnsemble(reason) => {
                        self.ensemble_notes.push(ConfigNote::NoEffect {
                            key: key.to_owned(),
                            reason,
                        })
                    }
                }
            }
            None => self.notes.push(ConfigNote::Unknown {
                key: key.to_owned(),
            }),
        }
        Ok(())
    }

    fn no_effect(&mut self, key: &str, reason: &'static str) {
        self.notes.push(ConfigNote::NoEffect {
            key: key.to_owned(),
            reason,
        });
    }

    /// Checks what one key alone cannot tell.
    fn finish(mut self) -> Result<ZooCfg, ConfigError> {
        let data_dir = self.data_dir.take();
        let data_dir = data_dir.ok_or_else(|| missing("dataDir", "what the server stores"))?;
        let is_open = self.ensemble.dynamic_config_file().is_some();
        if is_open || self.ensemble.is_ensemble()? {
            self.notes.append(&mut self.ensemble_notes);
        } else {
            self.check_standalone()?;
        }
        if self.is_auth_enforced && self.auth_schemes.is_empty() {
            return Err(missing("enforce.auth.schemes", "enforce.auth.enabled"));
        }
        let mut enforced = self.auth_schemes;
        enforced.retain(|_| self.is_auth_enforced);
        if self.sasl.is_required() && !enforced.iter().any(|scheme| scheme == "sasl") {
            enforced.push("sasl".to_owned());
        }
        self.sasl.check(&enforced)?;
        let tls = self.tls.finish()?;
        if tls.is_none() && enforced.iter().any(|scheme| scheme == "x509") {
            return Err(missing("secureClientPort", "enforcing scheme x509"));
        }
        self.builder = self.builder.enforce_auth_schemes(enforced);
        self.builder = self.builder.sasl(|sasl| self.sasl.set(sasl));
        if let Some(tls) = tls {
            let unified = self.tls.has_port_unification;
            self.builder = self.builder.tls(tls).port_unification(unified);
        }
        if let Some(subject) = &self.tls.super_user {
            self.builder = self.builder.x509_super_user(subject);
        }
        if let FourLetterWords::Only(words) = &mut self.words
            && self.is_read_only_mode
        {
            words.insert("isro".to_owned());
        }
        let builder = self.builder.four_letter_words(self.words);
        let mut builder = builder.data_dir(&data_dir);
        if let Some(dir) = self.data_log_dir {
            builder = builder.data_log_dir(dir);
        }
        // What can be checked without looking up names is checked now.
        builder.clone().build()?;
        Ok(ZooCfg {
            builder,
            ensemble: self.ensemble,
            sasl: self.sasl,
            tls: self.tls,
            admin: self.admin,
            data_dir,
            file: None,
            client_host: self.client_host,
            client_port: self.client_port,
            notes: self.notes,
        })
    }

    /// Members that are too few make no ensemble, unless standalone is switched off.
    fn check_standalone(&mut self) -> Result<(), ConfigError> {
        if self.client_port.is_none() {
            return Err(missing("clientPort", "clients to connect"));
        }
        if let Some(key) = self.ensemble.first_server_key().map(str::to_owned) {
            self.no_effect(&key, "a single server is standalone");
        }
        Ok(())
    }
}

/// A thousandth of what files can be long.
const MAX_KILOBYTES: i64 = i64::MAX >> 10;

/// Bytes; nothing, if the number is Apache's way to say so.
fn positive_kilobytes(kilobytes: i64) -> Option<u64> {
    let kilobytes = u64::try_from(kilobytes).ok()?;
    (kilobytes > 0).then_some(kilobytes << 10)
}

/// The largest frame limit: what a length word can say.
const MAX: usize = i32::MAX as usize;
/// What Apache takes as "not set" for a session timeout limit.
const UNSET: &str = "-1";

fn missing(key: &str, purpose: &str) -> ConfigError {
    ConfigError::Missing {
        key: key.to_owned(),
        purpose: purpose.to_owned(),
    }
}

/// A count of connections. Apache takes any negative number as no limit.
fn limit(key: &str, value: &str) -> Result<u32, ConfigError> {
    let limit: i32 = integer(key, value, -1..=i32::MAX)?;
    Ok(u32::try_from(limit).unwrap_or(0))
}

fn words(value: &str) -> FourLetterWords {
    let words = list(value);
    if words.iter().any(|word| word == "*") {
        FourLetterWords::All
    } else {
        FourLetterWords::Only(words.into_iter().collect())
    }
}

fn schemes(key: &str, value: &str) -> Result<Vec<String>, ConfigError> {
    let schemes = list(value);
    match schemes
        .iter()
        .find(|scheme| !["digest", "ip", "sasl", "x509"].contains(&scheme.as_str()))
    {
        Some(other) => Err(ConfigError::value(key, other, "digest, ip, sasl, x509")),
        None => Ok(schemes),
    }
}

/// Another algorithm would make every digest in an ACL another one.
fn only_sha1(key: &str, value: &str) -> Result<(), ConfigError> {
    if value.eq_ignore_ascii_case("SHA1") || value.eq_ignore_ascii_case("SHA-1") {
        return Ok(());
    }
    Err(ConfigError::value(key, value, "SHA1"))
}
