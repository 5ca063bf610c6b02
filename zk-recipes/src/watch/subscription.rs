//! What there is, then what changes.
//!
//! No layout of its own: any znode, its children, or everything below it. Children and single
//! znodes are watched by one-shot watches, a subtree by one persistent recursive watch, or by
//! one-shots on servers before 3.6.

use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use zk_client::Client;
use zk_proto::path;

use super::feed::{Mailbox, Watched};
use super::mirror::Depth;
use super::pending::Update;
use crate::error::Error;

/// Znodes a subscription or cache holds at most, unless told otherwise: some hundred
/// megabytes of data of a kilobyte each, and far more than one-shot watches are good for.
pub const DEFAULT_ZNODE_LIMIT: usize = 100_000;

/// Changes kept for a subscriber that does not take them, unless told otherwise.
pub const DEFAULT_CHANGE_LIMIT: usize = 1024;

/// A part of the tree as a snapshot, then as ordered changes.
///
/// Whoever applies the updates has what the server has, with the delay of a read: after every
/// reconnect, expiry, and delete-and-recreate, and however slow it was. What happened
/// unseen is found out by comparing czxid and mzxid, never versions, and told as changes like
/// any other.
///
/// | | |
/// |---|---|
/// | order | changes of one znode in the order in which they happened; parents come before their children and go after them |
/// | what is missed | nothing that lasts: of what happens between two reads the result is told, a recreation as such |
/// | connection lost | silence; afterwards the difference |
/// | session expired | as well: the next session watches anew |
/// | slow consumer | one change for each znode, `coalesced` says how many it stands for; beyond the limit a new snapshot |
/// | cancelled | an update is taken only when it is returned |
/// | the end | an error, again at each call: client closed, root unreadable, too many znodes |
/// | token | none: nothing is owned |
///
/// Below the root, znodes that may not be read are left out.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Depth, Subscription, Update};
/// let mut services = Subscription::builder(&client, "/services").depth(Depth::Subtree).build()?;
/// loop {
///     match services.next().await? {
///         Update::Snapshot { znodes, .. } => println!("{} znodes", znodes.len()),
///         Update::Change { change, .. } => println!("{} changed", change.path),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscription {
    watched: Arc<Watched>,
    mailbox: Mailbox,
}

impl Subscription {
    /// A subscription to the znode at `path`, which need not exist.
    pub fn builder(client: &Client, path: &str) -> SubscriptionBuilder {
        SubscriptionBuilder {
            client: client.clone(),
            path: path.to_owned(),
            depth: Depth::Node,
            znode_limit: DEFAULT_ZNODE_LIMIT,
            change_limit: DEFAULT_CHANGE_LIMIT,
        }
    }

    pub(super) fn of(watched: Arc<Watched>, change_limit: usize) -> Self {
        let mailbox = watched.subscribe(change_limit);
        Self { watched, mailbox }
    }

    /// The next update: a snapshot first, as soon as everything has been read.
    ///
    /// # Errors
    ///
    /// No update will come any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<Update, Error> {
        self.watched.next(&self.mailbox).await
    }

    /// The updates as a stream, which ends after its first error.
    ///
    /// ```no_run
    /// # async fn example(subscription: zk_recipes::Subscription) {
    /// use futures_util::{StreamExt, pin_mut};
    /// let updates = subscription.into_stream();
    /// pin_mut!(updates);
    /// while let Some(Ok(update)) = updates.next().await {
    ///     println!("{update:?}");
    /// }
    /// # }
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Result<Update, Error>> + Send {
        unfold(Some(self), async |subscription| {
            let mut subscription = subscription?;
            let update = subscription.next().await;
            let rest = update.is_ok().then_some(subscription);
            Some((update, rest))
        })
    }

    /// The client it watches with.
    pub fn client(&self) -> &Client {
        self.watched.client()
    }
}

/// Options of a [`Subscription`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct SubscriptionBuilder {
    client: Client,
    path: String,
    depth: Depth,
    znode_limit: usize,
    change_limit: usize,
}

impl SubscriptionBuilder {
    /// How far it sees. Default: the znode alone.
    pub const fn depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Znodes it may hold, the root included. Default: [`DEFAULT_ZNODE_LIMIT`]. One more ends it with
    /// [`Error::TooManyZnodes`].
    pub const fn znode_limit(mut self, znodes: usize) -> Self {
        self.znode_limit = znodes;
        self
    }

    /// Changes kept for a slow consumer, before it is told everything anew. Default:
    /// [`DEFAULT_CHANGE_LIMIT`].
    pub const fn change_limit(mut self, changes: usize) -> Self {
        self.change_limit = changes;
        self
    }

    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// The path is not valid.
    pub fn build(self) -> Result<Subscription, Error> {
        let watched = watch(&self.client, &self.path, self.depth, self.znode_limit)?;
        Ok(Subscription::of(watched, self.change_limit))
    }
}

pub(crate) fn watch(
    client: &Client,
    path: &str,
    depth: Depth,
    limit: usize,
) -> Result<Arc<Watched>, Error> {
    path::validate(path).map_err(zk_client::Error::from)?;
    Ok(Watched::start(client, path, depth, limit))
}
