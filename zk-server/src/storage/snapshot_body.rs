//! What a snapshot in a file and one on the wire have in common: sessions, ACLs by number,
//! znodes with parents before children, and a path that is none and ends them.
//!
//! Pure: [`BodyEncoder`] is fed znode by znode, [`BodyLoader`] is lent a reader per item.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::{Acl, Decode, Encode, Reader, SessionId, Zxid};

use super::snapshot_format::SnapshotError;
use crate::tree::{AclList, DataTree, EphemeralType, SeededState, StatPersisted, Znode, open_acl};

/// The number of `world:anyone` with all permissions, which is in no list.
const OPEN_ACL_ID: i64 = -1;

/// What stands where the next path would: the root's own is empty.
pub(super) const END_PATH: &str = "/";

/// Sessions with their timeouts in milliseconds.
pub(crate) type SessionTimeouts = Vec<(SessionId, i32)>;

/// Writes a body. What it has made is taken away by [`take`](Self::take), whenever.
#[derive(Debug)]
pub(super) struct BodyEncoder {
    out: BytesMut,
    acl_ids: HashMap<AclList, i64>,
}

impl BodyEncoder {
    /// Begins with what is not in the tree. Znodes with an ACL that is not in `acls` get the
    /// open one: they have changed since, and the log says how.
    pub(super) fn new(
        sessions: &[(SessionId, i32)],
        acls: impl IntoIterator<Item = AclList>,
    ) -> Self {
        let open = open_acl();
        let acls = acls.into_iter().filter(|acl| *acl != open);
        let acl_ids: HashMap<AclList, i64> = acls.zip(1..).collect();
        let mut out = BytesMut::new();
        out.put_i32(count(sessions.len()));
        for (session, timeout_ms) in sessions {
            (session.0, *timeout_ms).encode(&mut out);
        }
        let mut lists: Vec<_> = acl_ids.iter().map(|(acl, id)| (*id, acl)).collect();
        lists.sort_unstable_by_key(|(id, _)| *id);
        out.put_i32(count(lists.len()));
        for (id, acl) in lists {
            id.encode(&mut out);
            out.put_i32(count(acl.len()));
            acl.iter().for_each(|entry| entry.encode(&mut out));
        }
        Self { out, acl_ids }
    }

    /// Adds a znode; its parent must have been added before.
    pub(super) fn add(&mut self, path: &str, node: &Znode) {
        let path = if path == "/" { "" } else { path };
        let out = &mut self.out;
        path.encode(out);
        node.data.as_deref().encode(out);
        self.acl_ids
            .get(&node.acl)
            .copied()
            .unwrap_or(OPEN_ACL_ID)
            .encode(out);
        let stat = &node.stat;
        (stat.czxid.0, stat.mzxid.0).encode(out);
        (stat.ctime, stat.mtime).encode(out);
        (stat.version, (stat.cversion, stat.aversion)).encode(out);
        stat.ephemeral.persisted_owner().encode(out);
        stat.pzxid.0.encode(out);
    }

    /// Adds the end, after which nothing is added.
    pub(super) fn end(&mut self) {
        END_PATH.encode(&mut self.out);
    }

    /// Bytes that wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// What has been made since the last time.
    pub(super) fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}

/// Lengths are those of what is in memory.
fn count(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// A tree that is loaded item by item, in the order of a body.
#[derive(Debug)]
pub(super) struct BodyLoader {
    tree: DataTree,
    sessions: SessionTimeouts,
    acls: HashMap<i64, AclList>,
}

impl BodyLoader {
    /// Nothing yet; `hashing` keys the tree.
    pub(super) fn new(hashing: SeededState) -> Self {
        Self {
            tree: DataTree::unloaded(hashing),
            sessions: Vec::new(),
            acls: HashMap::from([(OPEN_ACL_ID, open_acl())]),
        }
    }

    /// Reads how many sessions or ACLs follow.
    pub(super) fn count(reader: &mut Reader<'_>) -> Result<i32, SnapshotError> {
        let count = i32::decode(reader)?;
        (count >= 0)
            .then_some(count)
            .ok_or(SnapshotError::NegativeCount)
    }

    /// Reads a session.
    pub(super) fn session(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let session = SessionId(i64::decode(reader)?);
        self.sessions.push((session, i32::decode(reader)?));
        Ok(())
    }

    /// The list that znodes mean by `id`; none at all is the open one.
    pub(super) fn acl(&mut self, id: i64, acl: Option<Vec<Acl>>) {
        self.acls
            .insert(id, acl.map_or_else(open_acl, AclList::from));
    }

    /// Reads what follows a znode's path, and puts it into the tree.
    pub(super) fn node(
        &mut self,
        path: String,
        reader: &mut Reader<'_>,
    ) -> Result<(), SnapshotError> {
        let data = Option::<Cow<'_, [u8]>>::decode(reader)?;
        let id = i64::decode(reader)?;
        let Some(acl) = self.acls.get(&id) else {
            return Err(SnapshotError::UnknownAcl { path, id });
        };
        let (czxid, mzxid) = (i64::decode(reader)?, i64::decode(reader)?);
        let (ctime, mtime) = (i64::decode(reader)?, i64::decode(reader)?);
        let version = i32::decode(reader)?;
        let cversion = i32::decode(reader)?;
        let aversion = i32::decode(reader)?;
        let owner = i64::decode(reader)?;
        let stat = StatPersisted {
            czxid: Zxid(czxid),
            mzxid: Zxid(mzxid),
            pzxid: Zxid(i64::decode(reader)?),
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral: EphemeralType::from_persisted(owner),
        };
        let data = data.map(|data| Box::from(&*data));
        if self.tree.load(&path, data, Arc::clone(acl), stat) {
            Ok(())
        } else {
            Err(SnapshotError::Orphan(path))
        }
    }

    /// All of it has been read; `zxid` is the last transaction that is certainly in it.
    pub(super) fn finish(mut self, zxid: Zxid) -> (DataTree, SessionTimeouts) {
        self.tree.loaded(zxid);
        (self.tree, self.sessions)
    }
}
