//! The task that does the disk work of a peer, in order: the log, the epochs, and whatever
//! replaces history. One sync is for everything that has come in during the one before.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zk_proto::{SessionId, Zxid};

use crate::net::storage::Storage;
use crate::net::{Shell, Spawner, Vital};
use crate::quorum::LearnerId;
use crate::quorum::zab::{EpochFile, Proposal};
use crate::storage::{
    Recovered, Recovery, Still, StorageError, install_snapshot, newest_snapshot_bytes, read_log,
    recover, truncate_log,
};
use crate::tree::{DataTree, SeededState};

/// Transactions in the log beside the newest snapshot, as a part of its size, above which a
/// snapshot is cheaper for a learner; `snapshotSizeFactor`.
const SNAPSHOT_SIZE_FACTOR: f64 = 0.33;

/// Work for the disk.
pub(super) enum DiskOp {
    /// Append to the log, to be synced with whatever else waits.
    Append(Proposal),
    /// Write an epoch file.
    PersistEpoch { file: EpochFile, epoch: i64 },
    /// Remember who is in the ensemble from now on.
    SetMembers {
        version: i64,
        text: String,
        /// It says where this member serves clients.
        has_client_addr: bool,
    },
    /// Remember who is to be in it.
    ProposeMembers { text: String },
    /// Read the log for a learner.
    ReadLog {
        learner: LearnerId,
        from: Zxid,
        through: Zxid,
    },
    /// Forget what comes after this.
    Truncate(Zxid),
    /// Replace everything.
    Install {
        zxid: Zxid,
        tree: Box<DataTree>,
        sessions: Vec<(SessionId, i32)>,
    },
    /// Say when everything before is done.
    Barrier(oneshot::Sender<()>),
}

/// What is done.
pub(super) enum DiskDone {
    /// The log is durable up to here.
    Appended(Zxid),
    /// An epoch file is durable.
    EpochPersisted(EpochFile),
    /// What was read; nothing if the log cannot serve the learner.
    LogRead {
        learner: LearnerId,
        log: Option<Vec<Proposal>>,
    },
    /// History as it is after a truncation; nothing if there is no such transaction.
    Truncated(Option<Box<Recovered>>),
    /// History is this snapshot.
    Installed(Box<Recovered>),
}

/// The way to the task and back. Neither queue has a bound of its own: a leader has as
/// many proposals under way as may be undecided, a learner as many bytes as it may keep
/// waiting, and there is one of everything else for each connection.
pub(super) struct Disk {
    ops: mpsc::UnboundedSender<DiskOp>,
    done: mpsc::UnboundedReceiver<DiskDone>,
}

impl Disk {
    /// Starts the task.
    pub(super) fn start(
        shell: &Arc<Shell>,
        (storage, zoo_cfg): (Storage, Option<PathBuf>),
        hashing: SeededState,
        spawner: &Spawner,
        stopped: &CancellationToken,
    ) -> Self {
        let (ops, asked) = mpsc::unbounded_channel();
        let (report, done) = mpsc::unbounded_channel();
        storage.begin_purging(shell, stopped, spawner);
        let task = DiskTask {
            shell: Arc::clone(shell),
            storage,
            zoo_cfg,
            hashing,
            spawner: spawner.clone(),
            stopped: stopped.clone(),
            report,
        };
        let run = crate::net::storage::unless(stopped.clone(), task.run(asked));
        spawner.spawn("zk-server log", Box::pin(run));
        Self { ops, done }
    }

    /// Puts something in line. A task that is gone has failed, which the shell knows.
    pub(super) fn ask(&self, op: DiskOp) {
        let _ = self.ops.send(op);
    }

    /// What is done next; `None` once the disk has failed. Cancel safe.
    pub(super) async fn done(&mut self) -> Option<DiskDone> {
        self.done.recv().await
    }

    /// Waits until everything that was asked is done. What has been reported of it is to be
    /// taken by [`reported`](Self::reported). False if the disk has failed.
    pub(super) async fn settled(&self) -> bool {
        let (settled, wait) = oneshot::channel();
        self.ask(DiskOp::Barrier(settled));
        wait.await.is_ok()
    }

    /// What has been reported and not been looked at.
    pub(super) fn reported(&mut self) -> Option<DiskDone> {
        self.done.try_recv().ok()
    }
}

struct DiskTask {
    shell: Arc<Shell>,
    storage: Storage,
    /// What is kept up to date.
    zoo_cfg: Option<PathBuf>,
    hashing: SeededState,
    spawner: Spawner,
    stopped: CancellationToken,
    report: mpsc::UnboundedSender<DiskDone>,
}

impl DiskTask {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<DiskOp>) {
        let _vital = Vital {
            shell: Arc::clone(&self.shell),
            stage: "writing the log",
        };
        let mut next = None;
        loop {
            let op = match next.take() {
                Some(op) => op,
                None => match asked.recv().await {
                    Some(op) => op,
                    None => return,
                },
            };
            self.shell.resumed().await;
            match self.carry_out(op, &mut asked).await {
                Ok(following) => next = following,
                Err(error) => return self.shell.storage_failed(error),
            }
        }
    }

    /// Returns an operation that was taken out of the queue and not done.
    async fn carry_out(
        &mut self,
        op: DiskOp,
        asked: &mut mpsc::UnboundedReceiver<DiskOp>,
    ) -> Result<Option<DiskOp>, StorageError> {
        match op {
            DiskOp::Append(proposal) => return self.append(proposal, asked).await,
            DiskOp::PersistEpoch { file, epoch } => {
                let dir = self.storage.dir();
                match file {
                    EpochFile::Accepted => dir.set_accepted_epoch(epoch).await?,
                    EpochFile::Current => dir.set_current_epoch(epoch).await?,
                }
                self.tell(DiskDone::EpochPersisted(file));
            }
            DiskOp::SetMembers {
                version,
                text,
                has_client_addr,
            } => self.set_members(version, &text, has_client_addr).await?,
            DiskOp::ProposeMembers { text } => self.propose_members(&text).await,
            DiskOp::ReadLog {
                learner,
                from,
                through,
            } => self.begin_reading(learner, from, through),
            DiskOp::Truncate(zxid) => {
                let recovered = self.truncate(zxid).await?;
                self.tell(DiskDone::Truncated(recovered));
            }
            DiskOp::Install {
                zxid,
                tree,
                sessions,
            } => {
                let recovered = self.install(zxid, *tree, sessions).await?;
                self.tell(DiskDone::Installed(Box::new(recovered)));
            }
            DiskOp::Barrier(settled) => drop(settled.send(())),
        }
        Ok(None)
    }

    /// In the `zoo.cfg`, if there is one that can be written, or in the data directory.
    async fn set_members(
        &self,
        version: i64,
        text: &str,
        has_client_addr: bool,
    ) -> Result<(), StorageError> {
        let dir = self.storage.dir();
        if let Some(zoo_cfg) = &self.zoo_cfg {
            let written = dir.write_members(zoo_cfg, version, text, has_client_addr);
            match written.await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "the members are kept in the data directory");
                }
            }
        }
        dir.set_members(version, text).await
    }

    /// For Apache: ours finds it in its history as well.
    async fn propose_members(&self, text: &str) {
        if let Some(zoo_cfg) = &self.zoo_cfg
            && let Err(error) = self.storage.dir().write_next(zoo_cfg, text).await
        {
            tracing::warn!(%error, "the configuration that is proposed is in the log alone");
        }
    }

    /// Everything that waits to be appended, up to what one sync should be for.
    async fn append(
        &mut self,
        first: Proposal,
        asked: &mut mpsc::UnboundedReceiver<DiskOp>,
    ) -> Result<Option<DiskOp>, StorageError> {
        let mut last = first.zxid;
        self.storage.append(first.zxid, &first.payload);
        let mut following = None;
        while !self.storage.is_full() && following.is_none() {
            match asked.try_recv() {
                Ok(DiskOp::Append(proposal)) => {
                    last = proposal.zxid;
                    self.storage.append(proposal.zxid, &proposal.payload);
                }
                Ok(other) => following = Some(other),
                Err(_) => break,
            }
        }
        self.storage.flush(&*self.shell.env).await?;
        self.tell(DiskDone::Appended(last));
        let storage = &mut self.storage;
        storage
            .snapshot_if_due(&self.shell, &self.stopped, &self.spawner)
            .await?;
        Ok(following)
    }

    /// Reads beside the writing: what is asked for has been written and only grows.
    fn begin_reading(&self, learner: LearnerId, from: Zxid, through: Zxid) {
        let (dir, report) = (self.storage.dir().clone(), self.report.clone());
        let read = async move {
            let limit = match newest_snapshot_bytes(&dir).await {
                Ok(size) => size.map(|size| (size as f64 * SNAPSHOT_SIZE_FACTOR) as u64),
                Err(error) => {
                    tracing::warn!(%error, "cannot tell the size of the newest snapshot");
                    Some(0)
                }
            };
            let log = match read_log(&dir, from, through, limit).await {
                Ok(log) => log,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the log for a learner, it gets a snapshot");
                    None
                }
            };
            let log = log.map(|log| {
                let proposals = log.into_iter();
                proposals
                    .map(|(zxid, payload)| Proposal { zxid, payload })
                    .collect()
            });
            let _ = report.send(DiskDone::LogRead { learner, log });
        };
        let read = crate::net::storage::unless(self.stopped.clone(), read);
        self.spawner.spawn("zk-server read log", Box::pin(read));
    }

    async fn truncate(&mut self, zxid: Zxid) -> Result<Option<Box<Recovered>>, StorageError> {
        let _alone = self.storage.begin_replacing().await?;
        if !truncate_log(self.storage.dir(), zxid).await? {
            return Ok(None);
        }
        match recover(self.storage.dir(), self.hashing).await? {
            Recovery::Data(recovered) => Ok(Some(recovered)),
            Recovery::Empty => {
                let tree = DataTree::new(self.hashing);
                let recovered = self.replace(Zxid::ZERO, tree, Vec::new()).await?;
                Ok(Some(Box::new(recovered)))
            }
        }
    }

    async fn install(
        &mut self,
        zxid: Zxid,
        tree: DataTree,
        sessions: Vec<(SessionId, i32)>,
    ) -> Result<Recovered, StorageError> {
        let _alone = self.storage.begin_replacing().await?;
        self.replace(zxid, tree, sessions).await
    }

    async fn replace(
        &self,
        zxid: Zxid,
        mut tree: DataTree,
        sessions: Vec<(SessionId, i32)>,
    ) -> Result<Recovered, StorageError> {
        tree.set_last_processed(zxid);
        let dir = self.storage.dir();
        install_snapshot(dir, zxid, &mut Still(&tree, sessions)).await?;
        drop(tree);
        // As after any start: ephemerals whose session is not in the snapshot are gone.
        match recover(dir, self.hashing).await? {
            Recovery::Data(recovered) => Ok(*recovered),
            Recovery::Empty => Ok(Recovered::nothing(DataTree::new(self.hashing))),
        }
    }

    fn tell(&self, done: DiskDone) {
        // The peer has stopped, and nobody wants to know.
        let _ = self.report.send(done);
    }
}
