//! How much is stored.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zk_env::{Disk, OpenMode};

use super::names::VERSION_DIR;

/// Bytes in a server's two directories, of which the second may be the first again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirSizes {
    pub(crate) data_dir: u64,
    pub(crate) log_dir: u64,
}

impl DirSizes {
    /// Looks at the files; there are none without a directory.
    pub(crate) async fn of(
        disk: Arc<dyn Disk>,
        data_dir: Option<PathBuf>,
        log_dir: Option<PathBuf>,
    ) -> Self {
        let mut sizes = Self::default();
        if let Some(dir) = &data_dir {
            sizes.data_dir = dir_size(&*disk, dir).await;
        }
        if let Some(dir) = &log_dir {
            sizes.log_dir = if log_dir == data_dir {
                sizes.data_dir
            } else {
                dir_size(&*disk, dir).await
            };
        }
        sizes
    }
}

/// Bytes of the files in a data directory, with what is set aside for more. Files that go
/// while they are counted do not count.
async fn dir_size(disk: &dyn Disk, dir: &Path) -> u64 {
    let dir = dir.join(VERSION_DIR);
    let mut bytes: u64 = 0;
    for name in disk.list(&dir).await.unwrap_or_default() {
        if let Ok(file) = disk.open(&dir.join(name), OpenMode::Existing).await {
            bytes = bytes.saturating_add(file.len().await.unwrap_or(0));
        }
    }
    bytes
}
