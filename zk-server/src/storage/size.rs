//! How much is stored.

use std::path::Path;

use zk_env::{Disk, OpenMode};

use super::names::VERSION_DIR;

/// Bytes of the files in a data directory, with what is set aside for more. Files that go
/// while they are counted do not count.
pub(crate) async fn dir_size(disk: &dyn Disk, dir: &Path) -> u64 {
    let dir = dir.join(VERSION_DIR);
    let mut bytes: u64 = 0;
    for name in disk.list(&dir).await.unwrap_or_default() {
        if let Ok(file) = disk.open(&dir.join(name), OpenMode::Existing).await {
            bytes = bytes.saturating_add(file.len().await.unwrap_or(0));
        }
    }
    bytes
}
