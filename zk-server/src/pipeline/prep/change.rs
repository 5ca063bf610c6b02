//! Changes of znodes that are there, and ends.

use std::sync::Arc;

use zk_proto::{ErrorCode, Perms};

use super::{NULL, Preparing, next_version, owned, parent_of, validate};
use crate::pipeline::request::{PathVersion, SetAcl, SetData};
use crate::tree::{ContentDigest, DataTree, EphemeralType};
use crate::txn::{Change, SetAclTxn, SetDataTxn, TxnBody};

impl Preparing<'_> {
    /// Checks, in this order: session, path, parent, permission on the parent, the
    /// znode, version, children.
    pub(super) fn delete(&mut self, delete: &PathVersion<'_>) -> Result<Change, ErrorCode> {
        self.check_session()?;
        let path = delete.path.as_deref().ok_or(NULL)?;
        let parent_path = deletable(path)?;
        let parent = self.record(parent_path)?;
        self.check_acl(&parent.acl, Perms::DELETE)?;
        let node = self.record(path)?;
        next_version(node.stat.version, delete.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        Ok(self.put_deleted(path, false))
    }

    /// The reaper's delete: nobody's permission, but only of what may be reaped and
    /// has not got a child since it was found.
    pub(super) fn delete_container(&mut self, path: &str) -> Result<Change, ErrorCode> {
        deletable(path)?;
        let node = self.record(path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        match node.stat.ephemeral {
            EphemeralType::Container | EphemeralType::Ttl { .. } => {
                Ok(self.put_deleted(path, true))
            }
            EphemeralType::Normal(_) | EphemeralType::Void => Err(ErrorCode::BadVersion),
        }
    }

    fn put_deleted(&mut self, path: &str, by_reaper: bool) -> Change {
        let parent_path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if let Some(mut parent) = self.pending.record(parent_path) {
            parent.child_count = parent.child_count.saturating_sub(1);
            parent.stat.pzxid = parent.stat.pzxid.max(self.header.zxid);
            self.pending.put_parent(parent_path, parent);
        }
        let path: Arc<str> = path.into();
        self.pending.put(Arc::clone(&path), None);
        Change::Delete { path, by_reaper }
    }

    /// Checks, in this order: session, path, the znode, permission, quota, version.
    pub(super) fn set_data(&mut self, set: &SetData<'_>) -> Result<Change, ErrorCode> {
        self.check_session()?;
        let path = set.path.as_deref().ok_or(ErrorCode::BadArguments)?;
        validate(path)?;
        let mut node = self.record(path)?;
        self.check_acl(&node.acl, Perms::WRITE)?;
        let data = set.data.as_deref();
        let data_len = data.map_or(0, <[u8]>::len);
        self.check_quota(path, 0, data_len, node.data_len)?;
        node.stat.version = next_version(node.stat.version, set.version)?;
        node.stat.mzxid = self.header.zxid;
        node.stat.mtime = self.header.time_ms;
        node.data_len = data_len;
        node.content = ContentDigest::new(path, data);
        let txn = SetDataTxn {
            path: path.into(),
            data: owned(data),
            version: node.stat.version,
        };
        self.pending.put(Arc::clone(&txn.path), Some(node));
        Ok(Change::SetData(txn))
    }

    /// Checks, in this order: session, path, the new ACL, the znode, permission,
    /// the old ACL's version.
    pub(super) fn set_acl(&mut self, set: &SetAcl<'_>) -> Result<SetAclTxn, ErrorCode> {
        self.check_session()?;
        let path = set.path.as_deref().ok_or(ErrorCode::BadArguments)?;
        validate(path)?;
        let acl = self.fixup(set.acl.as_deref())?;
        let mut node = self.record(path)?;
        self.check_acl(&node.acl, Perms::ADMIN)?;
        node.stat.aversion = next_version(node.stat.aversion, set.version)?;
        node.acl = Arc::clone(&acl);
        let txn = SetAclTxn {
            path: path.into(),
            acl,
            aversion: node.stat.aversion,
        };
        self.pending.put(Arc::clone(&txn.path), Some(node));
        Ok(txn)
    }

    /// Checks, in this order: session, path, the znode, permission, version.
    pub(super) fn check_version(&self, check: &PathVersion<'_>) -> Result<Change, ErrorCode> {
        self.check_session()?;
        let path = check.path.as_deref().ok_or(ErrorCode::BadArguments)?;
        validate(path)?;
        let node = self.record(path)?;
        self.check_acl(&node.acl, Perms::READ)?;
        Ok(Change::CheckVersion {
            path: path.into(),
            version: next_version(node.stat.version, check.version)?,
        })
    }

    /// Everything that ends with the session.
    pub(super) fn close_session(&mut self) -> TxnBody {
        let paths = self.pending.ephemerals_of(self.who.session);
        for path in &paths {
            self.put_deleted(path, false);
        }
        TxnBody::CloseSession { paths }
    }
}

/// The parent of a path that may be deleted, as far as the path tells.
fn deletable(path: &str) -> Result<&str, ErrorCode> {
    if DataTree::is_special(path) {
        return Err(ErrorCode::BadArguments);
    }
    parent_of(path)
}
