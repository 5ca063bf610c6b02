//! Encrypted connections to servers that prove who they are.
//!
//! ```no_run
//! # async fn example() -> Result<(), zk_client::ConnectError> {
//! use zk_client::Client;
//! use zk_client::tls::Tls;
//!
//! let tls = Tls::with_roots_file("/etc/zookeeper/ca.pem")
//!     .identity_files("/etc/orders/client.pem", "/etc/orders/client.key");
//! let client = Client::builder("zk-1.example.org:2281,zk-2.example.org:2281")
//!     .tls(tls)
//!     .connect()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! A server has to show a certificate that one of the roots has signed, that is valid now, and
//! that names the host as the connect string has it, in its subject alternative names. The
//! common name does not count, and addresses are not looked up backwards, which Apache's client
//! does unless told otherwise (ZOOKEEPER-4986).
//!
//! Files are read again for every connection: one that was replaced counts from the next
//! connection on, without a restart. If what is there by then cannot be used, a warning is
//! logged and the last that could be used goes on being used.
//!
//! Cryptography is ring's, protocols are TLS 1.3 and 1.2 (`jdk.tls.disabledAlgorithms` of a
//! server's Java may allow less).
//!
//! # Errors
//!
//! What goes wrong with a server is the reason in [`ConnectError::NoServer`](crate::ConnectError::NoServer),
//! and says what to do about it. It is never terminal: certificates can be renewed while clients
//! go on trying.

mod connector;
mod explain;
mod material;
mod verifier;

use std::path::PathBuf;
use std::sync::Arc;

use zk_env::Env;

use self::connector::TlsConnector;
use self::material::{Identity, Pem};
use crate::config::Connector;

/// The oldest protocol that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, and 1.3 where the server has it.
    #[default]
    V1_2,
    /// TLS 1.3 alone.
    V1_3,
}

/// Whom to trust.
#[derive(Clone, Debug)]
enum Roots {
    System,
    Pem(Vec<Pem>),
}

/// How connections are encrypted; see the [module](self). For
/// [`ClientBuilder::tls`](crate::ClientBuilder::tls).
#[derive(Clone, Debug)]
#[must_use]
pub struct Tls {
    roots: Roots,
    identity: Option<Identity>,
    revocations: Vec<Pem>,
    min_version: TlsVersion,
    server_name: Option<String>,
    checks_name: bool,
}

impl Tls {
    /// Trusts the roots of this machine, as they are when the client first connects. For a server
    /// whose certificate comes from a public authority, or from one that the machine was told of.
    pub const fn with_system_roots() -> Self {
        Self::new(Roots::System)
    }

    /// Trusts the certificates in a PEM file and no others: the authority that has signed the
    /// servers' certificates.
    pub fn with_roots_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Roots::Pem(vec![Pem::File(path.into())]))
    }

    /// As [`with_roots_file`](Self::with_roots_file), with the file's contents.
    pub fn with_roots_pem(pem: impl Into<Vec<u8>>) -> Self {
        Self::new(Roots::Pem(vec![Pem::Bytes(pem.into())]))
    }

    const fn new(roots: Roots) -> Self {
        Self {
            roots,
            identity: None,
            revocations: Vec::new(),
            min_version: TlsVersion::V1_2,
            server_name: None,
            checks_name: true,
        }
    }

    /// Shows this certificate to servers that ask for one, which they do unless
    /// `ssl.clientAuth=none`. With it the session has an id of scheme `x509`: the subject's name.
    ///
    /// `chain` is a PEM file with the certificate and those between it and a root, `key` one with
    /// its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity {
            chain: Pem::File(chain.into()),
            key: Pem::File(key.into()),
        });
        self
    }

    /// As [`identity_files`](Self::identity_files), with the files' contents.
    pub fn identity_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(Identity {
            chain: Pem::Bytes(chain.into()),
            key: Pem::Bytes(key.into()),
        });
        self
    }

    /// Refuses servers whose certificates are on one of the revocation lists in a PEM file. May
    /// be called several times: each authority has a list of its own, and one without a list, or
    /// whose list is out of date, has revoked nothing.
    pub fn revocations_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.revocations.push(Pem::File(path.into()));
        self
    }

    /// As [`revocations_file`](Self::revocations_file), with the file's contents.
    pub fn revocations_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.revocations.push(Pem::Bytes(pem.into()));
        self
    }

    /// Refuses servers that speak only what is older. Default TLS 1.2.
    pub const fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// The name that servers' certificates have to have, instead of the host's in the connect
    /// string: for servers that are reached by an address or through a forwarder. Sent as SNI.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate that the roots have signed, whomever it names: **whoever has one
    /// of them can pose as your server.** For authorities that sign ZooKeeper servers alone;
    /// [`server_name`](Self::server_name) is the safe way if certificates have another name
    /// than the host's.
    pub const fn dangerous_accept_any_host_name(mut self) -> Self {
        self.checks_name = false;
        self
    }

    pub(crate) fn over(self, inner: Arc<dyn Connector>, env: Arc<dyn Env>) -> Arc<dyn Connector> {
        if !self.checks_name {
            tracing::warn!(
                "dangerous: servers' certificates are not compared with the names of their hosts"
            );
        }
        Arc::new(TlsConnector::new(self, inner, env))
    }
}
