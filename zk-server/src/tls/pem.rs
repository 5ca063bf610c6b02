//! Keys and certificates in PEM files.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zk_env::Disk;

use crate::config::read;
use crate::error::ConfigError;

/// Who the server is.
pub(super) struct Identity {
    /// Its own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Whose clients are trusted, and which of them are not any more.
pub(super) struct Trusted {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) revoked: Vec<CertificateRevocationListDer<'static>>,
}

pub(super) fn unreadable(file: &Path, reason: String) -> ConfigError {
    ConfigError::Unreadable {
        file: file.display().to_string(),
        reason,
    }
}

/// The key store's text.
pub(super) fn identity(text: &str, file: &Path) -> Result<Identity, ConfigError> {
    let chain = all(text, file)?;
    if chain.is_empty() {
        return Err(unreadable(file, "there is no certificate in it".to_owned()));
    }
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        let shown = file.display();
        let reason = format!(
            "its private key is encrypted, which is not read here; \
             openssl pkcs8 -in {shown} prints it decrypted"
        );
        return Err(unreadable(file, reason));
    }
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|error| unreadable(file, format!("no private key: {error}")))?;
    Ok(Identity { chain, key })
}

/// The trust store's text.
pub(super) fn trusted(text: &str, file: &Path, needs_lists: bool) -> Result<Trusted, ConfigError> {
    let trusted = Trusted {
        authorities: all(text, file)?,
        revoked: all(text, file)?,
    };
    if trusted.authorities.is_empty() {
        return Err(unreadable(file, "there is no certificate in it".to_owned()));
    }
    if needs_lists && trusted.revoked.is_empty() {
        let reason = "ssl.crl is on: append the list of revoked certificates to this file, \
                      as a block X509 CRL";
        return Err(unreadable(file, reason.to_owned()));
    }
    Ok(trusted)
}

/// What the file has that this key names.
pub(super) async fn text(disk: &dyn Disk, file: &Path, key: &str) -> Result<String, ConfigError> {
    let text = read(disk, file).await?;
    text.ok_or_else(|| unreadable(file, format!("no such file; {key} names it")))
}

/// Every block of one kind.
fn all<T: PemObject>(text: &str, file: &Path) -> Result<Vec<T>, ConfigError> {
    T::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(file, error.to_string()))
}
