//! A znode and its numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{Acl, SessionId, Stat, Zxid};

/// What becomes of a znode without anybody deleting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Lasting,
    /// It goes with a session.
    Ephemeral(SessionId),
    /// It goes when its last child has gone.
    Container,
    /// It goes once its data is this old, in milliseconds, and it has no child.
    Ttl(i64),
}

/// Everything of a znode but its children.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) data: Option<Bytes>,
    pub(super) acl: Arc<[Acl]>,
    pub(super) fate: Fate,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    pub(super) aversion: i32,
    /// How many children were ever created.
    pub(super) created: i32,
}

#[derive(Clone, Debug)]
pub(super) struct Znode {
    pub(super) meta: Meta,
    /// By name.
    pub(super) children: BTreeSet<String>,
}

impl Znode {
    pub(super) fn new(meta: Meta) -> Self {
        Self {
            meta,
            children: BTreeSet::new(),
        }
    }

    pub(super) fn child_count(&self) -> i32 {
        i32::try_from(self.children.len()).expect("a znode has fewer than 2^31 children")
    }

    /// Creations and deletions of children together follow from how many were created
    /// and how many are left.
    pub(super) fn cversion(&self) -> i32 {
        let twice = self.meta.created.wrapping_mul(2);
        twice.wrapping_sub(self.child_count())
    }

    pub(super) fn stat(&self) -> Stat {
        let meta = &self.meta;
        let owner = match meta.fate {
            Fate::Ephemeral(session) => session,
            Fate::Lasting | Fate::Container | Fate::Ttl(_) => SessionId::NONE,
        };
        let data_length = meta.data.as_ref().map_or(0, Bytes::len);
        Stat {
            czxid: meta.czxid,
            mzxid: meta.mzxid,
            ctime: meta.ctime,
            mtime: meta.mtime,
            version: meta.version,
            cversion: self.cversion(),
            aversion: meta.aversion,
            ephemeral_owner: owner,
            data_length: i32::try_from(data_length).expect("data fit into a frame"),
            num_children: self.child_count(),
            pzxid: meta.pzxid,
        }
    }
}
