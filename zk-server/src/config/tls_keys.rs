//! The keys of a `zoo.cfg` that are about TLS with clients.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tls::{ClientAuth, Protocols, TlsConfig};
use super::value::{boolean, integer, list, millis};
use crate::error::ConfigError;

/// Whether this build has TLS at all.
const IS_BUILT_IN: bool = cfg!(feature = "tls");

const KEY_STORE: &str = "ssl.keyStore.location";
const TRUST_STORE: &str = "ssl.trustStore.location";

/// A file of keys or certificates.
#[derive(Clone, Debug, Default)]
struct Store {
    location: Option<PathBuf>,
    kind: Option<String>,
}

/// What has been read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsDraft {
    pub(super) secure_port: Option<u16>,
    pub(super) secure_host: Option<String>,
    pub(super) has_port_unification: bool,
    pub(super) super_user: Option<String>,
    key_store: Store,
    trust_store: Store,
    client_auth: ClientAuth,
    /// `ssl.enabledProtocols`, and `ssl.protocol`, which counts without it.
    enabled_protocols: Option<Protocols>,
    protocol: Option<Protocols>,
    handshake_timeout: Option<Duration>,
    crl: bool,
    reload: bool,
}

impl TlsDraft {
    /// Takes one key; false if it is about something else, or says what is not done here.
    pub(super) fn apply(&mut self, k: &str, v: &str) -> Result<bool, ConfigError> {
        if !IS_BUILT_IN {
            return Ok(false);
        }
        match k {
            "secureClientPort" => self.secure_port = Some(integer(k, v, 0..=u16::MAX)?),
            "secureClientPortAddress" => self.secure_host = Some(v.to_owned()),
            "client.portUnification" => self.has_port_unification = boolean(k, v)?,
            KEY_STORE => self.key_store.location = Some(v.into()),
            "ssl.keyStore.type" => self.key_store.kind = Some(v.to_owned()),
            TRUST_STORE => self.trust_store.location = Some(v.into()),
            "ssl.trustStore.type" => self.trust_store.kind = Some(v.to_owned()),
            "ssl.clientAuth" => self.client_auth = client_auth(k, v)?,
            "ssl.protocol" => self.protocol = Some(protocols(k, v)?),
            "ssl.enabledProtocols" => self.enabled_protocols = Some(protocols(k, v)?),
            "ssl.handshakeDetectionTimeoutMillis" => {
                self.handshake_timeout = Some(millis(k, v, 1)?);
            }
            "client.certReload" => self.reload = boolean(k, v)?,
            "ssl.crl" => self.crl = boolean(k, v)?,
            "X509AuthenticationProvider.superUser" => self.super_user = Some(v.to_owned()),
            // What there is: a client's certificate is not compared with its address.
            "ssl.clientHostnameVerification" | "ssl.ocsp" => return Ok(!boolean(k, v)?),
            "ssl.authProvider" => return Ok(v == "x509"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What has been said, if there is a port on which it matters.
    pub(super) fn finish(&self) -> Result<Option<TlsConfig>, ConfigError> {
        if self.secure_port.is_none() && !self.has_port_unification {
            return Ok(None);
        }
        let key_store = self.key_store.pem_file(KEY_STORE)?;
        let key_store = key_store.ok_or_else(|| ConfigError::Missing {
            key: KEY_STORE.to_owned(),
            purpose: "TLS: a PEM file with the server's certificate and private key".to_owned(),
        })?;
        let mut tls = TlsConfig::new(key_store).client_auth(self.client_auth);
        tls.trust_store = self.trust_store.pem_file(TRUST_STORE)?;
        tls.protocols = self
            .enabled_protocols
            .or(self.protocol)
            .unwrap_or(tls.protocols);
        tls.handshake_timeout = self.handshake_timeout.unwrap_or(tls.handshake_timeout);
        tls.crl = self.crl;
        tls.reload = self.reload;
        Ok(Some(tls))
    }
}

impl Store {
    /// Where it is; an error for a kind that is not read here, with the way out.
    fn pem_file(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        let Some(file) = &self.location else {
            return Ok(None);
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let kind = self.kind.as_deref().or(extension).unwrap_or_default();
        let way_out = match kind.to_ascii_lowercase().as_str() {
            "pem" => return Ok(Some(file.clone())),
            "p12" | "pfx" | "pkcs12" => to_pem(file),
            "jks" | "bcfks" => to_pkcs12(file),
            _ => {
                let allowed = "a file whose name ends in .pem, or PEM as its type";
                let shown = file.display().to_string();
                return Err(ConfigError::value(key, shown, allowed));
            }
        };
        Err(ConfigError::Unsupported {
            key: key.to_owned(),
            reason: format!("{kind} is not read here, PEM is; convert it: {way_out}"),
        })
    }
}

fn to_pem(file: &Path) -> String {
    let pem = file.with_extension("pem");
    let (file, pem) = (file.display(), pem.display());
    format!("openssl pkcs12 -in {file} -nodes -out {pem}")
}

fn to_pkcs12(file: &Path) -> String {
    let pkcs12 = file.with_extension("p12");
    let shown = (file.display(), pkcs12.display());
    format!(
        "keytool -importkeystore -srckeystore {} -destkeystore {} -deststoretype PKCS12 && {}",
        shown.0,
        shown.1,
        to_pem(&pkcs12)
    )
}

fn client_auth(key: &str, value: &str) -> Result<ClientAuth, ConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "none" => Ok(ClientAuth::None),
        "want" => Ok(ClientAuth::Want),
        "need" => Ok(ClientAuth::Need),
        _ => Err(ConfigError::value(key, value, "none, want, need")),
    }
}

/// Older versions may be listed beside those that are spoken; `TLS` is all of them.
fn protocols(key: &str, value: &str) -> Result<Protocols, ConfigError> {
    let names = list(value);
    let has = |name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
    let protocols = Protocols {
        tls12: has("TLSv1.2") || has("TLS"),
        tls13: has("TLSv1.3") || has("TLS"),
    };
    if !protocols.tls12 && !protocols.tls13 {
        return Err(ConfigError::value(key, value, "TLSv1.3, TLSv1.2"));
    }
    Ok(protocols)
}
