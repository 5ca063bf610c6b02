//! Who may do what with a znode.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use sha1::{Digest, Sha1};

use crate::jute::{Decode, DecodeError, Encode, Reader, record};

/// A set of permissions. The server does not check its range, so any number
/// survives a round trip.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read data, children and (in part) the ACL.
    pub const READ: Self = Self(1);
    /// Change data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Change the ACL.
    pub const ADMIN: Self = Self(16);
    /// All of these.
    pub const ALL: Self = Self(31);

    /// Whether any of `wanted` is in the set.
    pub const fn intersects(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

impl BitOr for Perms {
    type Output = Self;
    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl BitOrAssign for Perms {
    fn bitor_assign(&mut self, rhs: Self) {
        self.0 |= rhs.0;
    }
}

/// In the letters of `zkCli`: `cdrwa`.
impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Perms, &str); 5] = [
            (Perms::CREATE, "c"),
            (Perms::DELETE, "d"),
            (Perms::READ, "r"),
            (Perms::WRITE, "w"),
            (Perms::ADMIN, "a"),
        ];
        f.write_str("Perms(")?;
        for (perm, letter) in LETTERS {
            if self.intersects(perm) {
                f.write_str(letter)?;
            }
        }
        if self.0 & !Self::ALL.0 != 0 {
            write!(f, "{:#x}", self.0)?;
        }
        f.write_str(")")
    }
}

impl Encode for Perms {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl<'a> Decode<'a> for Perms {
    const MIN_LEN: usize = i32::MIN_LEN;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        i32::decode(reader).map(Self)
    }
}

record! {
    /// Whom an ACL entry speaks of: a scheme and an id in its syntax.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct AclId {
        /// `world`, `auth`, `digest`, `ip`, `sasl`, `x509`.
        pub scheme: String,
        /// What the scheme takes for a name.
        pub id: String,
    }
}

impl AclId {
    /// An id of any scheme.
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    /// Everybody.
    pub fn anyone() -> Self {
        Self::new("world", "anyone")
    }

    /// Whoever creates the znode, under every identity the connection has proved.
    pub fn auth() -> Self {
        Self::new("auth", "")
    }

    /// The holder of this password.
    pub fn digest(user: &str, password: &str) -> Self {
        Self::new("digest", digest_id(user, password))
    }
}

record! {
    /// One entry of an ACL.
    #[derive(Hash)]
    pub struct Acl {
        /// What is granted.
        pub perms: Perms,
        /// To whom.
        pub id: AclId,
    }
}

impl Acl {
    /// Grants `perms` to `id`.
    pub const fn new(perms: Perms, id: AclId) -> Self {
        Self { perms, id }
    }

    /// `world:anyone`, all permissions.
    pub fn open() -> Self {
        Self::new(Perms::ALL, AclId::anyone())
    }

    /// Everybody may read.
    pub fn read_only() -> Self {
        Self::new(Perms::READ, AclId::anyone())
    }

    /// The creator may do everything, others nothing.
    pub fn creator_all() -> Self {
        Self::new(Perms::ALL, AclId::auth())
    }
}

/// The list that lets everybody do everything (`ZooDefs.Ids.OPEN_ACL_UNSAFE`).
pub fn open_acl() -> Vec<Acl> {
    vec![Acl::open()]
}

/// The id under which scheme `digest` knows a user: `user:base64(sha1("user:password"))`.
///
/// ```
/// assert_eq!(zk_proto::data::digest_id("own", "er"), "own:WB9qmW9kBoTSnXyoit3HXD1EF4E=");
/// ```
pub fn digest_id(user: &str, password: &str) -> String {
    let hash = Sha1::digest(format!("{user}:{password}"));
    format!("{user}:{}", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ids_match_those_of_apache() {
        assert_eq!(digest_id("own", "er"), "own:WB9qmW9kBoTSnXyoit3HXD1EF4E=");
        assert_eq!(
            digest_id("super", "admin"),
            "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="
        );
    }

    #[test]
    fn perms_print_in_the_letters_of_zk_cli() {
        assert_eq!(format!("{:?}", Perms::ALL), "Perms(cdrwa)");
        assert_eq!(format!("{:?}", Perms::READ | Perms::ADMIN), "Perms(ra)");
        assert_eq!(format!("{:?}", Perms(-1)), "Perms(cdrwa0xffffffff)");
    }
}
