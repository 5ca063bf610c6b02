//! A znode that is kept as it should be.
//!
//! ```text
//! <path>     ephemeral (or of another mode), data: the builder's, or what was set last
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{Acl, Client, Epoch, ErrorCode, SessionId, Zxid};
use zk_env::TaskHandle;
use zk_proto::path;

use super::desired::{SameOwner, same_data};
use super::reconcile::{Reconciler, options};
use crate::contender::pause;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::parents::Parents;

/// How long [`PersistentNode::leave`] waits for the proof; after that a task goes on by itself.
const DELETE_WITHIN: Duration = zk_client::DEFAULT_OPERATION_DEADLINE;

/// What kind of znode is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeMode {
    /// Goes with the session; made anew in the next.
    #[default]
    Ephemeral,
    /// Stays until [`PersistentNode::leave`].
    Persistent,
    /// As `Persistent`; the server deletes it after its last child has gone, then it is made anew.
    Container,
    /// As `Persistent`; the server deletes it after this long without children and changes.
    Ttl(Duration),
}

/// How a persistent node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Not seen yet.
    Starting,
    /// It was as it should be when it was last looked at, and is watched.
    Present {
        /// When it was created.
        czxid: Zxid,
        /// The version of its data.
        version: i32,
    },
    /// Somebody else has a znode of this name; ours is made when that goes.
    Taken {
        /// Its session; zero if it is no ephemeral.
        owner: SessionId,
    },
    /// The connection is lost, or an answer, or it is to have other data: it is looked at as soon
    /// as possible.
    InDoubt,
    /// It is not kept any more, for this reason.
    Ended(Error),
}

/// A znode declared once, and made true again whenever it is not: after a lost reply, an
/// expiry, a delete, a foreign write. Curator's `PersistentNode` on the wire, without protection.
///
/// Dropping it deletes the znode in the background, whatever its mode.
///
/// | | |
/// |---|---|
/// | who wins | of two with the same data the later one, of others the first: the loser waits (`Taken`) until the name is free |
/// | its own previous znode | taken over by one transaction: nobody sees it missing |
/// | connection lost | `InDoubt`; looked at again afterwards |
/// | session expired | made anew in the next session |
/// | cancelled, or a lost reply | nothing is doubled: the name is fixed |
/// | token | none: a fixed name is no proof of ownership |
///
/// Own is what this client made, in any of its sessions, and what was there before with
/// the very same data, which is what a restarted process finds: put into the data what
/// tells processes apart, or leave it empty to never take over.
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::PersistentNode;
/// let node = PersistentNode::builder(&client, "/status/host-7", "up").build()?;
/// node.present().await?;
/// node.set_data("draining");
/// node.leave().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PersistentNode {
    client: Client,
    path: String,
    mode: NodeMode,
    data: watch::Sender<Bytes>,
    state: Arc<watch::Sender<NodeState>>,
    task: TaskHandle,
    is_left: bool,
}

impl PersistentNode {
    /// The znode at `path`, with `data`.
    pub fn builder(client: &Client, path: &str, data: impl Into<Bytes>) -> PersistentNodeBuilder {
        PersistentNodeBuilder {
            client: client.clone(),
            path: path.to_owned(),
            data: data.into(),
            mode: NodeMode::Ephemeral,
            acl: None,
            same: same_data,
            parents: Parents::Reaped,
        }
    }

    /// Changes the data it should have. Of quick successive changes the last is written.
    /// From here on it is [`InDoubt`](NodeState::InDoubt) until that is so.
    pub fn set_data(&self, data: impl Into<Bytes>) {
        let data = data.into();
        // Under the state's lock, as the task publishes: it never takes the old data for the new.
        self.state.send_if_modified(|state| {
            self.data.send_replace(data);
            let was_present = matches!(state, NodeState::Present { .. });
            if was_present {
                *state = NodeState::InDoubt;
            }
            was_present
        });
    }

    /// How it stands, as a value that can be read, awaited, and not missed.
    pub fn state(&self) -> watch::Receiver<NodeState> {
        self.state.subscribe()
    }

    /// Waits until it is as it should be: the first time, or again.
    ///
    /// # Errors
    ///
    /// It is not kept any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn present(&self) -> Result<(), Error> {
        let mut state = self.state.subscribe();
        let settled = state
            .wait_for(|state| matches!(state, NodeState::Present { .. } | NodeState::Ended(_)));
        match settled.await.as_deref() {
            Ok(NodeState::Ended(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Client(zk_client::Error::Closed)),
        }
    }

    /// Waits for the first look, and whether the name is free for us.
    pub(crate) async fn first_seen(&self) -> Result<(), Error> {
        let mut state = self.state.subscribe();
        let seen =
            state.wait_for(|state| !matches!(state, NodeState::Starting | NodeState::InDoubt));
        match seen.await.as_deref() {
            Ok(NodeState::Taken { .. }) => Err(Error::NameTaken {
                path: self.path().into(),
            }),
            Ok(NodeState::Ended(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Client(zk_client::Error::Closed)),
        }
    }

    /// The znode.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Stops keeping the znode, deletes it if it is ours, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// The delete is not proven yet; a task in the background goes on with it.
    ///
    /// # Cancel safety
    ///
    /// As for an error.
    pub async fn leave(mut self) -> Result<(), Error> {
        self.stop().await;
        let deadline = Deadline::within(&self.client, DELETE_WITHIN);
        let leaving = self.leaving();
        let deleted = deadline.bound(&self.client, leaving.delete()).await;
        let deleted = deleted.unwrap_or_else(|| Err(deadline.exceeded()));
        self.is_left = deleted.is_ok();
        deleted
    }

    /// What the task has sent is ahead of what is called from here on.
    async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Dropping it leaves the znode.
    pub(super) const fn lasting(mut self) -> Self {
        self.is_left = true;
        self
    }

    fn leaving(&self) -> Leaving {
        Leaving {
            epoch: self.client.epoch(),
            client: self.client.clone(),
            path: self.path.clone(),
            mode: self.mode,
        }
    }
}

/// The delete of a znode, if it is ours.
struct Leaving {
    client: Client,
    path: String,
    mode: NodeMode,
    epoch: Epoch,
}

impl Leaving {
    /// Until it is proven that no znode of ours is there.
    async fn delete(&self) -> Result<(), Error> {
        loop {
            self.client.ready().await?;
            let is_ephemeral = self.mode == NodeMode::Ephemeral;
            if is_ephemeral && self.client.epoch() != self.epoch {
                // It has gone with its session.
                return Ok(());
            }
            match self.try_delete().await {
                Err(error) if error.is_retryable() || error.is_outcome_unknown() => {
                    pause(&self.client).await;
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                deleted => return Ok(deleted?),
            }
        }
    }

    /// By the owner, not by name alone: another process may have taken it over.
    async fn try_delete(&self) -> Result<(), zk_client::Error> {
        let sync = self.client.sync(&self.path);
        let found = self.client.exists(&self.path, None);
        sync.await?;
        match found.await? {
            Some(stat) if self.is_ours(stat.ephemeral_owner) => {
                self.client.delete(&self.path, stat.version).await
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_ours(&self, owner: SessionId) -> bool {
        match self.mode {
            NodeMode::Ephemeral => owner == self.client.session_id(),
            NodeMode::Persistent | NodeMode::Container | NodeMode::Ttl(_) => owner.0 == 0,
        }
    }
}

impl Drop for PersistentNode {
    fn drop(&mut self) {
        self.task.abort();
        if self.is_left {
            return;
        }
        let leaving = self.leaving();
        let task = async move {
            if let Err(error) = leaving.delete().await {
                tracing::warn!(path = leaving.path, %error, "the node may still be there");
            }
        };
        drop(
            self.client
                .env()
                .spawn("zk-recipes-node-leave", Box::pin(task)),
        );
    }
}

/// Options of a [`PersistentNode`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct PersistentNodeBuilder {
    client: Client,
    path: String,
    data: Bytes,
    mode: NodeMode,
    acl: Option<Vec<Acl>>,
    same: SameOwner,
    parents: Parents,
}

impl PersistentNodeBuilder {
    /// What kind of znode. Default: ephemeral.
    pub const fn mode(mut self, mode: NodeMode) -> Self {
        self.mode = mode;
        self
    }

    /// The znode's ACL, when it is created. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// What is made above it. Default: containers.
    pub(super) const fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// Whose znode is taken over. Default: that of the very same data.
    #[cfg(feature = "json")]
    pub(crate) const fn same_owner(mut self, same: SameOwner) -> Self {
        self.same = same;
        self
    }

    /// Starts to keep it.
    ///
    /// # Errors
    ///
    /// The path is not valid.
    pub fn build(self) -> Result<PersistentNode, Error> {
        path::validate(&self.path).map_err(zk_client::Error::from)?;
        let (data, wanted) = watch::channel(self.data);
        let state = Arc::new(watch::Sender::new(NodeState::Starting));
        let reconciler = Reconciler {
            client: self.client.clone(),
            path: self.path.clone(),
            mode: self.mode,
            options: options(self.mode, self.acl),
            parents: self.parents,
            same: self.same,
            data: wanted,
            state: Arc::clone(&state),
        };
        let task = Box::pin(reconciler.run());
        Ok(PersistentNode {
            task: self.client.env().spawn("zk-recipes-node", task),
            client: self.client,
            path: self.path,
            mode: self.mode,
            data,
            state,
            is_left: false,
        })
    }
}
