//! A part of the tree, kept at hand.
//!
//! No layout of its own. Watched as a [`Subscription`] is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zk_client::Client;
use zk_proto::path;

use super::feed::{Progress, Watched};
use super::mirror::Depth;
use super::pending::Znode;
use super::subscription::{self, DEFAULT_CHANGE_LIMIT, DEFAULT_ZNODE_LIMIT, Subscription};
use crate::error::Error;

/// A znode, its children, or a subtree, read from memory. Cheap to clone; it watches as long as
/// one clone or one of its subscriptions lives.
///
/// It holds what the server had a moment ago, and converges to what the server has after
/// every reconnect, expiry, and delete-and-recreate; [`age`](Self::age) says how far behind it
/// may be. What must not be stale is read from the server.
///
/// | | |
/// |---|---|
/// | before the first load | empty; [`loaded`](Self::loaded) waits |
/// | connection lost | it keeps what it has, and its age grows |
/// | session expired | as well; the next session watches anew |
/// | the end | it keeps what it has; [`error`](Self::error) says why |
/// | token | none: nothing is owned |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Cache, Depth};
/// let workers = Cache::builder(&client, "/workers").depth(Depth::Children).build()?;
/// workers.loaded().await?;
/// for (name, worker) in workers.children("/workers") {
///     println!("{name}: {:?}", worker.data);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    watched: Arc<Watched>,
}

impl Cache {
    /// A cache of the znode at `path`, which need not exist.
    pub fn builder(client: &Client, path: &str) -> CacheBuilder {
        CacheBuilder {
            client: client.clone(),
            path: path.to_owned(),
            depth: Depth::Subtree,
            znode_limit: DEFAULT_ZNODE_LIMIT,
        }
    }

    /// Waits until everything has been read once.
    ///
    /// # Errors
    ///
    /// It never will be.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn loaded(&self) -> Result<(), Error> {
        self.watched.loaded().await
    }

    /// The znode at `path`, if it is within the cache's depth and exists.
    pub fn get(&self, path: &str) -> Option<Arc<Znode>> {
        self.watched.get(path)
    }

    /// The children of the znode at `path`, by name.
    pub fn children(&self, path: &str) -> BTreeMap<String, Arc<Znode>> {
        let znodes = self.watched.znodes();
        let is_child = |child: &String| child != path && path::parent(child) == Some(path);
        znodes
            .into_iter()
            .filter(|(child, _)| is_child(child))
            .map(|(child, znode)| (path::name(&child).to_owned(), znode))
            .collect()
    }

    /// Everything, by path: one moment of the cache.
    pub fn snapshot(&self) -> BTreeMap<String, Arc<Znode>> {
        self.watched.znodes()
    }

    /// A subscription to what it holds; it starts with a snapshot.
    pub fn subscribe(&self) -> Subscription {
        Subscription::of(Arc::clone(&self.watched), DEFAULT_CHANGE_LIMIT)
    }

    /// How long ago it was last known to hold what the server had; `None` before it is loaded. Connected,
    /// that is since the last answered request was sent.
    pub fn age(&self) -> Option<Duration> {
        self.watched.age()
    }

    /// Why it does not follow the server any more.
    pub fn error(&self) -> Option<Error> {
        self.watched.progress().borrow().ended.clone()
    }

    /// Waits until it has changed since `seen`, or has ended; gives the revision to wait for
    /// next. Start with 0.
    ///
    /// # Errors
    ///
    /// It will not change any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn changed(&self, seen: u64) -> Result<u64, Error> {
        let mut progress: watch::Receiver<Progress> = self.watched.progress();
        let news = progress.wait_for(|now| now.revision > seen || now.ended.is_some());
        match news.await {
            Ok(now) if now.revision > seen => Ok(now.revision),
            Ok(now) => Err(now.ended.clone().unwrap_or(CLOSED)),
            Err(_) => Err(CLOSED),
        }
    }
}

const CLOSED: Error = Error::Client(zk_client::Error::Closed);

/// Options of a [`Cache`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct CacheBuilder {
    client: Client,
    path: String,
    depth: Depth,
    znode_limit: usize,
}

impl CacheBuilder {
    /// How far it sees. Default: the whole subtree.
    pub const fn depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Znodes it may hold, the root included. Default: [`DEFAULT_ZNODE_LIMIT`]. One more
    /// ends it with [`Error::TooManyZnodes`].
    pub const fn znode_limit(mut self, znodes: usize) -> Self {
        self.znode_limit = znodes;
        self
    }

    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// The path is not valid.
    pub fn build(self) -> Result<Cache, Error> {
        let watched = subscription::watch(&self.client, &self.path, self.depth, self.znode_limit)?;
        Ok(Cache { watched })
    }
}
