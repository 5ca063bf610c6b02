//! Transactions change the tree; those who watch hear of it, and whoever asked
//! gets an answer.

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::record::{
    Create2Response, CreateResponse, GetDataResponse, MultiResponse, MultiResult, SetAclResponse,
    SetDataResponse,
};
use zk_proto::{ErrorCode, SessionId};

use crate::tree::{DataTree, WatchSink, Watches};
use crate::txn::{Change, CreateTxn, SetDataTxn, Txn, TxnBody, TxnHeader};

/// What a transaction has to say to the one who asked for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// That a session has begun or ended.
    Session,
    /// What a change of the tree has to say, in the form a multi says it too.
    Change(MultiResult),
    /// What a change of an ACL has to say.
    SetAcl(SetAclResponse),
    /// The configuration that is in force now.
    Reconfig(GetDataResponse),
    /// One answer for each operation.
    Multi(MultiResponse),
    /// Why nothing happened.
    Failed(ErrorCode),
}

/// Applies one transaction as a whole: events go out first, then comes the answer.
pub(crate) fn apply(
    txn: Txn,
    tree: &mut DataTree,
    watches: &mut Watches,
    sink: &mut impl WatchSink,
) -> Applied {
    let header = txn.header;
    let mut applying = Applying {
        tree,
        watches,
        sink,
        header,
    };
    let applied = applying.body(txn.body).unwrap_or_else(Applied::Failed);
    tree.set_last_processed(header.zxid);
    applied
}

struct Applying<'a, S> {
    tree: &'a mut DataTree,
    watches: &'a mut Watches,
    sink: &'a mut S,
    header: TxnHeader,
}

impl<S: WatchSink> Applying<'_, S> {
    fn body(&mut self, body: TxnBody) -> Result<Applied, ErrorCode> {
        match body {
            TxnBody::CreateSession { .. } => Ok(Applied::Session),
            TxnBody::CloseSession { paths } => {
                self.close_session(&paths, self.header.client);
                Ok(Applied::Session)
            }
            TxnBody::Change(change) => self.change(change).map(Applied::Change),
            TxnBody::SetAcl(txn) => {
                let stat = self.tree.set_acl(txn)?;
                Ok(Applied::SetAcl(SetAclResponse { stat }))
            }
            TxnBody::Multi(changes) => {
                let results = changes
                    .into_iter()
                    .map(|change| self.change(change).unwrap_or_else(MultiResult::Error))
                    .collect();
                Ok(Applied::Multi(MultiResponse { results }))
            }
            TxnBody::Reconfig(txn) => self.reconfig(txn).map(Applied::Reconfig),
            TxnBody::FailedMulti { prepared, errors } => {
                let before = prepared.iter().map(|_| ErrorCode::Ok);
                let results = before.chain(errors).map(MultiResult::Error).collect();
                Ok(Applied::Multi(MultiResponse { results }))
            }
            TxnBody::Error(error) => Err(error),
        }
    }

    fn change(&mut self, change: Change) -> Result<MultiResult, ErrorCode> {
        match change {
            Change::Create(txn) => self.create(txn),
            Change::Delete { path, .. } => self.delete(&path).map(|()| MultiResult::Delete),
            Change::SetData(txn) => self.set_data(txn),
            Change::CheckVersion { .. } => Ok(MultiResult::Check),
        }
    }

    fn create(&mut self, txn: CreateTxn) -> Result<MultiResult, ErrorCode> {
        let (path, reply_stat) = (Arc::clone(&txn.path), txn.reply_stat);
        let created = self.tree.create(txn, &self.header)?;
        self.watches.created(
            &path,
            self.header.zxid,
            &created.acl,
            &created.parent_acl,
            self.sink,
        );
        let path = path.to_string().into();
        Ok(if reply_stat {
            let stat = created.stat;
            MultiResult::Create2(Create2Response { path, stat })
        } else {
            MultiResult::Create(CreateResponse { path })
        })
    }

    fn delete(&mut self, path: &str) -> Result<(), ErrorCode> {
        let deleted = self.tree.delete(path, &self.header)?;
        self.watches.deleted(
            path,
            self.header.zxid,
            &deleted.acl,
            &deleted.parent_acl,
            self.sink,
        );
        Ok(())
    }

    fn set_data(&mut self, txn: SetDataTxn) -> Result<MultiResult, ErrorCode> {
        let path = Arc::clone(&txn.path);
        let (stat, acl) = self.tree.set_data(txn, &self.header)?;
        self.watches
            .data_changed(&path, self.header.zxid, &acl, self.sink);
        Ok(MultiResult::SetData(SetDataResponse { stat }))
    }

    fn reconfig(&mut self, txn: SetDataTxn) -> Result<GetDataResponse, ErrorCode> {
        let data = txn.data.as_deref().map(Bytes::copy_from_slice);
        match self.set_data(txn)? {
            MultiResult::SetData(SetDataResponse { stat }) => Ok(GetDataResponse { data, stat }),
            _ => Err(ErrorCode::RuntimeInconsistency),
        }
    }

    /// Deletes what the transaction names, then whatever else the session owns: a
    /// replica that started from a fuzzy snapshot may have more, or less.
    fn close_session(&mut self, paths: &[Arc<str>], session: SessionId) {
        for path in paths {
            // Gone already is as good.
            let _ = self.delete(path);
        }
        for path in self.tree.remove_session(session) {
            let _ = self.delete(&path);
        }
    }
}
