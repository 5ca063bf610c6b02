//! One znode.

use std::collections::BTreeSet;

use zk_proto::{SessionId, Stat, Zxid};

use super::acl::AclList;
use super::digest::ContentDigest;

/// What ends a znode's life, besides a delete (Apache's `EphemeralType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EphemeralType {
    /// Nothing.
    Void,
    /// The end of this session.
    Normal(SessionId),
    /// The loss of its last child.
    Container,
    /// Time without a child and without a change of data.
    Ttl {
        /// How long, in milliseconds.
        ttl_ms: i64,
    },
}

impl EphemeralType {
    /// `Stat.ephemeralOwner` as clients see it: zero for all but real ephemerals.
    pub(crate) const fn client_owner(self) -> SessionId {
        match self {
            Self::Normal(session) => session,
            Self::Void | Self::Container | Self::Ttl { .. } => SessionId::NONE,
        }
    }

    /// The owner as files have it.
    pub(crate) const fn persisted_owner(self) -> i64 {
        match self {
            Self::Void => 0,
            Self::Normal(session) => session.0,
            Self::Container => i64::MIN,
            Self::Ttl { ttl_ms } => TTL_MARK | (ttl_ms & TTL_MASK),
        }
    }

    /// What a file's owner stands for. Sessions of servers with ids from 255 on look
    /// like TTL znodes, which is why Apache allows such ids only without TTL znodes.
    pub(crate) const fn from_persisted(owner: i64) -> Self {
        match owner {
            0 => Self::Void,
            i64::MIN => Self::Container,
            owner if owner & TTL_MARK == TTL_MARK && owner & !(TTL_MARK | TTL_MASK) == 0 => {
                Self::Ttl {
                    ttl_ms: owner & TTL_MASK,
                }
            }
            owner => Self::Normal(SessionId(owner)),
        }
    }

    /// Whether the znode may have children: only real ephemerals may not.
    pub(crate) const fn forbids_children(self) -> bool {
        matches!(self, Self::Normal(_))
    }
}

/// The high bits of a TTL znode's owner in files.
const TTL_MARK: i64 = (0xff00_u64 << 48) as i64;
/// The bits of its time to live.
const TTL_MASK: i64 = 0xff_ffff_ffff;

/// What is kept of a znode's metadata; [`Stat`] is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatPersisted {
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) pzxid: Zxid,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    /// Counts creations of children only, and feeds the sequence suffix. What
    /// clients see as `cversion` counts deletions too.
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) ephemeral: EphemeralType,
}

impl StatPersisted {
    /// Of a znode that `zxid` creates at `time_ms`.
    pub(crate) const fn created(zxid: Zxid, time_ms: i64, ephemeral: EphemeralType) -> Self {
        Self {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral,
        }
    }
}

/// A znode: data, ACL, metadata, names of children.
#[derive(Debug)]
pub(crate) struct Znode {
    /// Null and empty are distinct. Never a slice of a received frame, which
    /// would keep the whole receive buffer alive.
    pub(crate) data: Option<Box<[u8]>>,
    pub(crate) acl: AclList,
    pub(crate) stat: StatPersisted,
    /// Of path and data, for the digest of the tree.
    pub(crate) content: ContentDigest,
    /// In order, so that what clients see is the same on every replica.
    pub(crate) children: BTreeSet<Box<str>>,
}

impl Znode {
    /// A znode without children.
    pub(crate) fn new(
        path: &str,
        data: Option<Box<[u8]>>,
        acl: AclList,
        stat: StatPersisted,
    ) -> Self {
        Self {
            content: ContentDigest::new(path, data.as_deref()),
            data,
            acl,
            stat,
            children: BTreeSet::new(),
        }
    }

    /// Bytes of data, 0 for null.
    pub(crate) fn data_len(&self) -> usize {
        self.data.as_deref().map_or(0, <[u8]>::len)
    }

    /// The metadata as clients see it. Of every child ever created one deletion
    /// has followed except for those still there, hence `cversion`'s formula.
    pub(crate) fn client_stat(&self) -> Stat {
        let num_children = saturating_i32(self.children.len());
        let stat = &self.stat;
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion.wrapping_mul(2).wrapping_sub(num_children),
            aversion: stat.aversion,
            ephemeral_owner: stat.ephemeral.client_owner(),
            data_length: saturating_i32(self.data_len()),
            num_children,
            pzxid: stat.pzxid,
        }
    }
}

fn saturating_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
