//! A znode that stays as long as somebody touches it.
//!
//! ```text
//! <path>           persistent with TTL, data: the caller's
//! <path>/touch     persistent with TTL, empty, written every half TTL
//! ```
//!
//! The server needs `extendedTypesEnabled`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{Client, CreateMode, ErrorCode, MAX_TTL};
use zk_env::{TaskHandle, sleep_until};
use zk_proto::path;

use super::persistent_node::{NodeMode, NodeState, PersistentNode};
use crate::error::Error;

/// What a touch that failed waits for the next, as a part of the TTL.
const RETRIES: u32 = 8;

/// A znode that outlives its session, and goes a while after the last process that keeps it.
/// Curator's `PersistentTtlNode` on the wire.
///
/// | | |
/// |---|---|
/// | who wins | nobody: all who keep it touch it, the data is that of the last to write |
/// | connection lost | touched again afterwards; away for longer than the TTL, the server deletes it and it is made anew |
/// | session expired | nothing happens to the znode |
/// | dropped | it stays for up to twice the TTL |
/// | token | none |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use std::time::Duration;
/// use zk_recipes::PersistentTtlNode;
/// let ttl = Duration::from_secs(60);
/// let seen = PersistentTtlNode::start(&client, "/seen/host-7", "10.0.0.7", ttl)?;
/// seen.present().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PersistentTtlNode {
    node: Arc<PersistentNode>,
    task: TaskHandle,
}

impl PersistentTtlNode {
    /// Keeps a znode at `path` with `data`, for `ttl` after its last touch: from a millisecond to
    /// [`MAX_TTL`].
    ///
    /// # Errors
    ///
    /// Path or TTL are not valid.
    pub fn start(
        client: &Client,
        path: &str,
        data: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<Self, Error> {
        if ttl < Duration::from_millis(1) || ttl > MAX_TTL {
            let reason = format!("{ttl:?} is not from 1 ms to {MAX_TTL:?}");
            return Err(Error::invalid("ttl", reason));
        }
        let builder = PersistentNode::builder(client, path, data);
        let node = Arc::new(builder.mode(NodeMode::Ttl(ttl)).build()?.lasting());
        let touching = touch_on(client.clone(), Arc::clone(&node), ttl);
        let task = client.env().spawn("zk-recipes-touch", Box::pin(touching));
        Ok(Self { node, task })
    }

    /// Changes the data it should have.
    pub fn set_data(&self, data: impl Into<Bytes>) {
        self.node.set_data(data);
    }

    /// How it stands, as a value that can be read, awaited, and not missed.
    pub fn state(&self) -> watch::Receiver<NodeState> {
        self.node.state()
    }

    /// Waits until it is as it should be.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::present`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn present(&self) -> Result<(), Error> {
        self.node.present().await
    }
}

impl Drop for PersistentTtlNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn touch_on(client: Client, node: Arc<PersistentNode>, ttl: Duration) {
    let touch_path = path::join(node.path(), "touch");
    let (env, mut timer) = (client.env().clone(), client.env().timer());
    while node.present().await.is_ok() {
        let pause = match touch(&client, &touch_path, ttl).await {
            Ok(()) => ttl / 2,
            Err(error) => {
                tracing::debug!(path = touch_path, %error, "not touched");
                ttl / 2 / RETRIES
            }
        };
        sleep_until(&mut *timer, env.now() + pause).await;
    }
}

async fn touch(client: &Client, path: &str, ttl: Duration) -> Result<(), zk_client::Error> {
    client.ready().await?;
    match client.set_data(path, b"", None).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => {
            let mode = CreateMode::PersistentWithTtl(ttl);
            client.create(path, b"", mode).await.map(drop)
        }
        touched => touched.map(drop),
    }
}
