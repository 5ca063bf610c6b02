//! Transactions that the server refuses once the ownership has gone to somebody else.

use std::pin::Pin;
use std::task::{Context, Poll};

use zk_client::{Commit, CreateOptions, ErrorCode, OpResult, Transaction};

use crate::error::Error;
use crate::ownership::{Ownership, OwnershipState};

/// Writes collected for one commit that opens with a check of the owner's znode. Paths are
/// those of the client the ownership was acquired with.
///
/// ```no_run
/// # async fn example(guard: zk_recipes::Guard) -> Result<(), zk_recipes::Error> {
/// guard.transaction().set_data("/inventory/7", b"3", None).commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before `commit`"]
pub struct GuardedTransaction<'o> {
    ownership: &'o Ownership,
    transaction: Transaction<'o>,
}

impl<'o> GuardedTransaction<'o> {
    pub(crate) fn new(ownership: &'o Ownership) -> Self {
        // Any version: the path is unique, and whoever updates or revokes the owner's znode
        // must not fence the rightful owner.
        let transaction = ownership.client().transaction();
        Self {
            ownership,
            transaction: transaction.check(ownership.path(), None),
        }
    }

    fn with(self, add: impl FnOnce(Transaction<'o>) -> Transaction<'o>) -> Self {
        Self {
            transaction: add(self.transaction),
            ..self
        }
    }

    /// As [`Transaction::check`].
    pub fn check(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        self.with(|transaction| transaction.check(path, version))
    }

    /// As [`Transaction::set_data`].
    pub fn set_data(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Self {
        self.with(|transaction| transaction.set_data(path, data, version))
    }

    /// As [`Transaction::delete`].
    pub fn delete(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        self.with(|transaction| transaction.delete(path, version))
    }

    /// As [`Transaction::create`].
    pub fn create(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Self {
        self.with(|transaction| transaction.create(path, data, options))
    }

    /// As [`Transaction::create2`].
    pub fn create2(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Self {
        self.with(|transaction| transaction.create2(path, data, options))
    }

    /// Sends the transaction. It takes its place in line at once; results and the index in
    /// an error count the caller's own operations, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`] if the owner's znode is gone: nothing was changed, and the ownership is
    /// over. [`Error::Client`] for everything else, as [`Transaction::commit`]; after a
    /// connection loss the outcome may be unknown.
    pub fn commit(self) -> GuardedCommit {
        let path = self.ownership.path().into();
        let is_lost = matches!(self.ownership.current(), OwnershipState::Lost(_));
        GuardedCommit {
            // Once it is lost the server need not be asked.
            commit: (!is_lost).then(|| self.transaction.commit()),
            path,
        }
    }
}

/// The answer to a guarded transaction.
///
/// Dropping it stops the waiting, not the transaction.
#[derive(Debug)]
#[must_use = "only awaiting tells whether it succeeded"]
pub struct GuardedCommit {
    commit: Option<Commit>,
    path: Box<str>,
}

impl Future for GuardedCommit {
    type Output = Result<Vec<OpResult>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(commit) = &mut self.commit else {
            return Poll::Ready(Err(fenced(&self.path)));
        };
        Pin::new(commit)
            .poll(cx)
            .map(|committed| own_results(committed, &self.path))
    }
}

fn fenced(path: &str) -> Error {
    Error::Fenced { path: path.into() }
}

/// The results without that of the opening check.
fn own_results(
    committed: Result<Vec<OpResult>, zk_client::Error>,
    path: &str,
) -> Result<Vec<OpResult>, Error> {
    match committed {
        Ok(results) => Ok(results.into_iter().skip(1).collect()),
        Err(zk_client::Error::Transaction {
            index: 0,
            code: ErrorCode::NoNode,
            ..
        }) => Err(fenced(path)),
        // Refused for another reason, such as a missing permission: no word on who owns.
        Err(zk_client::Error::Transaction {
            index: 0,
            code,
            path,
        }) => Err(Error::Client(zk_client::Error::Server { code, path })),
        Err(zk_client::Error::Transaction { index, code, path }) => {
            let index = index - 1;
            Err(Error::Client(zk_client::Error::Transaction {
                index,
                code,
                path,
            }))
        }
        Err(error) => Err(Error::Client(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(index: usize, code: ErrorCode) -> Error {
        let path = "/x".into();
        let error = zk_client::Error::Transaction { index, code, path };
        own_results(Err(error), "/lock/own").unwrap_err()
    }

    #[test]
    fn only_a_missing_owner_is_fenced() {
        let fenced = Error::Fenced {
            path: "/lock/own".into(),
        };
        assert_eq!(refused(0, ErrorCode::NoNode), fenced);
        assert!(matches!(
            refused(0, ErrorCode::NoAuth),
            Error::Client(zk_client::Error::Server {
                code: ErrorCode::NoAuth,
                ..
            })
        ));
    }

    #[test]
    fn callers_see_their_own_operations_alone() {
        assert!(matches!(
            refused(3, ErrorCode::BadVersion),
            Error::Client(zk_client::Error::Transaction {
                index: 2,
                code: ErrorCode::BadVersion,
                ..
            })
        ));
        let results = own_results(Ok(vec![OpResult::Check, OpResult::Delete]), "/l").unwrap();
        assert_eq!(results, [OpResult::Delete]);
    }
}
