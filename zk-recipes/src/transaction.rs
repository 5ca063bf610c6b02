//! Transactions that the server refuses once the ownership has gone to somebody else.

use std::pin::Pin;
use std::task::{Context, Poll};

use zk_client::{Commit, CreateOptions, ErrorCode, OpResult, Transaction};

use crate::error::Error;
use crate::ownership::{Ownership, OwnershipState};

/// Writes collected for one commit that opens with a check of the owner's znode, or of several
/// owners' znodes. Paths are those of the client the ownership was acquired with.
///
/// ```no_run
/// # async fn example(guard: zk_recipes::Guard) -> Result<(), zk_recipes::Error> {
/// guard.transaction().set_data("/inventory/7", b"3", None).commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before `commit`"]
pub struct GuardedTransaction<'o> {
    /// How many checks it opens with.
    checks: usize,
    /// The znode of an ownership that is known to be lost.
    lost: Option<Box<str>>,
    transaction: Transaction<'o>,
}

impl<'o> GuardedTransaction<'o> {
    pub(crate) fn new(ownership: &'o Ownership) -> Self {
        let empty = Self {
            checks: 0,
            lost: None,
            transaction: ownership.client().transaction(),
        };
        empty.and_owned(ownership)
    }

    /// Only if this is owned, too. Before the first write, and with the same client.
    pub(crate) fn and_owned(mut self, ownership: &Ownership) -> Self {
        self.checks += 1;
        if matches!(ownership.current(), OwnershipState::Lost(_)) {
            self.lost.get_or_insert_with(|| ownership.path().into());
        }
        // Any version: the path is unique, and whoever updates or revokes the owner's znode
        // must not fence the rightful owner.
        self.with(|transaction| transaction.check(ownership.path(), None))
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
        GuardedCommit {
            state: match self.lost {
                // Once it is lost the server need not be asked.
                Some(path) => State::Fenced(path),
                None => State::Sent {
                    commit: self.transaction.commit(),
                    checks: self.checks,
                },
            },
        }
    }
}

/// The answer to a guarded transaction.
///
/// Dropping it stops the waiting, not the transaction.
#[derive(Debug)]
#[must_use = "only awaiting tells whether it succeeded"]
pub struct GuardedCommit {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Refused here: the znode that was.
    Fenced(Box<str>),
    Sent {
        commit: Commit,
        checks: usize,
    },
}

impl Future for GuardedCommit {
    type Output = Result<Vec<OpResult>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Fenced(path) => Poll::Ready(Err(Error::Fenced { path: path.clone() })),
            State::Sent { commit, checks } => Pin::new(commit)
                .poll(cx)
                .map(|committed| own_results(committed, *checks)),
        }
    }
}

/// The results without those of the opening checks.
fn own_results(
    committed: Result<Vec<OpResult>, zk_client::Error>,
    checks: usize,
) -> Result<Vec<OpResult>, Error> {
    match committed {
        Ok(results) => Ok(results.into_iter().skip(checks).collect()),
        Err(zk_client::Error::Transaction { index, code, path }) => {
            Err(match index.checked_sub(checks) {
                Some(index) => Error::Client(zk_client::Error::Transaction { index, code, path }),
                None if code == ErrorCode::NoNode => Error::Fenced { path },
                // Refused for another reason, such as a missing permission: no word on who owns.
                None => Error::Client(zk_client::Error::Server { code, path }),
            })
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
        own_results(Err(error), 2).unwrap_err()
    }

    #[test]
    fn only_a_missing_owner_is_fenced() {
        let fenced = Error::Fenced { path: "/x".into() };
        assert_eq!(refused(0, ErrorCode::NoNode), fenced);
        assert_eq!(refused(1, ErrorCode::NoNode), fenced);
        assert!(!refused(2, ErrorCode::NoNode).is_ownership_over());
        assert!(matches!(
            refused(1, ErrorCode::NoAuth),
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
                index: 1,
                code: ErrorCode::BadVersion,
                ..
            })
        ));
        let results = own_results(Ok(vec![OpResult::Check, OpResult::Delete]), 1).unwrap();
        assert_eq!(results, [OpResult::Delete]);
    }
}
