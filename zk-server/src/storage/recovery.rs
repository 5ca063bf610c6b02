//! From files to a tree: the newest snapshot that is valid, and the log from there on.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use bytes::Bytes;
use zk_env::OpenMode;
use zk_proto::{SessionId, Zxid};

use super::compression::decompress;
use super::data_dir::{DataDir, SnapshotFile};
use super::error::StorageError;
use super::install::finish_replacement;
use super::log_file::{LogEnd, LogFile, Record};
use super::snapshot_format::{Snapshot, decode_snapshot};
use crate::pipeline::apply;
use crate::tree::{DataTree, NoWatchers, SeededState, TreeDigest, Watches};
use crate::txn::{Txn, TxnBody, decode_txn};

/// Transactions that a leader keeps to bring others up to date, `commitLogCount`.
const COMMITTED_LIMIT: usize = 500;

/// What a server goes on with.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tree: DataTree,
    /// Sessions that have not ended, with their timeouts in milliseconds.
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// The last transaction that is durable.
    pub(crate) last_zxid: Zxid,
    /// The last transactions up to `last_zxid`, oldest first and without a gap, at most 500.
    pub(crate) committed: VecDeque<(Zxid, Bytes)>,
    /// How many transactions came from the log.
    pub(crate) replayed: u64,
    /// The first transaction after which the tree was not what its maker predicted.
    #[cfg_attr(not(test), allow(dead_code, reason = "the log has it"))]
    pub(crate) digest_mismatch: Option<Zxid>,
}

/// The last transaction of who has nothing and may have had more: it does not vote, and what it
/// acknowledges before it has been synchronized counts for nothing.
pub(crate) const NO_HISTORY: Zxid = Zxid(-1);

/// What a directory has to begin with.
#[derive(Debug)]
pub(crate) enum Recovery {
    /// Neither snapshot nor log.
    Empty,
    /// Something was stored.
    Data(Box<Recovered>),
}

/// Reads what is stored, drops what was never written as a whole from the end of the log,
/// and makes the rest durable. `hashing` keys the tree.
///
/// # Errors
///
/// The disk's, and whatever makes it impossible to tell what was acknowledged: a damaged
/// log, a gap in it, a log without a snapshot, no snapshot that is valid.
pub(crate) async fn recover(dir: &DataDir, hashing: SeededState) -> Result<Recovery, StorageError> {
    finish_replacement(dir).await?;
    dir.remove_unfinished().await?;
    let snapshots = dir.snapshots().await?;
    if snapshots.is_empty() {
        return expect_no_log(dir).await;
    }
    let snapshot = load_newest(dir, &snapshots, hashing).await?;
    let mut replay = Replay::new(snapshot, hashing);
    replay_logs(dir, &mut replay).await?;
    Ok(Recovery::Data(Box::new(replay.finish())))
}

/// Without a snapshot there must be no transaction either.
async fn expect_no_log(dir: &DataDir) -> Result<Recovery, StorageError> {
    for (_, path) in dir.logs().await? {
        if let Some(mut log) = LogFile::open(&dir.disk, &path).await?
            && log.next().await?.is_ok()
        {
            return Err(StorageError::NoSnapshot {
                dir: dir.snap_dir(),
            });
        }
        dir.remove(&path).await?;
    }
    Ok(Recovery::Empty)
}

async fn load_newest(
    dir: &DataDir,
    snapshots: &[SnapshotFile],
    hashing: SeededState,
) -> Result<Snapshot, StorageError> {
    let mut newest_reason = None;
    for snapshot in snapshots {
        match load(dir, snapshot, hashing).await? {
            Ok(loaded) => return Ok(loaded),
            Err(reason) => {
                let path = snapshot.path.display();
                tracing::error!(%path, reason, "not a valid snapshot, trying the one before it");
                newest_reason.get_or_insert(reason);
            }
        }
    }
    Err(StorageError::NoValidSnapshot {
        dir: dir.snap_dir(),
        reason: newest_reason.unwrap_or_default(),
    })
}

/// A snapshot, or what is wrong with it.
pub(super) async fn load(
    dir: &DataDir,
    snapshot: &SnapshotFile,
    hashing: SeededState,
) -> Result<Result<Snapshot, String>, StorageError> {
    let bytes = read_whole(dir, &snapshot.path).await?;
    let plain = match decompress(bytes, snapshot.compression) {
        Ok(plain) => plain,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let decoded = decode_snapshot(&plain, snapshot.zxid, hashing);
    Ok(decoded.map_err(|error| error.to_string()))
}

async fn read_whole(dir: &DataDir, path: &Path) -> Result<Bytes, StorageError> {
    let opened = dir.disk.open(path, OpenMode::Existing).await;
    let file = opened.map_err(StorageError::disk("open", path))?;
    let read = file.read_at(0, usize::MAX).await;
    read.map_err(StorageError::disk("read", path))
}

/// Whether the snapshot can be read.
pub(super) async fn is_valid(dir: &DataDir, snapshot: &SnapshotFile) -> Result<bool, StorageError> {
    Ok(load(dir, snapshot, SeededState(0)).await?.is_ok())
}

/// Replays what the snapshot does not have. Only the newest file is cut: Apache leaves a
/// torn end where it is and goes on in another file, and whether anything is missing
/// between the two, the zxids tell.
async fn replay_logs(dir: &DataDir, replay: &mut Replay) -> Result<(), StorageError> {
    let logs = dir.logs().await?;
    let begin = first_needed(&logs, replay.tree.last_processed());
    let last_path = logs.last().map(|(_, path)| path);
    let mut newest = None;
    for (_, path) in logs.get(begin..).unwrap_or_default() {
        let Some(mut log) = LogFile::open(&dir.disk, path).await? else {
            if Some(path) != last_path {
                LogFile::expect_blank(&dir.disk, path).await?;
            }
            // A crash came before its first transaction.
            dir.remove(path).await?;
            continue;
        };
        let end = loop {
            match log.next().await? {
                Ok(record) => replay.record(path, record)?,
                Err(end) => break end,
            }
        };
        if log.is_empty() {
            dir.remove(path).await?;
        } else {
            newest = Some((log, end));
        }
    }
    match newest {
        Some((newest, LogEnd::Clean)) => newest.sync().await?,
        Some((newest, LogEnd::Torn)) => newest.cut().await?,
        None => {}
    }
    dir.sync_dir(&dir.log_dir()).await
}

/// The index of the newest log that begins at or before `zxid`, or of the oldest.
pub(super) fn first_needed<P>(logs: &[(Zxid, P)], zxid: Zxid) -> usize {
    logs.iter()
        .rposition(|(first, _)| *first <= zxid)
        .unwrap_or_default()
}

/// A tree that catches up with the log.
struct Replay {
    tree: DataTree,
    watches: Watches,
    sessions: BTreeMap<SessionId, i32>,
    committed: VecDeque<(Zxid, Bytes)>,
    replayed: u64,
    /// The snapshot may hold effects of transactions up to this one, and digests mean
    /// nothing before it.
    fuzzy_until: Option<(Zxid, TreeDigest)>,
    digest_mismatch: Option<Zxid>,
}

impl Replay {
    fn new(snapshot: Snapshot, hashing: SeededState) -> Self {
        let mut replay = Self {
            tree: snapshot.tree,
            watches: Watches::new(hashing),
            sessions: snapshot.sessions.into_iter().collect(),
            committed: VecDeque::new(),
            replayed: 0,
            fuzzy_until: snapshot.digest,
            digest_mismatch: None,
        };
        let zxid = replay.tree.last_processed();
        replay.check_digest(zxid, None);
        replay
    }

    fn record(&mut self, path: &Path, record: Record) -> Result<(), StorageError> {
        let Record {
            zxid,
            payload,
            offset,
        } = record;
        let last = self.tree.last_processed();
        if zxid <= Zxid::ZERO {
            return Err(StorageError::damaged(
                path,
                offset,
                format!("no transaction is {zxid}"),
            ));
        }
        if zxid <= last {
            // Older than the snapshot, as a rule.
            self.keep(zxid, &payload);
            return Ok(());
        }
        if !follows(last, zxid) {
            return Err(StorageError::Gap {
                path: path.to_owned(),
                after: last,
                found: zxid,
            });
        }
        let txn =
            decode_txn(&payload).map_err(|error| StorageError::damaged(path, offset, error))?;
        self.keep(zxid, &payload);
        self.apply(txn);
        Ok(())
    }

    fn keep(&mut self, zxid: Zxid, payload: &[u8]) {
        let last = self.committed.back().map(|(last, _)| *last);
        if last.is_some_and(|last| zxid <= last) {
            return;
        }
        if last.is_some_and(|last| !follows(last, zxid)) {
            // A snapshot has had what is missing in the log.
            self.committed.clear();
        }
        if self.committed.len() == COMMITTED_LIMIT {
            self.committed.pop_front();
        }
        self.committed
            .push_back((zxid, Bytes::copy_from_slice(payload)));
    }

    fn apply(&mut self, txn: Txn) {
        let (header, digest) = (txn.header, txn.digest);
        match &txn.body {
            TxnBody::CreateSession { timeout_ms } => {
                self.sessions.insert(header.client, *timeout_ms);
            }
            TxnBody::CloseSession { .. } => {
                self.sessions.remove(&header.client);
            }
            TxnBody::Change(_)
            | TxnBody::SetAcl(_)
            | TxnBody::Multi(_)
            | TxnBody::FailedMulti { .. }
            | TxnBody::Reconfig(_)
            | TxnBody::Error(_) => {}
        }
        // What fails to apply had its effect before the snapshot was written.
        let _ = apply(txn, &mut self.tree, &mut self.watches, &mut NoWatchers);
        self.replayed += 1;
        self.check_digest(header.zxid, digest);
    }

    fn check_digest(&mut self, zxid: Zxid, predicted: Option<TreeDigest>) {
        let expected = match self.fuzzy_until {
            Some((until, _)) if zxid < until => None,
            Some((until, digest)) => {
                self.fuzzy_until = None;
                (zxid == until).then_some(digest)
            }
            None => predicted,
        };
        let actual = self.tree.digest();
        if let Some(expected) = expected
            && expected != actual
            && self.digest_mismatch.is_none()
        {
            tracing::error!(%zxid, ?expected, ?actual, "the tree is not what it was when this transaction was made");
            self.digest_mismatch = Some(zxid);
        }
    }

    fn finish(mut self) -> Recovered {
        // Ephemerals whose session is not there have lost it before a snapshot was
        // written that still had them.
        let orphans: Vec<_> = self
            .tree
            .ephemerals()
            .by_session()
            .map(|(session, _)| session)
            .filter(|session| !self.sessions.contains_key(session))
            .collect();
        for session in orphans {
            self.tree.kill_session(session);
        }
        let last_zxid = self.tree.last_processed();
        if self
            .committed
            .back()
            .is_some_and(|(zxid, _)| *zxid != last_zxid)
        {
            // The log ends before the snapshot does.
            self.committed.clear();
        }
        Recovered {
            last_zxid,
            tree: self.tree,
            sessions: self.sessions,
            committed: self.committed,
            replayed: self.replayed,
            digest_mismatch: self.digest_mismatch,
        }
    }
}

/// Whether `next` is the next zxid, or the first of a later epoch.
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    next.0 == last.0 + 1 || (next.epoch() > last.epoch() && next.counter() <= 1)
}
