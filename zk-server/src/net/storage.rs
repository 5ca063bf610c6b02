//! The tasks that store: one writes the log and says what is committed, others take
//! snapshots and delete old files.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use zk_env::{Env, EnvRng, sleep_until};
use zk_proto::Zxid;

use super::fail_stop::Vital;
use super::listen::Spawner;
use super::shell::Shell;
use crate::config::{ServerConfig, StorageConfig};
use crate::storage::{
    DataDir, LogSettings, NO_HISTORY, Recovered, Recovery, SnapshotBeginning, SnapshotSource,
    Still, StorageError, TxnLog, purge, recover, write_snapshot,
};
use crate::tree::{DataTree, SeededState};
use crate::txn::encode_txn;

/// What a server stores with.
#[derive(Debug)]
pub(crate) struct Storage {
    dir: DataDir,
    log: TxnLog,
    config: StorageConfig,
    pace: SnapshotPace,
    /// Who writes or deletes files beside the log is alone in that.
    housekeeping: Arc<Semaphore>,
}

/// Opens the data directories and reads what is stored. `seed` keys the tree.
///
/// # Errors
///
/// Whatever makes it impossible to go on with all that was acknowledged.
pub(crate) async fn open(
    config: &ServerConfig,
    data_dir: &Path,
    env: &Arc<dyn Env>,
    seed: u64,
    vacancy: Vacancy,
) -> Result<(Storage, Recovered), StorageError> {
    let log_dir = config.data_log_dir.as_deref().unwrap_or(data_dir);
    let mut dir = DataDir::open(env.disk(), data_dir, log_dir).await?;
    lock(&mut dir, env).await?;
    let hashing = SeededState(seed);
    let recovered = match recover(&dir, hashing).await? {
        Recovery::Data(recovered) => *recovered,
        Recovery::Empty if config.storage.autocreate || dir.may_initialize().await? => {
            initialize(&dir, hashing).await?
        }
        Recovery::Empty => vacancy.filled(hashing)?,
    };
    tracing::info!(
        dir = %data_dir.display(),
        zxid = %recovered.last_zxid,
        replayed = recovered.replayed,
        sessions = recovered.sessions.len(),
        "recovered"
    );
    let settings = LogSettings {
        preallocate: config.storage.preallocate_bytes,
        force_sync: config.storage.force_sync,
    };
    let storage = Storage {
        log: TxnLog::new(env.disk(), dir.log_dir(), settings),
        dir,
        config: config.storage,
        pace: SnapshotPace::new(config.storage, env.rng("zk-server snapshots")),
        housekeeping: Arc::new(Semaphore::new(1)),
    };
    Ok((storage, recovered))
}

/// Waits a little for a server that is about to end: one that was dropped and not stopped,
/// or another process that was told to.
async fn lock(dir: &mut DataDir, env: &Arc<dyn Env>) -> Result<(), StorageError> {
    let mut timer = env.timer();
    let until = env.now() + LOCK_PATIENCE;
    loop {
        match dir.lock().await {
            Err(StorageError::InUse { .. }) if env.now() < until => {
                sleep_until(&mut *timer, env.now() + LOCK_POLL).await;
            }
            locked => return locked,
        }
    }
}

/// As long as a stop may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What to do about a directory that is empty and may not be begun with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vacancy {
    /// A server that stands alone has nobody to ask for what was in it.
    Refused,
    /// A member gets it from a leader.
    FilledByLeader,
}

impl Vacancy {
    /// Nothing at all: who has that for its last transaction never votes, for it may have
    /// forgotten what it has acknowledged.
    fn filled(self, hashing: SeededState) -> Result<Recovered, StorageError> {
        match self {
            Self::Refused => Err(StorageError::NotInitialized),
            Self::FilledByLeader => {
                tracing::warn!("the data directory is empty: no vote until a leader has filled it");
                let mut recovered = Recovered::nothing(DataTree::new(hashing));
                recovered.last_zxid = NO_HISTORY;
                Ok(recovered)
            }
        }
    }
}

/// Begins with nothing: a snapshot of it comes first, so that a log that
/// has lost its snapshot is told from one that never had any.
async fn initialize(dir: &DataDir, hashing: SeededState) -> Result<Recovered, StorageError> {
    let tree = DataTree::new(hashing);
    write_snapshot(dir, &mut Still(&tree, Vec::new())).await?;
    dir.initialized().await?;
    Ok(Recovered::nothing(tree))
}

/// When the next snapshot is due: after half of what the configuration says and a random
/// part of the other half, so that the servers of an ensemble do not stop for breath
/// together.
#[derive(Debug)]
struct SnapshotPace {
    config: StorageConfig,
    rng: EnvRng,
    /// Transactions in the present log.
    txns: u64,
    txns_due: u64,
    bytes_due: u64,
}

impl SnapshotPace {
    fn new(config: StorageConfig, rng: EnvRng) -> Self {
        let mut pace = Self {
            config,
            rng,
            txns: 0,
            txns_due: 0,
            bytes_due: 0,
        };
        pace.restart();
        pace
    }

    fn restart(&mut self) {
        self.txns_due = self.draw(self.config.snap_count.into());
        self.bytes_due = match self.config.snap_size_limit_bytes {
            Some(limit) => self.draw(limit),
            None => u64::MAX,
        };
        self.txns = 0;
    }

    fn draw(&mut self, limit: u64) -> u64 {
        limit / 2 + self.rng.below((limit / 2).max(1))
    }

    fn is_due(&self, log_bytes: u64) -> bool {
        self.txns > self.txns_due || log_bytes > self.bytes_due
    }
}

impl Shell {
    /// What the server stores with, if it does; to be given back when a run ends.
    pub(super) fn take_storage(&self) -> Option<Storage> {
        let mut storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.take()
    }
}

/// Writes the log until stopped, and what is there by then. Nothing is committed before it
/// is durable, and one sync is for everything that has come in during the one before it.
pub(super) async fn run(
    shell: Arc<Shell>,
    mut storage: Storage,
    stopped: CancellationToken,
    spawner: Spawner,
) {
    let _vital = Vital {
        shell: Arc::clone(&shell),
        stage: "writing the log",
    };
    storage.begin_purging(&shell, &stopped, &spawner);
    loop {
        let is_last = tokio::select! {
            biased;
            () = shell.appended.notified() => false,
            () = stopped.cancelled() => true,
        };
        if !is_last {
            shell.resumed().await;
        }
        match storage.write(&shell).await {
            Ok(()) => {}
            Err(error) => return shell.storage_failed(error),
        }
        if is_last {
            break;
        }
        if let Err(error) = storage.snapshot_if_due(&shell, &stopped, &spawner).await {
            return shell.storage_failed(error);
        }
    }
    *shell.storage.lock().unwrap_or_else(PoisonError::into_inner) = Some(storage);
}

/// Does the work, unless stopped before it is done.
pub(crate) async fn unless(stopped: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = stopped.cancelled() => {}
        () = work => {}
    }
}

impl Storage {
    /// Makes durable and commits what there is.
    async fn write(&mut self, shell: &Shell) -> Result<(), StorageError> {
        let mut payload = BytesMut::new();
        loop {
            let last = shell.take_txns(|txn| {
                payload.clear();
                encode_txn(txn, &mut payload);
                self.append(txn.header.zxid, &payload);
                !self.is_full()
            });
            let Some(last) = last else {
                return Ok(());
            };
            self.flush(&*shell.env).await?;
            shell.committed(last);
        }
    }

    /// Appends a transaction, which is not durable before the next flush.
    pub(crate) fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        self.log.append(zxid, payload);
        self.pace.txns += 1;
    }

    /// Whether nothing more should be appended before a flush.
    pub(crate) fn is_full(&self) -> bool {
        self.log.is_full()
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn flush(&mut self, env: &dyn Env) -> Result<(), StorageError> {
        let began = env.now();
        self.log.flush().await?;
        let took = env.now().since(began);
        if took > self.config.fsync_warning {
            tracing::warn!(
                ?took,
                "syncing the log was slow, and everybody has waited for it"
            );
        }
        Ok(())
    }

    /// Ends the log's file and waits for snapshots and purges, so that history can be
    /// changed for as long as the permit lives.
    pub(crate) async fn begin_replacing(&mut self) -> Result<Housekeeping, StorageError> {
        self.log.roll().await?;
        Ok(alone(&self.housekeeping).await)
    }

    /// The directories.
    pub(crate) const fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Deletes old files from time to time, if that was asked for.
    pub(crate) fn begin_purging(
        &self,
        shell: &Arc<Shell>,
        stopped: &CancellationToken,
        spawner: &Spawner,
    ) {
        if let Some(interval) = self.config.purge_interval {
            let purging = purge_often(
                Arc::clone(shell),
                self.dir.clone(),
                self.config.snap_retain_count,
                interval,
                Arc::clone(&self.housekeeping),
            );
            spawner.spawn(
                "zk-server purge",
                Box::pin(unless(stopped.clone(), purging)),
            );
        }
    }

    /// Begins another file or a snapshot, if there is enough in the log.
    pub(crate) async fn snapshot_if_due(
        &mut self,
        shell: &Arc<Shell>,
        stopped: &CancellationToken,
        spawner: &Spawner,
    ) -> Result<(), StorageError> {
        let log_bytes = self.log.file_len();
        if self
            .config
            .log_size_limit_bytes
            .is_some_and(|limit| log_bytes > limit)
        {
            self.log.roll().await?;
        }
        if !self.pace.is_due(log_bytes) {
            return Ok(());
        }
        self.log.roll().await?;
        self.pace.restart();
        let Ok(permit) = Arc::clone(&self.housekeeping).try_acquire_owned() else {
            tracing::warn!("a snapshot is due while the last is still being written");
            return Ok(());
        };
        let taking = take_snapshot(Arc::clone(shell), self.dir.clone(), permit);
        spawner.spawn(
            "zk-server snapshot",
            Box::pin(unless(stopped.clone(), taking)),
        );
        Ok(())
    }
}

/// While it lives nobody else writes or deletes files beside the log; nothing, if the
/// semaphore was closed, which nobody does.
pub(crate) type Housekeeping = Option<OwnedSemaphorePermit>;

async fn alone(housekeeping: &Arc<Semaphore>) -> Housekeeping {
    Arc::clone(housekeeping).acquire_owned().await.ok()
}

/// One that fails costs nothing but time at the next start.
async fn take_snapshot(shell: Arc<Shell>, dir: DataDir, _alone: OwnedSemaphorePermit) {
    let probe = shell.probe.clone();
    match write_snapshot(&dir, &mut Serving(shell)).await {
        Ok(zxid) => {
            probe.reached("server: snapshot written");
            tracing::info!(%zxid, "snapshot written");
        }
        Err(error) => {
            probe.reached("server: snapshot failed");
            tracing::error!(%error, "snapshot not written, those before it are kept");
        }
    }
}

/// The tree of a server that serves.
struct Serving(Arc<Shell>);

impl SnapshotSource for Serving {
    fn begin(&mut self) -> SnapshotBeginning {
        self.0
            .lock_for("beginning a snapshot")
            .zks
            .snapshot_beginning()
    }

    fn with_tree(&mut self, look: &mut dyn FnMut(&DataTree)) {
        look(self.0.lock_for("writing a snapshot").zks.tree());
    }
}

async fn purge_often(
    shell: Arc<Shell>,
    dir: DataDir,
    retain: usize,
    interval: Duration,
    housekeeping: Arc<Semaphore>,
) {
    let mut timer = shell.env.timer();
    loop {
        let alone = alone(&housekeeping).await;
        match purge(&dir, retain).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "old snapshots and logs deleted"),
            Err(error) => tracing::warn!(%error, "old snapshots and logs not deleted"),
        }
        drop(alone);
        sleep_until(&mut *timer, shell.env.now() + interval).await;
    }
}

impl Recovered {
    /// Of a directory that begins with nothing.
    pub(crate) fn nothing(tree: DataTree) -> Self {
        Self {
            tree,
            sessions: Default::default(),
            last_zxid: Zxid::ZERO,
            committed: Default::default(),
            replayed: 0,
            digest_mismatch: None,
        }
    }
}
