//! The ensemble's members as the last reconfiguration left them: Apache's dynamic file, in
//! the data directory. Its name has the version, its text the `server.N` and nothing else.
//!
//! Apache keeps it beside the `zoo.cfg`, which it rewrites to point there, and so do we where
//! there is one. A server that is embedded has none, and one may be where nothing can be
//! written: then the list is here, and the newer of the two counts.

use bytes::Bytes;

use super::data_dir::DataDir;
use super::error::StorageError;
use super::zoo_cfg_files::LONGEST_FILE;

const PREFIX: &str = "zoo.cfg.dynamic.";

impl DataDir {
    /// The newest list that was in force here, and its version.
    pub(crate) async fn members(&self) -> Result<Option<(i64, String)>, StorageError> {
        let Some(version) = self.member_lists().await?.into_iter().max() else {
            return Ok(None);
        };
        let path = self.data_dir().join(format!("{PREFIX}{version:x}"));
        let text = self.read_up_to(&path, LONGEST_FILE).await?;
        let text = text.unwrap_or_default();
        Ok(Some((version, String::from_utf8_lossy(&text).into_owned())))
    }

    /// A list is in force: durable once this returns, and then those before it go.
    pub(crate) async fn set_members(&self, version: i64, text: &str) -> Result<(), StorageError> {
        let lines = text.lines().filter(|line| !line.starts_with("version="));
        let text = lines.collect::<Vec<_>>().join("\n");
        let older = self.member_lists().await?;
        let name = format!("{PREFIX}{version:x}");
        self.replace(self.data_dir(), &name, Bytes::from(text))
            .await?;
        for version in older.into_iter().filter(|older| *older < version) {
            let path = self.data_dir().join(format!("{PREFIX}{version:x}"));
            self.remove(&path).await?;
        }
        Ok(())
    }

    async fn member_lists(&self) -> Result<Vec<i64>, StorageError> {
        let names = self.list(self.data_dir()).await?;
        let versions = names.iter().filter_map(|name| {
            let hex = name.to_str()?.strip_prefix(PREFIX)?;
            i64::from_str_radix(hex, 16).ok()
        });
        Ok(versions.collect())
    }
}
