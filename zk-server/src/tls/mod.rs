//! TLS with clients. Without the feature `tls` nothing can be opened, and the server speaks
//! plain text alone.

#[cfg_attr(not(feature = "tls"), path = "absent.rs")]
mod client_tls;
#[cfg(feature = "tls")]
mod handshake_error;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod x509;

pub(crate) use client_tls::ClientTls;
#[cfg(feature = "tls")]
pub(crate) use x509::is_valid;

/// A client whose handshake has succeeded.
pub(crate) struct Accepted {
    pub(crate) stream: zk_env::BoxStream,
    /// The subject of its certificate, if it has one.
    pub(crate) subject: Option<String>,
}

/// Without TLS there are no ids of scheme `x509`.
#[cfg(not(feature = "tls"))]
pub(crate) fn is_valid(_id: &str) -> bool {
    false
}
