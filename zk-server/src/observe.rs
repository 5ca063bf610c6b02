//! What a simulator sees of the transactions.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use zk_env::Disk;
use zk_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use crate::storage::{DataDir, LogFile, StorageError};
use crate::tree::EphemeralType;
use crate::txn::{Change, CreateTxn, Txn, TxnBody, decode_txn};

/// A transaction that has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its place in the order of everything.
    pub zxid: Zxid,
    /// On whose behalf; none for the reaper of containers and TTL znodes.
    pub session: SessionId,
    /// The number of the client's request, 0 where the server acts by itself.
    pub cxid: Xid,
    /// Milliseconds since the Unix epoch, by the server's wall clock.
    pub time_ms: i64,
    /// What the server's log calls it: the operation, or [`OpCode::Error`] if it was
    /// refused. A multi that failed is still a multi.
    pub op: OpCode,
    /// Why it was refused, if it was; of a multi, the reason of the operation that
    /// failed.
    pub err: ErrorCode,
    /// What the reaper wanted to delete; a client's request tells by itself.
    pub path: Option<String>,
    /// The members as of it, if it is a reconfiguration that was not refused.
    pub config: Option<String>,
}

/// Called for each transaction in the order of zxids, while the server's lock is held.
pub(crate) type OnTransaction = Arc<dyn Fn(&Transaction) + Send + Sync>;

/// Who is told of transactions, if anybody.
#[derive(Clone, Default)]
pub(crate) struct TransactionObserver(Option<OnTransaction>);

impl TransactionObserver {
    pub(crate) fn new(observe: OnTransaction) -> Self {
        Self(Some(observe))
    }

    /// What there will be to tell once `txn` is applied; nothing if nobody asks.
    /// `reaped` is what the reaper wants gone; a refusal does not tell.
    pub(crate) fn describe(&self, txn: &Txn, reaped: Option<&str>) -> Option<Transaction> {
        self.0
            .is_some()
            .then(|| describe(txn, reaped.or_else(|| of_reaper(txn))))
    }

    pub(crate) fn tell(&self, transaction: &Transaction) {
        if let Some(observe) = &self.0 {
            observe(transaction);
        }
    }
}

impl fmt::Debug for TransactionObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TransactionObserver")
            .field(&self.0.is_some())
            .finish()
    }
}

/// The transactions in the log of a data directory whose server is stopped, in the order in
/// which they stand there. What the log begins with need not be the first there was.
///
/// # Errors
///
/// The disk's, and what makes a log unreadable.
pub async fn logged(
    disk: Arc<dyn Disk>,
    data_dir: &Path,
) -> Result<Vec<Transaction>, StorageError> {
    let dir = DataDir::open(disk, data_dir, data_dir).await?;
    let mut transactions = Vec::new();
    for (_, path) in dir.logs().await? {
        let Some(mut log) = LogFile::open(&dir.disk, &path).await? else {
            continue;
        };
        while let Ok(record) = log.next().await? {
            let txn = decode_txn(&record.payload);
            let txn = txn.map_err(|error| StorageError::damaged(&path, record.offset, error))?;
            transactions.push(describe(&txn, of_reaper(&txn)));
        }
    }
    Ok(transactions)
}

/// What the reaper wanted gone, where the transaction tells.
fn of_reaper(txn: &Txn) -> Option<&str> {
    match &txn.body {
        TxnBody::Change(Change::Delete {
            path,
            by_reaper: true,
        }) => Some(path),
        _ => None,
    }
}

fn describe(txn: &Txn, reaped: Option<&str>) -> Transaction {
    let err = match &txn.body {
        TxnBody::Error(error) => *error,
        TxnBody::FailedMulti { errors, .. } => errors.first().copied().unwrap_or(ErrorCode::Ok),
        TxnBody::CreateSession { .. }
        | TxnBody::CloseSession { .. }
        | TxnBody::Change(_)
        | TxnBody::SetAcl(_)
        | TxnBody::Reconfig(_)
        | TxnBody::Multi(_) => ErrorCode::Ok,
    };
    Transaction {
        zxid: txn.header.zxid,
        session: txn.header.client,
        cxid: txn.header.cxid,
        time_ms: txn.header.time_ms,
        op: op_of(&txn.body),
        err,
        path: reaped.map(str::to_owned),
        config: match &txn.body {
            TxnBody::Reconfig(set) => set.data.as_deref().map(text),
            _ => None,
        },
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

const fn op_of(body: &TxnBody) -> OpCode {
    match body {
        TxnBody::CreateSession { .. } => OpCode::CreateSession,
        TxnBody::CloseSession { .. } => OpCode::CloseSession,
        TxnBody::Change(Change::Create(create)) => create_op(create),
        TxnBody::Change(Change::Delete {
            by_reaper: true, ..
        }) => OpCode::DeleteContainer,
        TxnBody::Change(Change::Delete { .. }) => OpCode::Delete,
        TxnBody::Change(Change::SetData(_)) => OpCode::SetData,
        TxnBody::Change(Change::CheckVersion { .. }) => OpCode::Check,
        TxnBody::SetAcl(_) => OpCode::SetAcl,
        TxnBody::Multi(_) | TxnBody::FailedMulti { .. } => OpCode::Multi,
        TxnBody::Reconfig(_) => OpCode::Reconfig,
        TxnBody::Error(_) => OpCode::Error,
    }
}

const fn create_op(create: &CreateTxn) -> OpCode {
    match create.ephemeral {
        EphemeralType::Container => OpCode::CreateContainer,
        EphemeralType::Ttl { .. } => OpCode::CreateTtl,
        EphemeralType::Void | EphemeralType::Normal(_) if create.reply_stat => OpCode::Create2,
        EphemeralType::Void | EphemeralType::Normal(_) => OpCode::Create,
    }
}
