//! The server's side of a handshake with a client.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;
use zk_env::{BoxStream, Disk, Env, Mono};

use super::{Accepted, handshake_error, pem, x509};
use crate::config::{ClientAuth, TlsConfig};
use crate::error::ConfigError;

/// After this a handshake looks whether the files have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Everything read and checked. Clones share what has been read.
#[derive(Clone)]
pub(crate) struct ClientTls {
    config: Arc<TlsConfig>,
    env: Arc<dyn Env>,
    current: Arc<Mutex<Current>>,
}

/// What is in force.
struct Current {
    files: Files,
    acceptor: TlsAcceptor,
    next_look: Mono,
}

/// What was read.
#[derive(PartialEq, Eq)]
struct Files {
    key_store: String,
    /// If clients are asked for a certificate.
    trust_store: Option<String>,
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
        let files = Files::read(config, &*env.disk()).await?;
        let current = Current {
            acceptor: acceptor(config, &files, env)?,
            files,
            next_look: env.now() + LOOK_INTERVAL,
        };
        Ok(Self {
            config: Arc::new(config.clone()),
            env: Arc::clone(env),
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// How long [`accept`](Self::accept) may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.config.handshake_timeout
    }

    /// The handshake. Without a deadline of its own.
    ///
    /// # Errors
    ///
    /// Why it failed, and what to do. The client was sent an alert, where TLS has one.
    pub(crate) async fn accept(&self, stream: BoxStream) -> Result<Accepted, String> {
        if self.is_time_to_look() {
            self.look_again().await;
        }
        let acceptor = self.current().acceptor.clone();
        let accepted = acceptor.accept(stream).await;
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

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for one handshake in an interval.
    fn is_time_to_look(&self) -> bool {
        let now = self.env.now();
        let mut current = self.current();
        let is_due = self.config.reload && now >= current.next_look;
        if is_due {
            current.next_look = now + LOOK_INTERVAL;
        }
        is_due
    }

    /// Puts into force what has changed, if it can be used.
    async fn look_again(&self) {
        let files = Files::read(&self.config, &*self.env.disk()).await;
        let files = match files {
            Ok(files) if files == self.current().files => return,
            other => other,
        };
        let made = files.and_then(|files| {
            let acceptor = acceptor(&self.config, &files, &self.env)?;
            Ok((files, acceptor))
        });
        match made {
            Ok((files, acceptor)) => {
                let mut current = self.current();
                (current.files, current.acceptor) = (files, acceptor);
                tracing::info!("keys and certificates have changed and are in force");
            }
            Err(error) => {
                tracing::warn!(%error, "keys and certificates have changed and cannot be used, those from before stay");
            }
        }
    }
}

impl Files {
    async fn read(config: &TlsConfig, disk: &dyn Disk) -> Result<Self, ConfigError> {
        let key_store = pem::text(disk, &config.key_store, "ssl.keyStore.location").await?;
        let trust_store = match config.client_auth {
            ClientAuth::None => None,
            ClientAuth::Want | ClientAuth::Need => {
                let file = needed_trust_store(config)?;
                Some(pem::text(disk, file, "ssl.trustStore.location").await?)
            }
        };
        Ok(Self {
            key_store,
            trust_store,
        })
    }
}

fn needed_trust_store(config: &TlsConfig) -> Result<&Path, ConfigError> {
    let file = config.trust_store.as_deref();
    file.ok_or_else(|| ConfigError::Missing {
        key: "ssl.trustStore.location".to_owned(),
        purpose: "clients with certificates: a PEM file with the authorities \
                  that sign them; or set ssl.clientAuth=none"
            .to_owned(),
    })
}

fn acceptor(
    config: &TlsConfig,
    files: &Files,
    env: &Arc<dyn Env>,
) -> Result<TlsAcceptor, ConfigError> {
    let identity = pem::identity(&files.key_store, &config.key_store)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = match &files.trust_store {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(text) => {
            let file = needed_trust_store(config)?;
            let trusted = pem::trusted(text, file, config.crl)?;
            verifier(config, &provider, trusted, file)?
        }
    };
    let time = Arc::new(EnvTime(Arc::clone(env)));
    let unusable = |error: rustls::Error| pem::unreadable(&config.key_store, error.to_string());
    let server = rustls::ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&versions(config))
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain, identity.key)
        .map_err(unusable)?;
    Ok(Arc::new(server).into())
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
    file: &Path,
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
