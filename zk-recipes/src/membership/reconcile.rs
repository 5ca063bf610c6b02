//! The task that makes a znode what it should be, again and again.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{
    Client, CreateMode, CreateOptions, Epoch, Error, ErrorCode, SessionId, Stat, Watcher,
};

use super::desired::{Found, Past, SameOwner, Step, decide_ephemeral, decide_lasting};
use super::persistent_node::{NodeMode, NodeState};
use crate::contender::pause;
use crate::parents::Parents;

/// Former sessions that are remembered: their znodes are gone long before there are more.
const FORMER_SESSIONS: usize = 8;

/// What the task works with.
pub(super) struct Reconciler {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) mode: NodeMode,
    pub(super) options: CreateOptions,
    pub(super) parents: Parents,
    pub(super) same: SameOwner,
    pub(super) data: watch::Receiver<Bytes>,
    pub(super) state: Arc<watch::Sender<NodeState>>,
}

/// One look at the znode: the session it was made in, and what was there.
struct Look {
    epoch: Epoch,
    session: SessionId,
    found: Option<(Bytes, Stat)>,
}

impl Reconciler {
    /// Runs until the client is over or something hopeless happens.
    pub(super) async fn run(mut self) {
        let mut past = Past::default();
        let mut last = None;
        let error = loop {
            match self.turn(&mut past, &mut last).await {
                Ok(()) => {}
                Err(error) if is_passing(&error) => {
                    tracing::debug!(path = self.path, %error, "the node is tried again");
                    self.publish(NodeState::InDoubt);
                    pause(&self.client).await;
                }
                Err(error) => break error,
            }
        };
        tracing::warn!(path = self.path, %error, "the node is no longer kept");
        self.publish(NodeState::Ended(error.into()));
    }

    /// Looks, acts, and if all is well waits for a change.
    async fn turn(&mut self, past: &mut Past, last: &mut Option<SessionId>) -> Result<(), Error> {
        let watcher = Watcher::with_capacity(1);
        let wanted = self.data.borrow_and_update().clone();
        let look = self.look(&watcher).await?;
        if let Some(former) = last.replace(look.session)
            && former != look.session
        {
            past.sessions.push(former);
            let surplus = past.sessions.len().saturating_sub(FORMER_SESSIONS);
            past.sessions.drain(..surplus);
        }
        let found = look.found.as_ref();
        let found = found.map(|(data, stat)| Found { data, stat });
        let step = match self.mode {
            NodeMode::Ephemeral => decide_ephemeral(&wanted, found, look.session, past, self.same),
            NodeMode::Persistent | NodeMode::Container | NodeMode::Ttl(_) => {
                decide_lasting(&wanted, found)
            }
        };
        let stat = look.found.as_ref().map(|(_, stat)| *stat);
        if let Some(stat) = stat.filter(|stat| stat.ephemeral_owner == look.session) {
            past.newest = past.newest.max(Some(stat.czxid));
        }
        tracing::debug!(path = self.path, ?step, "the node");
        if matches!(step, Step::TakeOver) {
            let probe = self.client.env().probe();
            probe.reached("recipes: own znode of a former session taken over");
        }
        match (step, stat) {
            (Step::Rest, Some(stat)) => {
                self.publish(NodeState::Present {
                    czxid: stat.czxid,
                    version: stat.version,
                });
                self.changed(&watcher, look.epoch).await
            }
            (Step::Wait, Some(stat)) => {
                self.publish(NodeState::Taken {
                    owner: stat.ephemeral_owner,
                });
                self.changed(&watcher, look.epoch).await
            }
            (Step::SetData, Some(stat)) => {
                let set = self.client.set_data(&self.path, &wanted, stat.version);
                beaten(set.await.map(drop))
            }
            (Step::TakeOver, Some(stat)) => self.take_over(&wanted, &stat, look.epoch).await,
            (Step::Create | Step::Rest | Step::Wait | Step::SetData | Step::TakeOver, _) => {
                self.create(&wanted, look.epoch).await
            }
        }
    }

    /// Not older than the call, with a watch. What one epoch has answered belongs to its session.
    async fn look(&self, watcher: &Watcher) -> Result<Look, Error> {
        self.client.ready().await?;
        let (epoch, session) = (self.client.epoch(), self.client.session_id());
        let sync = self.client.sync(&self.path);
        let watched = self.client.exists(&self.path, watcher);
        let read = self.client.get_data(&self.path, None);
        sync.await?;
        watched.await?;
        let found = match read.await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => None,
            read => Some(read?),
        };
        if self.client.epoch() != epoch {
            return Err(Error::EpochEnded);
        }
        Ok(Look {
            epoch,
            session,
            found,
        })
    }

    async fn create(&self, data: &Bytes, epoch: Epoch) -> Result<(), Error> {
        if self.client.epoch() != epoch {
            return Err(Error::EpochEnded);
        }
        let created = self.client.create(&self.path, data, self.options.clone());
        match created.await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                match zk_proto::path::parent(&self.path) {
                    Some(parent) if parent != "/" => {
                        self.parents.create(&self.client, parent).await
                    }
                    _ => Err(error),
                }
            }
            created => beaten(created.map(drop)),
        }
    }

    /// Those who watch see it change hands, never that it is missing.
    async fn take_over(&self, data: &Bytes, stat: &Stat, epoch: Epoch) -> Result<(), Error> {
        if self.client.epoch() != epoch {
            return Err(Error::EpochEnded);
        }
        let transaction = self.client.transaction().delete(&self.path, stat.version);
        let taken = transaction.create(&self.path, data, self.options.clone());
        beaten(taken.commit().await.map(drop))
    }

    /// Waits until there is reason to look again.
    async fn changed(&mut self, watcher: &Watcher, epoch: Epoch) -> Result<(), Error> {
        let mut session = self.client.state();
        loop {
            let state = *session.borrow_and_update();
            if !state.is_connected() || self.client.epoch() != epoch {
                self.publish(NodeState::InDoubt);
                // Whatever the reason, the look waits for the connection, or fails for good.
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = watcher.next() => return Ok(()),
                _ = session.changed() => {}
                changed = self.data.changed() => {
                    // Without a sender the node is on its way out.
                    return if changed.is_ok() { Ok(()) } else { Err(Error::Closed) };
                }
            }
        }
    }

    /// Whatever is said of data that is to be replaced already, is said too late.
    fn publish(&self, state: NodeState) {
        self.state.send_if_modified(|published| {
            let is_late = matches!(state, NodeState::Present { .. })
                && self.data.has_changed().unwrap_or(false);
            let is_news = *published != state && !is_late;
            if is_news {
                *published = state;
            }
            is_news
        });
    }
}

/// Somebody else was faster: it is looked at again.
fn beaten(written: Result<(), Error>) -> Result<(), Error> {
    match written {
        Err(error)
            if matches!(
                error.code(),
                Some(ErrorCode::NodeExists | ErrorCode::NoNode | ErrorCode::BadVersion)
            ) =>
        {
            Ok(())
        }
        written => written,
    }
}

/// Circumstances were against it, or its outcome is unknown: the next look tells.
fn is_passing(error: &Error) -> bool {
    error.is_retryable() || error.is_outcome_unknown() || error.code().is_some_and(is_expiry)
}

fn is_expiry(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::SessionExpired | ErrorCode::UnknownSession)
}

/// The options of a mode.
pub(super) fn options(mode: NodeMode, acl: Option<Vec<zk_client::Acl>>) -> CreateOptions {
    let options = CreateOptions::from(match mode {
        NodeMode::Ephemeral => CreateMode::Ephemeral,
        NodeMode::Persistent => CreateMode::Persistent,
        NodeMode::Container => CreateMode::Container,
        NodeMode::Ttl(ttl) => CreateMode::PersistentWithTtl(ttl),
    });
    match acl {
        Some(acl) => options.with_acl(acl),
        None => options,
    }
}
