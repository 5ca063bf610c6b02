//! Small files of a member of an ensemble: the epochs it has promised and taken part in,
//! its id, and the permission to begin with nothing.

use bytes::Bytes;

use super::data_dir::DataDir;
use super::error::StorageError;

const ACCEPTED_EPOCH: &str = "acceptedEpoch";
const CURRENT_EPOCH: &str = "currentEpoch";
const INITIALIZE: &str = "initialize";

impl DataDir {
    /// The newest epoch that the server has promised to follow.
    pub(crate) async fn accepted_epoch(&self) -> Result<Option<i64>, StorageError> {
        self.read_number(&self.snap_dir().join(ACCEPTED_EPOCH))
            .await
    }

    /// The epoch whose leader the server has followed last.
    pub(crate) async fn current_epoch(&self) -> Result<Option<i64>, StorageError> {
        self.read_number(&self.snap_dir().join(CURRENT_EPOCH)).await
    }

    /// Durable once this returns.
    pub(crate) async fn set_accepted_epoch(&self, epoch: i64) -> Result<(), StorageError> {
        self.write_epoch(ACCEPTED_EPOCH, epoch).await
    }

    /// Durable once this returns.
    pub(crate) async fn set_current_epoch(&self, epoch: i64) -> Result<(), StorageError> {
        self.write_epoch(CURRENT_EPOCH, epoch).await
    }

    async fn write_epoch(&self, name: &str, epoch: i64) -> Result<(), StorageError> {
        let text = Bytes::from(epoch.to_string());
        self.replace(&self.snap_dir(), name, text).await
    }

    /// Whether there is permission to begin with nothing.
    pub(crate) async fn may_initialize(&self) -> Result<bool, StorageError> {
        let path = self.data_log_dir.join(INITIALIZE);
        Ok(self.read_small(&path).await?.is_some())
    }

    /// The permission to begin with nothing is used up; harmless if there was none.
    pub(crate) async fn initialized(&self) -> Result<(), StorageError> {
        self.remove(&self.data_log_dir.join(INITIALIZE)).await?;
        self.sync_dir(&self.data_log_dir).await
    }
}
