//! The one that this is about.

use zk_benches::{DATA_LEN, PATH};
use zk_client::{Client, CreateMode, ErrorCode};

use crate::Result;
use crate::client::Gets;
use crate::runtime::Flavor;

impl Gets for Client {
    const SENDS_WHEN_CALLED: bool = true;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self::connect(address).await?)
    }

    fn get(&self) -> impl Future<Output = Result<usize>> + Send {
        let reply = self.get_data(PATH, None);
        async move {
            let (data, _) = reply.await?;
            Ok(data.len())
        }
    }

    async fn close(self) -> Result<()> {
        Ok(Self::close(&self).await?)
    }
}

/// Creates the znode that every workload reads, unless it is there.
pub fn set_up(address: &str) -> Result<()> {
    let address = address.to_owned();
    Flavor::CurrentThread.build()?.run(async move {
        let client = Client::connect(&address).await?;
        let created = client.create(PATH, [b'x'; DATA_LEN], CreateMode::Persistent);
        match created.await {
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
            Err(error) => return Err(error.into()),
        }
        Gets::close(client).await
    })
}
