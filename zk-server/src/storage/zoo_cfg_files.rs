//! A member's `zoo.cfg` and the files beside it, as Apache keeps them through
//! reconfigurations, so that Apache can start from what we leave and we from what it leaves:
//!
//! | file | holds |
//! |---|---|
//! | `zoo.cfg` | what does not change, and `dynamicConfigFile` |
//! | `zoo.cfg.dynamic.<version>` | the members by the configuration in force |
//! | `zoo.cfg.dynamic.next` | those of one that was proposed, while it is undecided |
//! | `zoo.cfg.bak` | `zoo.cfg` as it was when the members were still in it |
//!
//! One rename decides: before that of `zoo.cfg` the old members count, after it the new ones.
//! Files of the members before are left where they are.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::data_dir::DataDir;
use super::error::StorageError;
use crate::config::properties;

/// A configuration of the largest ensemble is far smaller.
pub(super) const LONGEST_FILE: usize = 1 << 20;

/// Where a configuration that is proposed stands.
pub(crate) fn next_of(zoo_cfg: &Path) -> PathBuf {
    beside(zoo_cfg, ".dynamic.next")
}

fn beside(zoo_cfg: &Path, suffix: &str) -> PathBuf {
    let mut path = zoo_cfg.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

impl DataDir {
    /// A configuration is proposed; `text` says of which version. Durable once this returns.
    pub(crate) async fn write_next(&self, zoo_cfg: &Path, text: &str) -> Result<(), StorageError> {
        self.put(&next_of(zoo_cfg), text.to_owned().into()).await
    }

    /// A configuration is in force: durable once this returns. With `has_client_addr` it says
    /// where this member serves clients, and `zoo.cfg` says so no longer.
    pub(crate) async fn write_members(
        &self,
        zoo_cfg: &Path,
        version: i64,
        text: &str,
        has_client_addr: bool,
    ) -> Result<(), StorageError> {
        let unreadable = |reason: String| StorageError::ZooCfg {
            path: zoo_cfg.to_owned(),
            reason,
        };
        let old = self.read_up_to(zoo_cfg, LONGEST_FILE + 1).await?;
        let old = old.ok_or_else(|| unreadable("it is gone".to_owned()))?;
        if old.len() > LONGEST_FILE {
            return Err(unreadable(format!(
                "it is longer than {LONGEST_FILE} bytes"
            )));
        }
        let members = beside(zoo_cfg, &format!(".dynamic.{version:x}"));
        let new = rewritten(&old, &members, has_client_addr);
        let new = new.map_err(|error| unreadable(error.to_string()))?;
        self.put(&members, dynamic_part(text).into()).await?;
        if new.had_members {
            self.put(&beside(zoo_cfg, ".bak"), old).await?;
        }
        self.put(zoo_cfg, new.bytes).await?;
        self.remove(&next_of(zoo_cfg)).await
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), StorageError> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.replace(dir, &name, bytes).await
    }
}

/// As Apache writes it: sorted, and the version is in the file's name.
fn dynamic_part(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("version="));
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines.join("\n")
}

struct Rewritten {
    bytes: Bytes,
    /// The members were in the file itself.
    had_members: bool,
}

/// What of a `zoo.cfg` stays, comments included, and where the members are now.
fn rewritten(
    old: &Bytes,
    members: &Path,
    has_client_addr: bool,
) -> Result<Rewritten, crate::error::ConfigError> {
    let (text, is_latin1) = match std::str::from_utf8(old) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (old.iter().map(|byte| char::from(*byte)).collect(), true),
    };
    let moves = |key: &str| {
        [
            "server.",
            "group",
            "weight",
            "dynamicConfigFile",
            "peerType",
        ]
        .iter()
        .any(|prefix| key.starts_with(prefix))
            || has_client_addr && key.starts_with("clientPort")
    };
    let had_members = properties::parse(&text)?
        .iter()
        .all(|property| property.key != "dynamicConfigFile");
    let mut text = properties::without(&text, moves)?;
    let value = members.to_string_lossy().replace('\\', "\\\\");
    text.push_str(&format!("dynamicConfigFile={value}\n"));
    let bytes = if is_latin1 && text.chars().all(|c| u32::from(c) < 0x100) {
        text.chars()
            .filter_map(|c| u8::try_from(u32::from(c)).ok())
            .collect::<Vec<_>>()
            .into()
    } else {
        text.into()
    };
    Ok(Rewritten { bytes, had_members })
}
