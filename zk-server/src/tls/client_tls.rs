//! The server's side of a handshake with a client.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;
use zk_env::{BoxStream, Env};

use super::{Accepted, handshake_error, pem, x509};
use crate::config::{ClientAuth, TlsConfig};
use crate::error::ConfigError;

/// Everything read and checked; a clone is cheap.
#[derive(Clone)]
pub(crate) struct ClientTls {
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// Certificates are valid by the clock of the seam.
#[derive(Debug)]
struct EnvTime(Arc<dyn Env>);

impl TimeProvider for EnvTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.wall().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl ClientTls {
    /// Reads the files.
    pub(crate) async fn open(config: &TlsConfig, env: &Arc<dyn Env>) -> Result<Self, ConfigError> {
        let disk = env.disk();
        let identity = pem::identity(&*disk, &config.key_store).await?;
        let provider = Arc::new(ring::default_provider());
        let verifier = match config.client_auth {
            ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
            ClientAuth::Want | ClientAuth::Need => {
                let file = config
                    .trust_store
                    .as_deref()
                    .ok_or_else(|| ConfigError::Missing {
                        key: "ssl.trustStore.location".to_owned(),
                        purpose: "clients with certificates: a PEM file with the authorities \
                              that sign them; or set ssl.clientAuth=none"
                            .to_owned(),
                    })?;
                let trusted = pem::trusted(&*disk, file, config.crl).await?;
                verifier(config, &provider, trusted, file)?
            }
        };
        let time = Arc::new(EnvTime(Arc::clone(env)));
        let unusable = |error: rustls::Error| pem::unreadable(&config.key_store, error.to_string());
        let acceptor = rustls::ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&versions(config))
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)
            .map_err(unusable)?;
        Ok(Self {
            acceptor: Arc::new(acceptor).into(),
            handshake_timeout: config.handshake_timeout,
        })
    }

    /// How long [`accept`](Self::accept) may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// The handshake. Without a deadline of its own.
    ///
    /// # Errors
    ///
    /// Why it failed, and what to do. The client was sent an alert, where TLS has one.
    pub(crate) async fn accept(&self, stream: BoxStream) -> Result<Accepted, String> {
        let accepted = self.acceptor.accept(stream).await;
        let stream = accepted.map_err(|error| handshake_error::explain(&error))?;
        let chain = stream.get_ref().1.peer_certificates();
        let subject = chain.and_then(<[_]>::first).map(|leaf| x509::subject(leaf));
        let unread = || "the subject of the client's certificate cannot be read".to_owned();
        let subject = subject.map(|subject| subject.ok_or_else(unread));
        Ok(Accepted {
            subject: subject.transpose()?,
            stream: Box::new(stream),
        })
    }
}

fn versions(config: &TlsConfig) -> Vec<&'static SupportedProtocolVersion> {
    let known = [
        (config.protocols.tls13, &rustls::version::TLS13),
        (config.protocols.tls12, &rustls::version::TLS12),
    ];
    let wanted = known.into_iter().filter(|(is_wanted, _)| *is_wanted);
    wanted.map(|(_, version)| version).collect()
}

fn verifier(
    config: &TlsConfig,
    provider: &Arc<rustls::crypto::CryptoProvider>,
    trusted: pem::Trusted,
    file: &std::path::Path,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let mut roots = RootCertStore::empty();
    for authority in trusted.authorities {
        roots
            .add(authority)
            .map_err(|error| pem::unreadable(file, error.to_string()))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let mut builder = builder.with_crls(trusted.revoked);
    builder = if config.crl {
        builder.enforce_revocation_expiration()
    } else {
        // An authority without a list has revoked nothing that is known here.
        builder.allow_unknown_revocation_status()
    };
    if config.client_auth == ClientAuth::Want {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| pem::unreadable(file, error.to_string()))
}
