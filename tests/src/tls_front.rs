//! A server that speaks TLS in front of one that does not.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets and real time"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::certificates::{Authority, Signed};

/// Decrypts what comes for a server, on a loopback port of its own.
#[derive(Debug)]
pub struct TlsFront {
    addr: SocketAddr,
    listener: JoinHandle<()>,
    refused: Arc<AtomicUsize>,
}

/// What a [`TlsFront`] is like; both versions of TLS, and no certificate of clients, unless said
/// otherwise.
#[derive(Debug)]
pub struct TlsFrontBuilder<'a> {
    shown: &'a Signed,
    wanted: Option<&'a Authority>,
    versions: &'static [&'static SupportedProtocolVersion],
}

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static OLDER: [&SupportedProtocolVersion; 1] = [&TLS12];

impl<'a> TlsFrontBuilder<'a> {
    /// Shows this certificate.
    pub fn new(shown: &'a Signed) -> Self {
        Self {
            shown,
            wanted: None,
            versions: &BOTH,
        }
    }

    /// Wants a certificate of every client, signed by `authority`.
    #[must_use]
    pub const fn wanting(mut self, authority: &'a Authority) -> Self {
        self.wanted = Some(authority);
        self
    }

    /// Speaks TLS 1.2 and nothing newer.
    #[must_use]
    pub fn only_1_2(mut self) -> Self {
        self.versions = &OLDER;
        self
    }

    /// In front of `host`.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had, or the certificate cannot be used.
    pub async fn start(self, host: &str) -> TlsFront {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a loopback port");
        let acceptor = TlsAcceptor::from(Arc::new(self.config()));
        let (addr, refused) = (listener.local_addr(), Arc::default());
        let accepting = accept(listener, acceptor, host.to_owned(), Arc::clone(&refused));
        TlsFront {
            addr: addr.expect("a bound address"),
            listener: tokio::spawn(accepting),
            refused,
        }
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions)
            .expect("versions");
        let builder = match self.wanted {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(authority.pem().as_bytes());
                roots.add(root.expect("PEM")).expect("a root");
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let shown = CertificateDer::from_pem_slice(self.shown.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.shown.key.as_bytes());
        builder
            .with_single_cert(vec![shown.expect("PEM")], key.expect("PEM"))
            .expect("a certificate that fits its key")
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    host: String,
    refused: Arc<AtomicUsize>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, host, refused) = (acceptor.clone(), host.clone(), Arc::clone(&refused));
        tokio::spawn(async move {
            let accepted = acceptor.accept(stream).await;
            refused.fetch_add(usize::from(accepted.is_err()), Ordering::SeqCst);
            let mut outside = accepted?;
            let mut inside = TcpStream::connect(host).await?;
            copy_bidirectional(&mut outside, &mut inside).await
        });
    }
}

impl TlsFront {
    /// Its port.
    pub const fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Handshakes that came to nothing so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Takes no connections any more; those there are go on.
impl Drop for TlsFront {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
