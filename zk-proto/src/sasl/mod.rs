//! SASL mechanisms as pure machines: tokens in, tokens out.
//!
//! No randomness is drawn in here: whoever drives a machine brings the nonces. What
//! is secret is compared in constant time and never shown.

mod digest_md5;
mod directives;
mod secret;

pub use digest_md5::{DigestMd5Client, DigestMd5Server, NONCE_BYTES, Proof, nonce};
pub use secret::Secret;

use thiserror::Error;

/// What the client names as the service and, for DIGEST-MD5, as the host and the
/// realm: Apache's servers know no other.
pub const SERVICE: &str = "zookeeper";
/// See [`SERVICE`].
pub const DIGEST_MD5_HOST: &str = "zk-sasl-md5";

/// Why an exchange cannot go on. Nothing in it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The token is not what the mechanism's grammar allows, or too long.
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// The token is well-formed and asks for what is not on offer here.
    #[error("not acceptable: {0}")]
    Unacceptable(&'static str),
    /// The user is unknown or the password wrong; which of them is not told.
    #[error("wrong user or password")]
    WrongPassword,
    /// The server could not prove that it knows the password.
    #[error("the server did not prove that it knows the password")]
    NotGenuine,
}
