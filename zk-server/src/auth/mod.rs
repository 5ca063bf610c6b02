//! Who a connection is, and what an ACL lets it do. Schemes: `world`, `auth`,
//! `digest`, `ip`, and `super`, which is an identity but no scheme for ACLs.

mod digest;
mod fixup;
mod ip;
mod schemes;

pub(crate) use fixup::{FixupError, RawAcl, fixup};
pub(crate) use ip::host_address;
pub(crate) use schemes::Schemes;
