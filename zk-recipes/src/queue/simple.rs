//! A queue without acknowledgement.
//!
//! ```text
//! <path>                   persistent: sequences must not begin anew
//! <path>/qn-<sequence>     persistent sequential, data: the item
//! ```
//!
//! The layout of ZooKeeper's own queue recipes (Java and C) and of Curator's
//! `SimpleDistributedQueue`.

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, ErrorCode, Watcher, Zxid};
use zk_proto::path;

use super::room::{DEFAULT_QUEUE_LIMIT, PATIENCE, check_room};
use crate::contender::pause;
use crate::error::Error;
use crate::parents::{check, create_lasting};

/// What the items' names begin with.
const PREFIX: &str = "qn-";

/// A queue from which each item is taken **at most once**: who takes it has deleted it, and if it
/// dies before it has done its work the item is lost.
///
/// | | |
/// |---|---|
/// | who wins | the lowest sequence is taken first; of two who take it, the one whose delete is first |
/// | fairness | none among takers; every waiting taker wakes when an item comes |
/// | connection lost | waiting goes on; see below for a take under way |
/// | session expired | nothing happens: items are persistent |
/// | cancelled | an offer may have been made; a take may have removed its item |
/// | lost reply to an offer | `Error::Client` with an unknown outcome: offering again may double the item |
/// | lost reply to a take | `Error::Client` with an unknown outcome, unless the item is still there: it is lost, or another has it |
/// | token | the item's czxid: rises with the order of the offers |
/// | a queue made by Curator | is a container, and reaped when it is empty: a take that is held up for so long may hand out an item twice |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::queue::SimpleQueue;
/// let queue = SimpleQueue::builder(&client, "/mail").build()?;
/// queue.offer("letter").await?;
/// let item = queue.take().await?;
/// println!("{:?}", item.data);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SimpleQueue {
    client: Client,
    path: String,
    acl: Option<Vec<Acl>>,
    limit: usize,
}

/// What was taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// What was offered.
    pub data: Bytes,
    /// The name its znode had.
    pub name: String,
    /// When it was offered.
    pub czxid: Zxid,
}

/// Options of a [`SimpleQueue`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct SimpleQueueBuilder {
    queue: SimpleQueue,
}

impl SimpleQueueBuilder {
    /// The ACL of the items offered; whoever takes needs READ, and DELETE on the queue. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.queue.acl = Some(acl);
        self
    }

    /// Items it may hold before offers are refused. Default: [`DEFAULT_QUEUE_LIMIT`]. Offers at the
    /// same time may exceed it by their number.
    pub const fn limit(mut self, items: usize) -> Self {
        self.queue.limit = items;
        self
    }

    /// The queue.
    ///
    /// # Errors
    ///
    /// The path cannot hold a queue.
    pub fn build(self) -> Result<SimpleQueue, Error> {
        check(&self.queue.path)?;
        Ok(self.queue)
    }
}

impl SimpleQueue {
    /// The queue at `path`.
    pub fn builder(client: &Client, path: &str) -> SimpleQueueBuilder {
        SimpleQueueBuilder {
            queue: Self {
                client: client.clone(),
                path: path.to_owned(),
                acl: None,
                limit: DEFAULT_QUEUE_LIMIT,
            },
        }
    }

    /// Adds an item at the end. Gives the name of its znode.
    ///
    /// # Errors
    ///
    /// `QueueFull` and `SequenceExhausted`: nothing was added. `Client`, with an unknown outcome,
    /// if the answer was lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the item added or not.
    pub async fn offer(&self, data: impl AsRef<[u8]>) -> Result<String, Error> {
        check_room(&self.client, &self.path, self.limit).await?;
        let options = CreateOptions::from(CreateMode::PersistentSequential);
        let options = match &self.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        };
        let item = path::join(&self.path, PREFIX);
        loop {
            self.client.ready().await?;
            let created = self.client.create(&item, data.as_ref(), options.clone());
            match created.await {
                Ok(created) => return Ok(path::name(&created).to_owned()),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    create_lasting(&self.client, &self.path).await?;
                }
                Err(error) if error.is_retryable() => pause(&self.client).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the first item, if there is one.
    ///
    /// # Errors
    ///
    /// `Client`, with an unknown outcome, if an item may have been removed and could not be
    /// handed out.
    ///
    /// # Cancel safety
    ///
    /// Not safe: an item may have been removed.
    pub async fn poll(&self) -> Result<Option<QueueItem>, Error> {
        let names = self.names(None).await?.unwrap_or_default();
        self.first_of(names).await
    }

    /// Takes the first item, and waits for one if there is none.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Cancel safety
    ///
    /// Safe while it waits; not from the moment an item is there.
    pub async fn take(&self) -> Result<QueueItem, Error> {
        loop {
            let watcher = Watcher::with_capacity(1);
            let Some(names) = self.names(Some(&watcher)).await? else {
                create_lasting(&self.client, &self.path).await?;
                continue;
            };
            if let Some(item) = self.first_of(names).await? {
                return Ok(item);
            }
            // Whatever happens: look again. After a reconnect the client asks for what it missed.
            if watcher.next().await.is_none() {
                return Err(Error::Client(zk_client::Error::Closed));
            }
        }
    }

    /// The items' names, first come first; `None` without a queue.
    async fn names(&self, watcher: Option<&Watcher>) -> Result<Option<Vec<String>>, Error> {
        let patient = self.client.retrying(PATIENCE);
        let names = patient.run(|client| client.get_children(&self.path, watcher));
        match names.await {
            Ok(names) => Ok(Some(in_order(names))),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first of `names` that nobody else takes.
    async fn first_of(&self, names: Vec<String>) -> Result<Option<QueueItem>, Error> {
        for name in names {
            if let Some(item) = self.take_one(name).await? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    async fn take_one(&self, name: String) -> Result<Option<QueueItem>, Error> {
        let item = path::join(&self.path, &name);
        let patient = self.client.retrying(PATIENCE);
        let read = patient.run(|client| client.get_data(&item, None)).await;
        let (data, stat) = match read {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            read => read?,
        };
        match patient.run(|client| client.delete(&item, None)).await {
            Ok(()) => Ok(Some(QueueItem {
                data: Bytes::copy_from_slice(&data),
                name,
                czxid: stat.czxid,
            })),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// By sequence; what is no item is left alone.
fn in_order(names: Vec<String>) -> Vec<String> {
    let mut items: Vec<(i32, String)> = names
        .into_iter()
        .filter_map(|name| {
            let sequence = path::sequence(name.strip_prefix(PREFIX)?)?;
            Some((sequence, name))
        })
        .collect();
    items.sort_unstable();
    items.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_ordered_and_strangers_left_alone() {
        let names = [
            "qn-0000000010",
            "lost+found",
            "qn-x",
            "qn-0000000009",
            "0000000001",
        ];
        let names = names.map(str::to_owned).to_vec();
        assert_eq!(in_order(names), ["qn-0000000009", "qn-0000000010"]);
    }
}
