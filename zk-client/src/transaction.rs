//! Transactions: several writes that take effect together or not at all.

use zk_proto::record::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, MultiOp, MultiRequest,
    MultiResult, SetDataRequest,
};
use zk_proto::{CreateMode, CreateOptions, ErrorCode, OpCode, Stat};

use crate::client::Client;
use crate::error::Error;
use crate::read::{self, strip};
use crate::reply::{Asked, RawReply, Reply};

/// The result of one operation of a transaction that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// The version was as expected.
    Check,
    /// Created, at this path.
    Create(String),
    /// Created, at this path, with this `Stat`; `None` from servers before 3.7.2,
    /// 3.8.2 and 3.9.0, which leave it out (ZOOKEEPER-4026).
    Create2(String, Option<Stat>),
    /// Data set; the `Stat` right after.
    SetData(Stat),
    /// Deleted.
    Delete,
}

/// Writes collected for one commit. Later ones see the effects of earlier ones; all
/// carry one zxid.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_client::Error> {
/// let results = client.transaction()
///     .check("/a", 3)
///     .set_data("/b", b"x", None)
///     .delete("/c", None)
///     .commit()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before `commit`"]
pub struct Transaction<'c> {
    client: &'c Client,
    ops: Vec<MultiOp<'static>>,
    /// Of each operation, what the caller needs to understand its result.
    asked: Vec<AskedOp>,
    /// The first argument that was refused.
    invalid: Option<Error>,
}

#[derive(Clone, Debug)]
struct AskedOp {
    path: Box<str>,
    wants_stat: bool,
}

impl<'c> Transaction<'c> {
    pub(crate) const fn new(client: &'c Client) -> Self {
        Self {
            client,
            ops: Vec::new(),
            asked: Vec::new(),
            invalid: None,
        }
    }

    /// Demands that a znode exists and its data has the version; `None` for any.
    pub fn check(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        let version = version.into().unwrap_or(-1);
        self.add(path, false, |path| {
            MultiOp::Check(CheckVersionRequest {
                path: path.into(),
                version,
            })
        })
    }

    /// Replaces data; `None` for any version.
    pub fn set_data(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Self {
        let version = version.into().unwrap_or(-1);
        let data = Some(data.as_ref().to_vec().into());
        self.add(path, false, |path| {
            MultiOp::SetData(SetDataRequest {
                path: path.into(),
                data,
                version,
            })
        })
    }

    /// Deletes; `None` for any version.
    pub fn delete(self, path: &str, version: impl Into<Option<i32>>) -> Self {
        let version = version.into().unwrap_or(-1);
        self.add(path, false, |path| {
            MultiOp::Delete(DeleteRequest {
                path: path.into(),
                version,
            })
        })
    }

    /// Creates; the result is [`OpResult::Create`].
    pub fn create(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Self {
        self.add_create(path, data.as_ref(), &options.into(), false)
    }

    /// Creates; the result is [`OpResult::Create2`].
    pub fn create2(
        self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Self {
        self.add_create(path, data.as_ref(), &options.into(), true)
    }

    fn add_create(
        mut self,
        path: &str,
        data: &[u8],
        options: &CreateOptions,
        wants_stat: bool,
    ) -> Self {
        match self.client.create_record(path, data, options) {
            Ok(record) => {
                self.ops.push(create_op(record, options.mode(), wants_stat));
                self.asked.push(AskedOp {
                    path: path.into(),
                    wants_stat,
                });
            }
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    fn add(
        mut self,
        path: &str,
        wants_stat: bool,
        op: impl FnOnce(String) -> MultiOp<'static>,
    ) -> Self {
        match self.client.server_path(path) {
            Ok(server_path) => {
                self.ops.push(op(server_path.into_owned()));
                self.asked.push(AskedOp {
                    path: path.into(),
                    wants_stat,
                });
            }
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// Sends the transaction. An empty one is legal.
    ///
    /// # Errors
    ///
    /// [`Error::Transaction`] names the operation that failed; nothing was changed.
    /// An invalid argument of any operation is reported here, before anything is sent.
    pub fn commit(self) -> Commit {
        let Self {
            client,
            ops,
            asked,
            invalid,
        } = self;
        let reply = match invalid {
            Some(error) => Reply::failed(error),
            None => client
                .send(OpCode::Multi, "", None, &MultiRequest { ops }, raw_results)
                .unwrap_or_else(Reply::failed),
        };
        Commit {
            reply,
            asked,
            chroot: client.chroot_of().clone(),
        }
    }
}

/// The answer to a transaction; a [`Reply`] in all but name.
#[derive(Debug)]
#[must_use = "the transaction is sent in any case, but only awaiting tells whether it succeeded"]
pub struct Commit {
    reply: Reply<Vec<MultiResult>>,
    asked: Vec<AskedOp>,
    chroot: zk_proto::Chroot,
}

impl Future for Commit {
    type Output = Result<Vec<OpResult>, Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.reply)
            .poll(cx)
            .map(|results| results.and_then(|results| self.results(results)))
    }
}

impl Commit {
    /// As [`Reply::xid`].
    #[doc(hidden)]
    pub const fn xid(&self) -> Option<zk_proto::Xid> {
        self.reply.xid()
    }

    fn results(&self, results: Vec<MultiResult>) -> Result<Vec<OpResult>, Error> {
        if let Some(error) = self.failure(&results) {
            return Err(error);
        }
        if results.len() != self.asked.len() {
            return Err(read::wrong_results(&results));
        }
        results
            .into_iter()
            .zip(&self.asked)
            .map(|(result, asked)| self.result(result, asked))
            .collect()
    }

    /// Operations before the one that failed carry `Ok`, those after it
    /// `RuntimeInconsistency`.
    fn failure(&self, results: &[MultiResult]) -> Option<Error> {
        let failed = |result: &MultiResult| match result {
            MultiResult::Error(ErrorCode::Ok) => None,
            MultiResult::Error(code) => Some(*code),
            _ => None,
        };
        let (index, code) = results
            .iter()
            .enumerate()
            .find_map(|(index, result)| Some((index, failed(result)?)))?;
        let path = self
            .asked
            .get(index)
            .map(|asked| asked.path.clone())
            .unwrap_or_default();
        Some(Error::Transaction { index, code, path })
    }

    fn result(&self, result: MultiResult, asked: &AskedOp) -> Result<OpResult, Error> {
        Ok(match result {
            MultiResult::Check => OpResult::Check,
            MultiResult::Delete => OpResult::Delete,
            MultiResult::SetData(set) => OpResult::SetData(set.stat),
            MultiResult::Create(created) => {
                let path = strip(&self.chroot, &created.path);
                if asked.wants_stat {
                    OpResult::Create2(path, None)
                } else {
                    OpResult::Create(path)
                }
            }
            MultiResult::Create2(created) => {
                let path = strip(&self.chroot, &created.path);
                if asked.wants_stat {
                    OpResult::Create2(path, Some(created.stat))
                } else {
                    OpResult::Create(path)
                }
            }
            MultiResult::GetData(_) | MultiResult::GetChildren(_) | MultiResult::Error(_) => {
                return Err(read::wrong_results(&[result]));
            }
        })
    }
}

fn raw_results(raw: RawReply, asked: &Asked) -> Result<Vec<MultiResult>, Error> {
    read::results(raw, asked)
}

fn create_op(record: CreateRequest<'_>, mode: CreateMode, wants_stat: bool) -> MultiOp<'static> {
    let CreateRequest {
        path,
        data,
        acl,
        flags,
    } = record;
    let (path, data) = (
        path.into_owned().into(),
        data.map(|data| data.into_owned().into()),
    );
    match mode {
        CreateMode::Container => MultiOp::CreateContainer(CreateRequest {
            path,
            data,
            acl,
            flags,
        }),
        CreateMode::PersistentWithTtl(ttl) | CreateMode::PersistentSequentialWithTtl(ttl) => {
            let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            MultiOp::CreateTtl(CreateTtlRequest {
                path,
                data,
                acl,
                flags,
                ttl_ms,
            })
        }
        CreateMode::Persistent
        | CreateMode::Ephemeral
        | CreateMode::PersistentSequential
        | CreateMode::EphemeralSequential => {
            let record = CreateRequest {
                path,
                data,
                acl,
                flags,
            };
            if wants_stat {
                MultiOp::Create2(record)
            } else {
                MultiOp::Create(record)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::Chroot;
    use zk_proto::record::{Create2Response, CreateResponse};

    use super::*;

    /// What becomes of these results of a create and a create2 under `/app`.
    fn results(results: Vec<MultiResult>) -> Result<Vec<OpResult>, Error> {
        let asked = |path: &str, wants_stat| AskedOp {
            path: path.into(),
            wants_stat,
        };
        let commit = Commit {
            reply: Reply::failed(Error::Closed),
            asked: vec![asked("/a", false), asked("/b", true)],
            chroot: Chroot::new("/app").unwrap(),
        };
        commit.results(results)
    }

    fn created(path: &'static str) -> MultiResult {
        MultiResult::Create(CreateResponse { path: path.into() })
    }

    fn created2(path: &'static str) -> MultiResult {
        MultiResult::Create2(Create2Response {
            path: path.into(),
            stat: Stat::default(),
        })
    }

    #[test]
    fn results_are_told_in_the_form_asked_for_and_below_the_chroot() {
        let expected = [
            OpResult::Create("/a".into()),
            OpResult::Create2("/b".into(), Some(Stat::default())),
        ];
        let told = results(vec![created("/app/a"), created2("/app/b")]);
        assert_eq!(told.unwrap(), expected);
    }

    #[test]
    fn an_old_server_leaves_the_stat_out() {
        let told = results(vec![created("/app/a"), created("/app/b")]).unwrap();
        assert_eq!(told[1], OpResult::Create2("/b".into(), None));
    }

    #[test]
    fn the_operation_that_failed_is_named() {
        let told = results(vec![
            MultiResult::Error(ErrorCode::Ok),
            MultiResult::Error(ErrorCode::NoNode),
        ]);
        let expected = Error::Transaction {
            index: 1,
            code: ErrorCode::NoNode,
            path: "/b".into(),
        };
        assert_eq!(told, Err(expected));
        let told = results(vec![
            MultiResult::Error(ErrorCode::BadVersion),
            MultiResult::Error(ErrorCode::RuntimeInconsistency),
        ]);
        assert!(matches!(told, Err(Error::Transaction { index: 0, .. })));
    }

    #[test]
    fn too_few_too_many_and_foreign_results_are_a_bad_reply() {
        for wrong in [
            vec![],
            vec![created("/app/a")],
            vec![created("/app/a"), created2("/app/b"), MultiResult::Check],
            vec![created("/app/a"), MultiResult::Error(ErrorCode::Ok)],
        ] {
            assert!(matches!(results(wrong), Err(Error::BadReply(_))));
        }
    }

    #[test]
    fn a_failure_beyond_what_was_asked_is_still_a_failure() {
        let told = results(vec![
            MultiResult::Error(ErrorCode::Ok),
            MultiResult::Error(ErrorCode::Ok),
            MultiResult::Error(ErrorCode::NoAuth),
        ]);
        assert!(matches!(told, Err(Error::Transaction { index: 2, .. })));
    }
}
