//! How a client proves who it is by SASL: a mechanism makes an exchange for every
//! connection, and an exchange turns the server's tokens into its own.

#[cfg(feature = "sasl")]
mod digest_md5;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use zk_env::EnvRng;

#[cfg(feature = "sasl")]
pub(crate) use digest_md5::DigestMd5;

/// What can begin an exchange.
pub(crate) trait Mechanism: fmt::Debug + Send + Sync {
    /// For one connection. Whatever has to be new comes from `rng`.
    fn begin(&self, rng: &mut EnvRng) -> Box<dyn Exchange>;
}

/// One connection's exchange. It makes no difference how it fails: it is over.
pub(crate) trait Exchange: fmt::Debug + Send {
    /// The first token to the server.
    fn initial(&mut self) -> Bytes;

    /// The server's next token. `Ok(None)` once the server has proved itself and
    /// nothing more is to be sent.
    fn step(&mut self, token: &[u8]) -> Result<Option<Bytes>, SaslFailure>;
}

/// A mechanism, and randomness for its exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Sasl {
    pub(crate) mechanism: Arc<dyn Mechanism>,
    pub(crate) rng: EnvRng,
}

/// Why SASL failed, and what to do about it. Trying again would change nothing, so
/// the client is terminal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslFailure {
    /// The server refused the exchange.
    #[error(
        "the server refused: check the user and password against the server's users, and that the server uses the same mechanism"
    )]
    Refused,
    /// The server has no SASL. Nothing was sent without it.
    #[error(
        "the server has no SASL: configure its users (java.security.auth.login.config, authProvider.sasl), or connect without SASL"
    )]
    NotOffered,
    /// The server did not prove that it knows the password: it may be another one than
    /// it seems.
    #[error(
        "the server did not prove that it knows the password: check that it is the server meant"
    )]
    NotGenuine,
    /// The server's token cannot be read or asks for what this client does not do.
    #[error("the server's token is unusable ({0}): check that it uses the same mechanism")]
    BadToken(String),
}
