//! The last good document on the local disk, as it was: a service can boot with it, and a
//! person can read it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zk_env::{Disk, OpenMode};

/// More than any znode holds.
const LIMIT: usize = 16 * 1024 * 1024;

/// Where the document is kept. It is replaced in one step: a crash leaves the old one or the
/// new one.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl SnapshotFile {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The document, if there is one.
    pub(super) async fn read(&self) -> io::Result<Option<Bytes>> {
        let file = match self.disk.open(&self.path, OpenMode::Existing).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if file.len().await? > LIMIT as u64 {
            let why = format!("a snapshot of more than {LIMIT} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        file.read_at(0, LIMIT).await.map(Some)
    }

    pub(super) async fn write(&self, document: Bytes) -> io::Result<()> {
        let directory = self.directory();
        self.disk.create_dir_all(directory).await?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let file = self.disk.open(&new, OpenMode::Create).await?;
        // What a crash may have left there.
        file.truncate(0).await?;
        file.append(document).await?;
        file.sync_data().await?;
        drop(file);
        self.disk.rename(&new, &self.path).await?;
        self.disk.sync_dir(directory).await
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        }
    }
}
