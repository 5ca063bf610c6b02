//! What comes in PEM: from a file, or from memory.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zk_env::{Disk, OpenMode};

use super::explain::invalid;

/// More is no PEM file but an accident; a machine's whole store of roots takes 250 KB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Where something comes from.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) chain: Pem,
    pub(super) key: Pem,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            // May be a key.
            Self::Bytes(_) => f.write_str("PEM in memory"),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Bytes(_) => f.write_str("the PEM given"),
        }
    }
}

impl Pem {
    /// All of it.
    pub(super) async fn read(&self, disk: &dyn Disk) -> io::Result<Vec<u8>> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::File(path) => path,
        };
        let file = disk.open(path, OpenMode::ReadOnly).await?;
        let len = file.len().await?;
        if len > MAX_FILE_BYTES {
            return Err(invalid(format!(
                "{self} is too large for a PEM file: {len} bytes"
            )));
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(file.read_at(0, len).await?.into())
    }

    /// The certificates in `bytes`, which came from here; one at least.
    pub(super) fn certificates(&self, bytes: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let found = found.map_err(|error| invalid(format!("{self}: {error}")))?;
        if found.is_empty() {
            return Err(invalid(format!("{self} has no certificate{}", hint(bytes))));
        }
        Ok(found)
    }

    /// The private key in `bytes`, which came from here.
    pub(super) fn key(&self, bytes: &[u8]) -> io::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
            let hint = hint(bytes);
            invalid(format!("{self} has no private key ({error}){hint}"))
        })
    }

    /// The revocation lists in `bytes`, which came from here; one at least.
    pub(super) fn revocations(
        &self,
        bytes: &[u8],
    ) -> io::Result<Vec<CertificateRevocationListDer<'static>>> {
        let found: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        let found = found.map_err(|error| invalid(format!("{self}: {error}")))?;
        if found.is_empty() {
            return Err(invalid(format!("{self} has no revocation list")));
        }
        Ok(found)
    }
}

/// What to do with something that is no such PEM.
fn hint(bytes: &[u8]) -> &'static str {
    const JKS: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
    let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    if bytes.starts_with(JKS) {
        ": it is a Java key store (JKS); `keytool -importkeystore -deststoretype PKCS12`, then `openssl pkcs12` make PEM of it"
    } else if bytes.starts_with(&[0x30]) {
        ": it looks like PKCS#12 or DER; `openssl pkcs12 -nodes` or `openssl x509 -inform DER` makes PEM of it"
    } else if has(b"ENCRYPTED") {
        ": it is encrypted; `openssl pkey` takes the password off"
    } else {
        ""
    }
}
