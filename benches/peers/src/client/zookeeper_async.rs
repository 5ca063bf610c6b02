//! krojew's `zookeeper-async`.

use std::time::Duration;

use zk_benches::PATH;
use zookeeper_async::{WatchedEvent, ZooKeeper};

use crate::Result;
use crate::client::Gets;

impl Gets for ZooKeeper {
    const SENDS_WHEN_CALLED: bool = false;

    async fn connect(address: &str) -> Result<Self> {
        let session_timeout = Duration::from_secs(30);
        Ok(Self::connect(address, session_timeout, |_: WatchedEvent| ()).await?)
    }

    async fn get(&self) -> Result<usize> {
        let (data, _) = self.get_data(PATH, false).await?;
        Ok(data.len())
    }

    async fn close(self) -> Result<()> {
        Ok(Self::close(&self).await?)
    }
}
