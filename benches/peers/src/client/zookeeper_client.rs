//! kezhuw's `zookeeper-client`.

use zk_benches::PATH;
use zookeeper_client::Client;

use crate::Result;
use crate::client::Gets;

impl Gets for Client {
    const SENDS_WHEN_CALLED: bool = true;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self::connect(address).await?)
    }

    fn get(&self) -> impl Future<Output = Result<usize>> + Send {
        let reply = self.get_data(PATH);
        async move {
            let (data, _) = reply.await?;
            Ok(data.len())
        }
    }

    /// It has no `close`: the session ends with the last handle, in the background.
    async fn close(self) -> Result<()> {
        let mut states = self.state_watcher();
        drop(self);
        while !states.peek_state().is_terminated() {
            states.changed().await;
        }
        Ok(())
    }
}
