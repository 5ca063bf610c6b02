//! A transaction whose commit is written down.

use zk_client::{Commit, CreateOptions, OpResult, Transaction};
use zk_proto::OpCode;

use super::answer::committed;
use super::{Recorded, RecordedClient};

/// Writes collected for one commit, as in [`Transaction`].
#[derive(Debug)]
#[must_use = "nothing is sent before `commit`"]
pub struct RecordedTransaction<'c> {
    client: &'c RecordedClient,
    transaction: Transaction<'c>,
    ops: usize,
}

impl<'c> RecordedTransaction<'c> {
    pub(super) fn new(client: &'c RecordedClient) -> Self {
        Self {
            client,
            transaction: client.bare().transaction(),
            ops: 0,
        }
    }

    /// As [`Transaction::check`].
    pub fn check(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        self.add(|transaction| transaction.check(path, version))
    }

    /// As [`Transaction::set_data`].
    pub fn set_data(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Self {
        self.add(|transaction| transaction.set_data(path, data, version))
    }

    /// As [`Transaction::delete`].
    pub fn delete(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        self.add(|transaction| transaction.delete(path, version))
    }

    /// As [`Transaction::create2`]. There is no `create`, as its answer leaves out
    /// what the server said of containers.
    pub fn create2(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Self {
        self.add(|transaction| transaction.create2(path, data, options))
    }

    fn add(self, op: impl FnOnce(Transaction<'c>) -> Transaction<'c>) -> Self {
        Self {
            transaction: op(self.transaction),
            ops: self.ops + 1,
            ..self
        }
    }

    /// As [`Transaction::commit`].
    pub fn commit(self) -> Recorded<Commit, Vec<OpResult>> {
        let commit = self.transaction.commit();
        let xid = commit.xid();
        self.client
            .record(commit, xid, OpCode::Multi, "", self.ops, committed)
    }
}
