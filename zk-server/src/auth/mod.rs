//! Who a connection is, and what an ACL lets it do. Schemes: `world`, `auth`,
//! `digest`, `ip`, `sasl`, `x509`, and `super`, which is an identity but no scheme for ACLs.

mod digest;
mod fixup;
mod ip;
mod sasl;
mod schemes;

pub(crate) use fixup::{FixupError, RawAcl, fixup};
pub(crate) use ip::host_address;
pub(crate) use sasl::{SaslExchange, SaslStep};
pub(crate) use schemes::Schemes;
