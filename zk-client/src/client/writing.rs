//! Operations that change znodes.

use std::borrow::Cow;

use bytes::Bytes;
use zk_proto::record::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, MultiOp, MultiRequest,
    ReconfigRequest, SetAclRequest, SetDataRequest,
};
use zk_proto::{Acl, CreateMode, CreateOptions, OpCode, Stat, path};

use super::{CONFIG_PATH, Client, Reconfig};
use crate::error::Error;
use crate::options::{check_acl, check_create};
use crate::read;
use crate::reply::{Read, Reply, attempt};
use crate::retry::RetryPolicy;
use crate::transaction::Transaction;

impl Client {
    /// Creates a znode and gives its path, with the counter of a sequential one.
    ///
    /// # Errors
    ///
    /// `NodeExists`, `NoNode` (the parent is missing), `NoChildrenForEphemerals`,
    /// `NoAuth`, `InvalidAcl`, `QuotaExceeded`.
    pub fn create(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Reply<String> {
        let options = options.into();
        let read = match options.mode() {
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential => read::created,
            CreateMode::Container
            | CreateMode::PersistentWithTtl(_)
            | CreateMode::PersistentSequentialWithTtl(_) => read::created2_path,
        };
        self.create_as(path, data.as_ref(), &options, false, read)
    }

    /// As [`create`](Self::create), and gives the new znode's `Stat` too. A server
    /// before 3.5 needs two requests for it.
    ///
    /// # Errors
    ///
    /// As `create`.
    pub fn create2(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Reply<(String, Stat)> {
        self.create_as(path, data.as_ref(), &options.into(), true, read::created2)
    }

    fn create_as<T>(
        &self,
        path: &str,
        data: &[u8],
        options: &CreateOptions,
        with_stat: bool,
        read: Read<T>,
    ) -> Reply<T> {
        attempt(|| {
            let record = self.create_record(path, data, options)?;
            let op = options.mode().op_code(with_stat);
            match options.mode().ttl() {
                None => self.send(op, path, None, &record, read),
                Some(ttl) => {
                    let CreateRequest {
                        path: server_path,
                        data,
                        acl,
                        flags,
                    } = record;
                    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
                    self.send(
                        op,
                        path,
                        None,
                        &CreateTtlRequest {
                            path: server_path,
                            data,
                            acl,
                            flags,
                            ttl_ms,
                        },
                        read,
                    )
                }
            }
        })
    }

    /// The record of a create, checked.
    pub(crate) fn create_record<'a>(
        &self,
        path: &'a str,
        data: &'a [u8],
        options: &CreateOptions,
    ) -> Result<CreateRequest<'a>, Error> {
        check_create(options)?;
        let server_path = if options.mode().is_sequential() {
            self.sequential_path(path)?
        } else {
            self.server_path(path)?
        };
        Ok(CreateRequest {
            path: server_path,
            data: Some(data.into()),
            acl: Some(options.acl()),
            flags: options.mode().flags(),
        })
    }

    /// A sequential name may be empty: `/` then names children of the chroot, not
    /// siblings.
    fn sequential_path<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Error> {
        path::validate_sequential(path)?;
        Ok(match (path, self.chroot.as_str()) {
            ("/", chroot) if chroot != "/" => Cow::Owned(format!("{chroot}/")),
            _ => self.chroot.to_server(path),
        })
    }

    /// Deletes a znode without children; `None` for any version.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NotEmpty`, `NoAuth`.
    pub fn delete(&self, path: &str, version: impl Into<Option<i32>>) -> Reply<()> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let record = DeleteRequest {
                path: self.server_path(path)?,
                version,
            };
            self.send(OpCode::Delete, path, None, &record, read::nothing)
        })
    }

    /// Replaces a znode's data; `None` for any version. Gives the `Stat` after the
    /// change.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`, `QuotaExceeded`.
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Reply<Stat> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let data = Some(Cow::Borrowed(data.as_ref()));
            let record = SetDataRequest {
                path: self.server_path(path)?,
                data,
                version,
            };
            self.send(OpCode::SetData, path, None, &record, read::stat)
        })
    }

    /// Replaces a znode's ACL; the version is the `aversion`, `None` for any.
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`, `InvalidAcl`.
    pub fn set_acl(
        &self,
        path: &str,
        acl: Vec<Acl>,
        version: impl Into<Option<i32>>,
    ) -> Reply<Stat> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            check_acl(&acl)?;
            let record = SetAclRequest {
                path: self.server_path(path)?,
                acl: Some(acl),
                version,
            };
            self.send(OpCode::SetAcl, path, None, &record, read::stat)
        })
    }

    /// Checks that a znode exists and its data has the version; `None` for any. Sent
    /// as a transaction of one: a check alone damages the log of servers before
    /// 3.8.5 and 3.9.3 (ZOOKEEPER-2623).
    ///
    /// # Errors
    ///
    /// `NoNode`, `BadVersion`, `NoAuth`.
    pub fn check(&self, path: &str, version: impl Into<Option<i32>>) -> Reply<()> {
        let version = version.into().unwrap_or(-1);
        attempt(|| {
            let check = CheckVersionRequest {
                path: self.server_path(path)?,
                version,
            };
            let record = MultiRequest {
                ops: vec![MultiOp::Check(check)],
            };
            self.send(OpCode::Multi, path, None, &record, read::checked)
        })
    }

    /// Collects writes that take effect together or not at all.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Waits until what became of every write that this session has sent is settled: after this,
    /// a write whose outcome was unknown shows in reads, or it was not applied and never will be.
    ///
    /// A [`sync`](Self::sync) is not enough for that. A write that was proposed before the
    /// connection was lost may be committed long after a sync over the next connection, for a
    /// leader asked directly does not let it wait for proposals that are under way. This is an
    /// empty transaction: a write, in order behind all others, and a quorum has to agree. One that
    /// is still on its way through the former server is refused by then, as the session has moved.
    ///
    /// Tries again until it is answered, over as many connections as it takes.
    ///
    /// # Errors
    ///
    /// What ends the session or the client.
    ///
    /// # Cancel safety
    ///
    /// Dropping it changes nothing.
    pub async fn settle_writes(&self) -> Result<(), Error> {
        let patient = self.retrying(RetryPolicy::new(u32::MAX).for_idempotent());
        let settled = patient.run(|client| client.transaction().commit()).await;
        settled.map(drop)
    }

    /// Changes the ensemble's membership; `config_version` is the version the
    /// configuration must have (the `zxid` in its last line), `None` for any. Gives
    /// the new configuration.
    ///
    /// # Errors
    ///
    /// `ReconfigDisabled`, `ReconfigInProgress`, `NewConfigNoQuorum`, `BadVersion`,
    /// `BadArguments`, `NoAuth`.
    pub fn reconfig(
        &self,
        change: &Reconfig,
        config_version: impl Into<Option<i64>>,
    ) -> Reply<(Bytes, Stat)> {
        let config_id = config_version.into().unwrap_or(-1);
        let (joining, leaving, members) = match change {
            Reconfig::Incremental { joining, leaving } => (Some(joining), Some(leaving), None),
            Reconfig::Whole(members) => (None, None, Some(members)),
        };
        let text = |servers: Option<&Vec<String>>| servers.map(|servers| servers.join(",").into());
        attempt(|| {
            let record = ReconfigRequest {
                joining_servers: text(joining),
                leaving_servers: text(leaving),
                new_members: text(members),
                config_id,
            };
            self.send(OpCode::Reconfig, CONFIG_PATH, None, &record, read::data)
        })
    }
}
