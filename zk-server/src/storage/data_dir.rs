//! The directories of a server's data, and what lies in them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zk_env::{Disk, Lock, OpenMode};
use zk_proto::Zxid;

use super::error::StorageError;
use super::names::{
    Compression, VERSION_DIR, is_unfinished, log_zxid, replacing_zxid, snapshot_zxid,
};

/// `dataDir` and `dataLogDir`.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    pub(crate) disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    pub(super) data_log_dir: PathBuf,
    /// Those of the directories; nobody else uses them while a clone of this is left.
    locks: Vec<Arc<dyn Lock>>,
}

/// A snapshot by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotFile {
    pub(crate) zxid: Zxid,
    pub(crate) compression: Compression,
    pub(crate) path: PathBuf,
}

impl SnapshotFile {
    pub(super) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }
}

impl DataDir {
    /// Makes what is missing, durably.
    ///
    /// # Errors
    ///
    /// The disk's; `Misplaced` for logs among snapshots or the other way round.
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        data_log_dir: &Path,
    ) -> Result<Self, StorageError> {
        let dir = Self {
            disk,
            data_dir: data_dir.to_owned(),
            data_log_dir: data_log_dir.to_owned(),
            locks: Vec::new(),
        };
        dir.make(data_dir, &dir.snap_dir()).await?;
        if data_log_dir != data_dir {
            dir.make(data_log_dir, &dir.log_dir()).await?;
            dir.expect_none(&dir.log_dir(), |name| snapshot_zxid(name).is_some())
                .await?;
            dir.expect_none(&dir.snap_dir(), |name| log_zxid(name).is_some())
                .await?;
        }
        Ok(dir)
    }

    /// Keeps other servers out, as long as they ask: Apache does not.
    ///
    /// # Errors
    ///
    /// `InUse` if another one has a directory, and the disk's.
    pub(crate) async fn lock(&mut self) -> Result<(), StorageError> {
        let mut dirs = vec![&self.data_dir];
        if self.data_log_dir != self.data_dir {
            dirs.push(&self.data_log_dir);
        }
        let mut locks: Vec<Arc<dyn Lock>> = Vec::new();
        for dir in dirs {
            let path = dir.join(LOCK_FILE);
            match self.disk.lock(&path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(StorageError::InUse { dir: dir.clone() });
                }
                locked => {
                    locks.push(locked.map_err(StorageError::disk("lock", &path))?.into());
                }
            }
        }
        self.locks = locks;
        Ok(())
    }

    /// `dataDir` itself.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where snapshots and epochs are.
    pub(crate) fn snap_dir(&self) -> PathBuf {
        self.data_dir.join(VERSION_DIR)
    }

    /// Where the log is.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.data_log_dir.join(VERSION_DIR)
    }

    async fn make(&self, dir: &Path, inner: &Path) -> Result<(), StorageError> {
        let made = self.disk.create_dir_all(inner).await;
        made.map_err(StorageError::disk("create", inner))?;
        // Any of those above may have been made, too.
        for above in dir.ancestors() {
            let is_here = above == Path::new("");
            let above = if is_here { Path::new(".") } else { above };
            match self.disk.sync_dir(above).await {
                // Nothing of ours can have been made in there.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(StorageError::disk("sync", above))?,
            }
        }
        Ok(())
    }

    pub(crate) async fn sync_dir(&self, dir: &Path) -> Result<(), StorageError> {
        let synced = self.disk.sync_dir(dir).await;
        synced.map_err(StorageError::disk("sync", dir))
    }

    async fn expect_none(
        &self,
        dir: &Path,
        is_misplaced: impl Fn(&std::ffi::OsStr) -> bool,
    ) -> Result<(), StorageError> {
        let names = self.list(dir).await?;
        match names.iter().find(|name| is_misplaced(name)) {
            Some(name) => Err(StorageError::Misplaced {
                path: dir.join(name),
            }),
            None => Ok(()),
        }
    }

    pub(super) async fn list(&self, dir: &Path) -> Result<Vec<std::ffi::OsString>, StorageError> {
        let listed = self.disk.list(dir).await;
        listed.map_err(StorageError::disk("list", dir))
    }

    /// Snapshots that were finished, the newest first.
    pub(crate) async fn snapshots(&self) -> Result<Vec<SnapshotFile>, StorageError> {
        let dir = self.snap_dir();
        let names = self.list(&dir).await?;
        let mut snapshots: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let (zxid, compression) = snapshot_zxid(name)?;
                let path = dir.join(name);
                Some(SnapshotFile {
                    zxid,
                    compression,
                    path,
                })
            })
            .collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.zxid));
        Ok(snapshots)
    }

    /// Files of the log with the zxids they begin with, the oldest first.
    pub(crate) async fn logs(&self) -> Result<Vec<(Zxid, PathBuf)>, StorageError> {
        let dir = self.log_dir();
        let names = self.list(&dir).await?;
        let mut logs: Vec<_> = names
            .iter()
            .filter_map(|name| Some((log_zxid(name)?, dir.join(name))))
            .collect();
        logs.sort();
        Ok(logs)
    }

    /// Snapshots that are to replace everything else; there is one at most.
    pub(super) async fn replacements(&self) -> Result<Vec<(Zxid, PathBuf)>, StorageError> {
        let dir = self.snap_dir();
        let names = self.list(&dir).await?;
        let replacements = names
            .iter()
            .filter_map(|name| Some((replacing_zxid(name)?, dir.join(name))));
        Ok(replacements.collect())
    }

    /// Snapshots that were never finished.
    pub(crate) async fn remove_unfinished(&self) -> Result<(), StorageError> {
        let dir = self.snap_dir();
        for name in self.list(&dir).await? {
            if is_unfinished(&name) {
                self.remove(&dir.join(&name)).await?;
            }
        }
        Ok(())
    }

    /// Durable once the directory of `to` has been synced.
    pub(super) async fn rename(&self, from: &Path, to: &Path) -> Result<(), StorageError> {
        let renamed = self.disk.rename(from, to).await;
        renamed.map_err(StorageError::disk("rename", from))
    }

    pub(crate) async fn remove(&self, path: &Path) -> Result<(), StorageError> {
        match self.disk.remove(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StorageError::disk("remove", path)),
        }
    }

    /// The whole of a small file, or nothing if it is not there.
    pub(crate) async fn read_small(&self, path: &Path) -> Result<Option<Bytes>, StorageError> {
        self.read_up_to(path, SMALL).await
    }

    /// The first so many bytes of a file, or nothing if it is not there.
    pub(super) async fn read_up_to(
        &self,
        path: &Path,
        limit: usize,
    ) -> Result<Option<Bytes>, StorageError> {
        let file = match self.disk.open(path, OpenMode::Existing).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StorageError::disk("open", path))?,
        };
        let bytes = file.read_at(0, limit).await;
        bytes.map(Some).map_err(StorageError::disk("read", path))
    }

    /// A number as text, with nothing but blanks around it.
    pub(crate) async fn read_number(&self, path: &Path) -> Result<Option<i64>, StorageError> {
        let Some(bytes) = self.read_small(path).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(StorageError::NotANumber {
                path: path.to_owned(),
                text: text.chars().take(20).collect(),
            }),
        }
    }

    /// Puts `bytes` into the file `name` of `dir` in one step: after a crash it is the old
    /// one or the new one, and it is the new one once this returns.
    pub(crate) async fn replace(
        &self,
        dir: &Path,
        name: &str,
        bytes: Bytes,
    ) -> Result<(), StorageError> {
        let (path, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
        let opened = self.disk.open(&temporary, OpenMode::Create).await;
        let file = opened.map_err(StorageError::disk("create", &temporary))?;
        let written = async {
            file.truncate(0).await?;
            file.write_at(0, bytes).await?;
            file.sync_data().await
        };
        let written = written.await;
        written.map_err(StorageError::disk("write", &temporary))?;
        self.rename(&temporary, &path).await?;
        self.sync_dir(dir).await
    }
}

/// In `dataDir` and `dataLogDir`, where Apache has its `myid` and `initialize`.
const LOCK_FILE: &str = "zk-server.lock";

/// More than a number takes.
const SMALL: usize = 4096;
