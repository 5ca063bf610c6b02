//! Transactions: the only thing the tree learns from. All that could differ
//! between replicas is decided when one is made (the time, versions, sequence
//! suffixes, ACLs with identities filled in), so applying one is a function of the
//! tree alone.

mod codec;

pub(crate) use codec::{UNKNOWN_CVERSION, decode_txn, encode_txn, reconfigured, zxid_of};

use std::sync::Arc;

use zk_proto::{ErrorCode, SessionId, Xid, Zxid};

use crate::tree::{AclList, EphemeralType, TreeDigest};

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Txn {
    pub(crate) header: TxnHeader,
    pub(crate) body: TxnBody,
    /// The digest of the tree once this is applied, as the server that made it
    /// predicts; not every transaction has one.
    pub(crate) digest: Option<TreeDigest>,
}

/// Who, when, which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TxnHeader {
    /// The session that asked for it; none for the reaper's.
    pub(crate) client: SessionId,
    /// The client's number for the request.
    pub(crate) cxid: Xid,
    pub(crate) zxid: Zxid,
    /// Milliseconds since the Unix epoch, by the clock of the server that made it.
    pub(crate) time_ms: i64,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TxnBody {
    /// A session begins.
    CreateSession { timeout_ms: i32 },
    /// A session ends, and these ephemerals with it.
    CloseSession { paths: Vec<Arc<str>> },
    /// The tree changes.
    Change(Change),
    /// The ACL of a znode changes.
    SetAcl(SetAclTxn),
    /// The tree changes several times over, or, when empty, not at all.
    Multi(Vec<Change>),
    /// A multi that failed. The log keeps what was prepared before the operation that
    /// failed, and nothing of it is applied.
    FailedMulti {
        /// What would have happened.
        prepared: Vec<Change>,
        /// What is said of the operation that failed, and of those after it.
        errors: Vec<ErrorCode>,
    },
    /// The ensemble's configuration changes, which is the data of a znode.
    Reconfig(SetDataTxn),
    /// A request that was refused: it counts all the same.
    Error(ErrorCode),
}

/// A change that may be part of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create(CreateTxn),
    Delete {
        path: Arc<str>,
        /// By the reaper, and not by a client.
        by_reaper: bool,
    },
    SetData(SetDataTxn),
    /// Checked when the transaction was made; changes nothing.
    CheckVersion {
        path: Arc<str>,
        /// One more than the znode's.
        version: i32,
    },
}

/// A znode to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CreateTxn {
    /// With its sequence suffix.
    pub(crate) path: Arc<str>,
    pub(crate) data: Option<Box<[u8]>>,
    pub(crate) acl: AclList,
    pub(crate) ephemeral: EphemeralType,
    /// What the parent's count of creations becomes.
    pub(crate) parent_cversion: i32,
    /// Whether the client hears the new znode's `Stat`: of all the kinds of
    /// create only the first one does not tell.
    pub(crate) reply_stat: bool,
}

/// New data for a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetDataTxn {
    pub(crate) path: Arc<str>,
    pub(crate) data: Option<Box<[u8]>>,
    /// What its version becomes.
    pub(crate) version: i32,
}

/// A new ACL for a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetAclTxn {
    pub(crate) path: Arc<str>,
    pub(crate) acl: AclList,
    /// What its ACL's version becomes.
    pub(crate) aversion: i32,
}
