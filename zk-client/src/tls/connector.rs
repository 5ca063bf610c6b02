//! Opens connections and encrypts them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;
use zk_env::{BoxFuture, BoxStream, Env};

use super::explain::{closed_early, explained, invalid};
use super::verifier::AnyHostName;
use super::{Roots, Tls, TlsVersion};
use crate::config::Connector;

/// Encrypts what another connector opens.
#[derive(Debug)]
pub(super) struct TlsConnector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tls: Tls,
    inner: Arc<dyn Connector>,
    env: Arc<dyn Env>,
    provider: Arc<CryptoProvider>,
    last: Mutex<Option<Loaded>>,
}

/// The last that could be used, and what it was made of.
#[derive(Clone)]
struct Loaded {
    read: Vec<Vec<u8>>,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Holds a key.
        f.write_str("Loaded")
    }
}

impl TlsConnector {
    pub(super) fn new(tls: Tls, inner: Arc<dyn Connector>, env: Arc<dyn Env>) -> Self {
        Self {
            shared: Arc::new(Shared {
                tls,
                inner,
                env,
                provider: Arc::new(ring::default_provider()),
                last: Mutex::default(),
            }),
        }
    }
}

impl Connector for TlsConnector {
    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        self.connect_to(&address.ip().to_string(), address)
    }

    fn connect_to(&self, host: &str, address: SocketAddr) -> BoxFuture<io::Result<BoxStream>> {
        let (shared, host) = (Arc::clone(&self.shared), host.to_owned());
        Box::pin(async move { shared.connect(&host, address).await })
    }
}

impl Shared {
    async fn connect(&self, host: &str, address: SocketAddr) -> io::Result<BoxStream> {
        let config = self.config().await?;
        let name = self.tls.server_name.as_deref().unwrap_or(host);
        // IPv6 addresses stand in brackets in a connect string.
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| invalid(format!("{name:?} is no name a certificate can have")))?;
        let stream = self.inner.connect_to(host, address).await?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(closed_early)?;
        Ok(Box::new(Explaining(stream)))
    }

    /// From what the files hold now.
    async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let fresh = self.load().await;
        let last = self.last().clone();
        match (fresh, last) {
            (Ok(fresh), _) => {
                let config = Arc::clone(&fresh.config);
                *self.last() = Some(fresh);
                Ok(config)
            }
            (Err(error), Some(last)) => {
                tracing::warn!(%error, "cannot use the certificates as they are by now, going on with those of before");
                Ok(last.config)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Loaded>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self) -> io::Result<Loaded> {
        let read = self.read().await?;
        if let Some(last) = &*self.last()
            && last.read == read
        {
            return Ok(last.clone());
        }
        let config = Arc::new(self.parse(&read)?);
        Ok(Loaded { read, config })
    }

    /// Everything that is in files or given: roots, revocation lists, certificate and key.
    async fn read(&self) -> io::Result<Vec<Vec<u8>>> {
        let Tls {
            roots,
            identity,
            revocations,
            ..
        } = &self.tls;
        let disk = self.env.disk();
        let roots: &[_] = match roots {
            Roots::System => &[],
            Roots::Pem(roots) => roots,
        };
        let identity = identity.iter().flat_map(|id| [&id.chain, &id.key]);
        let mut read = Vec::new();
        for pem in roots.iter().chain(revocations).chain(identity) {
            read.push(pem.read(&*disk).await?);
        }
        Ok(read)
    }

    fn parse(&self, read: &[Vec<u8>]) -> io::Result<ClientConfig> {
        let mut read = read.iter();
        let mut next = || read.next().map_or(&[][..], Vec::as_slice);
        let mut roots = RootCertStore::empty();
        match &self.tls.roots {
            Roots::System => add_system_roots(&mut roots)?,
            Roots::Pem(all) => {
                for pem in all {
                    for certificate in pem.certificates(next())? {
                        let added = roots.add(certificate);
                        added.map_err(|error| invalid(format!("{pem}: {error}")))?;
                    }
                }
            }
        }
        let mut revocations = Vec::new();
        for pem in &self.tls.revocations {
            revocations.extend(pem.revocations(next())?);
        }
        let provider = Arc::clone(&self.provider);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .with_crls(revocations)
                .allow_unknown_revocation_status()
                .build()
                .map_err(|error| invalid(format!("roots or revocation lists: {error}")))?;
        let time = Arc::new(WallClock(Arc::clone(&self.env)));
        let versions = versions(self.tls.min_version);
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(versions)
            .map_err(|error| invalid(error.to_string()))?;
        let builder = if self.tls.checks_name {
            builder.with_webpki_verifier(verifier)
        } else {
            let any = Arc::new(AnyHostName(verifier));
            builder.dangerous().with_custom_certificate_verifier(any)
        };
        let Some(identity) = &self.tls.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = identity.chain.certificates(next())?;
        let key = identity.key.key(next())?;
        builder.with_client_auth_cert(chain, key).map_err(|error| {
            let (chain, key) = (&identity.chain, &identity.key);
            invalid(format!(
                "the certificate from {chain} with the key from {key}: {error}"
            ))
        })
    }
}

static FROM_1_2: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];
static FROM_1_3: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_3,
    }
}

/// Those that cannot be read are left out, as others do.
fn add_system_roots(roots: &mut RootCertStore) -> io::Result<()> {
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let reason = found.errors.first().map(|error| format!(": {error}"));
    let reason = reason.unwrap_or_default();
    Err(invalid(format!(
        "this machine has no root certificates{reason}: see Tls::with_roots_file"
    )))
}

/// The environment's.
#[derive(Debug)]
struct WallClock(Arc<dyn Env>);

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.wall().duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

/// Errors in words that help. What a server of TLS 1.3 has against the client's certificate
/// comes behind the handshake.
struct Explaining(TlsStream<BoxStream>);

impl AsyncRead for Explaining {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        read.map_err(explained)
    }
}

impl AsyncWrite for Explaining {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
