//! A barrier at which a party of a known size enters together, and leaves together.
//!
//! ```text
//! <path>/<uuid>     ephemeral: a member, data: the builder's
//! <path>/ready      persistent: all are there; goes when the last one leaves
//! ```
//!
//! kazoo's members are called by 32 hexadecimal digits. Every other child counts for a member.
//!
//! **Entering.** Each member waits for `ready` and for nothing else, so that one that comes wakes
//! nobody; the one that finds the party complete makes `ready`, in a transaction that checks
//! that every one of them is still there: whoever has given up does not count. A
//! `ready` that is older than every member was left behind by a party that is gone: the eldest
//! member removes it, in a transaction that checks its own znode.
//!
//! **Leaving.** The lowest name waits for the highest to go; the others go at once, and wait for
//! the lowest. One that came late, when the party was in, goes at once as well: to whoever comes after
//! the party has gone, it looks like another that waits. The last one takes `ready` along. By kazoo's
//! order everybody deletes `ready` first.

use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, Epoch, ErrorCode, Stat, Watcher, Zxid};
use zk_proto::path;

use super::decide::{
    Entering, Leaving, READY, Ready, decide_entering, decide_leaving, decide_ready, members,
};
use super::member::{create_member, new_name};
use crate::contender::pause;
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::ownership::Why;
use crate::parents::check;
use crate::znode::OwnZnode;

/// Events that wait to be looked at; one would do.
const EVENTS: usize = 4;

/// A barrier at which a party of a known size enters together, and leaves together; Curator's
/// `DistributedDoubleBarrier` on the wire, or kazoo's `DoubleBarrier`.
///
/// All must use the same size, and the same library's order of leaving. Who comes while a
/// party of that size is in enters at once.
///
/// | | |
/// |---|---|
/// | who wins | nobody: all enter once as many are there |
/// | wakes | by the last to come all; by one that leaves at most one; by the last to leave all |
/// | connection lost | waiting goes on, and looks again on reconnection |
/// | session expired while entering, or inside | `Error::EpochEnded`; the others go on without it |
/// | gives up (deadline, dropped) | its znode is gone, or the reaper's; it does not count |
/// | dies | counts until its session expires |
/// | a lost reply | found out; nothing is done twice |
/// | `ready` without members | removed by the next to enter |
/// | token | none: nobody owns it |
///
/// ```no_run
/// # async fn compute() {}
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::DoubleBarrier;
/// let barrier = DoubleBarrier::builder(&client, "/barriers/step", 5).build()?;
/// let inside = barrier.enter().await?;
/// compute().await;
/// inside.leave().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    client: Client,
    path: String,
    size: usize,
    dialect: Dialect,
    data: Bytes,
    acl: Option<Vec<Acl>>,
    deadline: Option<Duration>,
}

impl DoubleBarrier {
    /// The barrier at `path` for a party of `size`.
    pub fn builder(client: &Client, path: &str, size: usize) -> DoubleBarrierBuilder {
        DoubleBarrierBuilder {
            barrier: Self {
                client: client.clone(),
                path: path.to_owned(),
                size,
                dialect: Dialect::Curator,
                data: Bytes::new(),
                acl: None,
                deadline: None,
            },
        }
    }

    /// Waits until as many are there as the party has members: as long as it takes, or as the
    /// builder's deadline allows.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded`, `EpochEnded`, `Removed` if somebody deleted the own znode, or `Client`
    /// with the server's verdict. It then counts no more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is giving up: no znode of its own stays behind.
    pub async fn enter(&self) -> Result<Inside, Error> {
        self.enter_until(Deadline::optional(&self.client, self.deadline))
            .await
    }

    /// As [`enter`](Self::enter), `limit` at most.
    ///
    /// # Errors
    ///
    /// As `enter`; `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `enter`.
    pub async fn enter_within(&self, limit: Duration) -> Result<Inside, Error> {
        self.enter_until(Deadline::within(&self.client, limit))
            .await
    }

    async fn enter_until(&self, deadline: Deadline) -> Result<Inside, Error> {
        let name = new_name(self.dialect, &self.client);
        let entering = async {
            let (client, path) = (&self.client, &self.path);
            let (acl, parents) = (self.acl.as_ref(), self.dialect.parents());
            let znode = create_member(client, path, &name, &self.data, acl, parents).await?;
            let ready = self.until_ready(&znode).await?;
            Ok(Inside {
                barrier: self.clone(),
                znode: Some(znode),
                ready,
            })
        };
        let entered = deadline.bound(&self.client, entering).await;
        entered.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// Waits for the party, and gives the czxid of its `ready`.
    async fn until_ready(&self, own: &OwnZnode) -> Result<Zxid, Error> {
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let sight = self.look(Some(own), &watcher).await?;
            match decide_entering(&sight.children, path::name(own.path()), self.size) {
                Entering::Missing => return Err(removed(own)),
                Entering::Waiting => changed(&watcher).await?,
                Entering::Complete(party) => self.open(&party).await?,
                Entering::Ready => {
                    let Some(ready) = sight.ready else {
                        continue;
                    };
                    match self.whose(own, ready.czxid, &sight.children).await? {
                        Ready::Open => return Ok(ready.czxid),
                        Ready::StaleAndMine => self.remove_stale(own, ready.czxid).await?,
                        Ready::Stale(eldest) => self.wait_for(&eldest, &watcher).await?,
                    }
                }
            }
        }
    }

    /// Makes `ready` if all of them are there; looks for itself afterwards.
    async fn open(&self, party: &[String]) -> Result<(), Error> {
        let mut open = self.client.transaction();
        for name in party {
            open = open.check(&path::join(&self.path, name), None);
        }
        let options = CreateOptions::from(CreateMode::Persistent);
        let options = match &self.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        };
        let opened = open.create(&self.ready(), b"", options).commit().await;
        self.settle(opened.map(drop)).await
    }

    /// Whether `ready` is that of a party with members.
    async fn whose(
        &self,
        own: &OwnZnode,
        ready: Zxid,
        children: &[String],
    ) -> Result<Ready, Error> {
        let mut others = Vec::new();
        if own.czxid() > ready {
            for name in members(children) {
                let path = path::join(&self.path, name);
                if path == own.path() {
                    continue;
                }
                let stat = self.read(Some(own), |client| client.exists(&path, None));
                if let Some(stat) = stat.await? {
                    others.push((name.to_owned(), stat.czxid));
                }
            }
        }
        Ok(decide_ready(own.czxid(), ready, &others))
    }

    /// Removes the `ready` with this czxid, as the eldest member.
    ///
    /// The members were listed before: had an elder one removed it since, it would have been
    /// among them. So what is seen now stays until this member removes it or is gone itself.
    async fn remove_stale(&self, own: &OwnZnode, stale: Zxid) -> Result<(), Error> {
        let ready = self.ready();
        let still = self.read(Some(own), |client| client.exists(&ready, None));
        if still.await?.is_none_or(|still| still.czxid != stale) {
            return Ok(());
        }
        let probe = self.client.env().probe();
        probe.reached("recipes: stale ready removed");
        tracing::info!(path = self.path, "removing what a party that is gone left");
        let remove = self.client.transaction().check(own.path(), None);
        let removed = remove.delete(&ready, None).commit().await;
        self.settle(removed.map(drop)).await
    }

    /// What a write came to is seen by looking again, unless that would not help.
    async fn settle(&self, written: Result<(), zk_client::Error>) -> Result<(), Error> {
        let Err(error) = written else {
            return Ok(());
        };
        let is_seen = matches!(
            error.code(),
            Some(ErrorCode::NoNode | ErrorCode::NodeExists | ErrorCode::NotEmpty)
        );
        if is_seen {
            return Ok(());
        }
        if error.is_session_over() || !(error.is_retryable() || error.is_outcome_unknown()) {
            return Err(Error::while_waiting(error));
        }
        pause(&self.client).await;
        Ok(())
    }

    /// Waits for the member to go, or for what `watcher` has left already.
    async fn wait_for(&self, name: &str, watcher: &Watcher) -> Result<(), Error> {
        let path = path::join(&self.path, name);
        // By `get_data`: `exists` would leave a watch on a name that never returns.
        match self
            .read(None, |client| client.get_data(&path, watcher))
            .await
        {
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => changed(watcher).await,
        }
    }

    /// The barrier as it stands; a change of `ready`, or of the own znode, wakes the watcher.
    async fn look(&self, own: Option<&OwnZnode>, watcher: &Watcher) -> Result<Sight, Error> {
        let ready_path = self.ready();
        let ready = self.read(own, |client| {
            if let Some(own) = own {
                // Sent on the way: whether it is there, the list says.
                drop(client.get_data(own.path(), watcher));
            }
            client.exists(&ready_path, watcher)
        });
        let ready = ready.await?;
        let children = self.read(own, |client| client.get_children(&self.path, None));
        match children.await {
            Ok(children) => Ok(Sight { ready, children }),
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::NoNode) => Ok(Sight {
                ready: None,
                children: Vec::new(),
            }),
            Err(error) => Err(error),
        }
    }

    /// A read through connection losses; within the epoch of `own`, if that is given.
    async fn read<T>(
        &self,
        own: Option<&OwnZnode>,
        read: impl Fn(&Client) -> zk_client::Reply<T>,
    ) -> Result<T, Error> {
        let check = || own.map_or(Ok(()), OwnZnode::check_epoch);
        loop {
            check()?;
            self.client.ready().await?;
            let answer = read(&self.client).await;
            check()?;
            match answer {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retryable() => pause(&self.client).await,
                Err(error) => return Err(Error::while_waiting(error)),
            }
        }
    }

    fn ready(&self) -> String {
        path::join(&self.path, READY)
    }

    /// The barrier's znode, the parent of the members.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many enter together.
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// The barrier as it stands.
struct Sight {
    ready: Option<Stat>,
    children: Vec<String>,
}

/// Waits for an event, of whatever kind: the next look tells.
async fn changed(watcher: &Watcher) -> Result<(), Error> {
    match watcher.next().await {
        Some(_) => Ok(()),
        None => Err(zk_client::Error::Closed.into()),
    }
}

fn removed(own: &OwnZnode) -> Error {
    Error::Removed {
        path: own.path().into(),
    }
}

/// A member that has entered. Dropping it is going without waiting for the others: the reaper
/// deletes its znode.
#[derive(Debug)]
#[must_use = "dropping it is leaving without the others"]
pub struct Inside {
    barrier: DoubleBarrier,
    /// Until it is deleted.
    znode: Option<OwnZnode>,
    /// The czxid of the party's `ready`: another one is another party's.
    ready: Zxid,
}

impl Inside {
    /// Waits until all have called it: as long as it takes, or as the builder's deadline allows.
    /// The own znode goes as soon as the order of leaving allows, and in any case when this
    /// returns or is dropped.
    ///
    /// # Errors
    ///
    /// `EpochEnded` if the session expired before the own znode was deleted: the others did
    /// not wait for it. `DeadlineExceeded`, or `Client` with the server's verdict: the others
    /// may still be inside.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is going without waiting for the others.
    pub async fn leave(self) -> Result<(), Error> {
        let deadline = Deadline::optional(&self.barrier.client, self.barrier.deadline);
        self.leave_until(deadline).await
    }

    /// As [`leave`](Self::leave), `limit` at most.
    ///
    /// # Errors
    ///
    /// As `leave`; `DeadlineExceeded` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// As `leave`.
    pub async fn leave_within(self, limit: Duration) -> Result<(), Error> {
        let deadline = Deadline::within(&self.barrier.client, limit);
        self.leave_until(deadline).await
    }

    async fn leave_until(mut self, deadline: Deadline) -> Result<(), Error> {
        let client = self.barrier.client.clone();
        let leaving = async {
            match self.barrier.dialect {
                Dialect::Kazoo => {
                    self.remove_ready().await?;
                    self.leave_in_order(true).await
                }
                Dialect::Curator | Dialect::GoZk | Dialect::ZkJava | Dialect::Any => {
                    self.leave_in_order(false).await
                }
            }
        };
        let left = deadline.bound(&client, leaving).await;
        left.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    async fn leave_in_order(&mut self, is_ready_gone: bool) -> Result<(), Error> {
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            let sight = self.barrier.look(self.znode.as_ref(), &watcher).await?;
            let ready = sight.ready.map(|ready| ready.czxid);
            let is_open = is_ready_gone || ready == Some(self.ready);
            let own = self.znode.as_ref().map(|own| path::name(own.path()));
            match decide_leaving(&sight.children, own, is_open) {
                Leaving::Done => return Ok(()),
                Leaving::Leftover if ready.is_none() || is_ready_gone => return Ok(()),
                Leaving::Leftover => return self.clear().await,
                Leaving::Last if is_ready_gone => self.step_aside().await?,
                Leaving::Last => self.close().await?,
                Leaving::StepAside => self.step_aside().await?,
                Leaving::Behind(_) if self.is_late() => self.step_aside().await?,
                Leaving::Behind(name) => self.barrier.wait_for(&name, &watcher).await?,
            }
        }
    }

    /// Whether it came when the party was in, and has a znode of its own still. It does not stay
    /// for anybody: who comes when it alone is left takes `ready` for stale, and waits for it to
    /// go.
    fn is_late(&self) -> bool {
        let own = self.znode.as_ref();
        own.is_some_and(|own| own.czxid() > self.ready)
    }

    /// The own znode goes.
    async fn step_aside(&mut self) -> Result<(), Error> {
        let Some(znode) = self.znode.take() else {
            return Ok(());
        };
        match znode.delete().await {
            // Somebody else has seen to it.
            Err(Error::Lost(Why::Deleted)) => Ok(()),
            Err(Error::Lost(Why::EpochEnded)) => Err(Error::EpochEnded),
            deleted => deleted,
        }
    }

    /// The last one takes `ready` along, in one transaction: the next party finds neither.
    async fn close(&mut self) -> Result<(), Error> {
        let Some(own) = &self.znode else {
            return Ok(());
        };
        let close = self.barrier.client.transaction().delete(own.path(), None);
        let closed = close.delete(&self.barrier.ready(), None).commit().await;
        if closed.is_ok()
            && let Some(own) = self.znode.take()
        {
            own.forget();
        }
        self.barrier.settle(closed.map(drop)).await
    }

    /// All are gone, and the one that would have taken `ready` along died. It goes together
    /// with the barrier's own znode, which succeeds only while nobody enters; if it
    /// fails, the next to enter will remove it.
    async fn clear(&self) -> Result<(), Error> {
        let clear = self.barrier.client.transaction();
        let clear = clear.delete(&self.barrier.ready(), None);
        if let Err(error) = clear.delete(&self.barrier.path, None).commit().await {
            tracing::debug!(path = self.barrier.path, %error, "ready is left to the next party");
        }
        Ok(())
    }

    /// kazoo's order of leaving begins with it.
    async fn remove_ready(&self) -> Result<(), Error> {
        let ready = self.barrier.ready();
        loop {
            if let Some(own) = &self.znode {
                own.check_epoch()?;
            }
            self.barrier.client.ready().await?;
            match self.barrier.client.delete(&ready, None).await {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                deleted => self.barrier.settle(deleted).await?,
            }
        }
    }

    /// Which party: the czxid of its `ready`, the same for all who entered together. The znodes of
    /// those who came later are younger than that.
    pub const fn party(&self) -> Zxid {
        self.ready
    }

    /// The member's znode, until it is deleted.
    pub fn path(&self) -> Option<&str> {
        self.znode.as_ref().map(OwnZnode::path)
    }

    /// The session epoch it ends with.
    pub fn epoch(&self) -> Option<Epoch> {
        self.znode.as_ref().map(OwnZnode::epoch)
    }
}

/// Options of a [`DoubleBarrier`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct DoubleBarrierBuilder {
    barrier: DoubleBarrier,
}

impl DoubleBarrierBuilder {
    /// Whose names and order of leaving: Curator's, the default, or kazoo's. By kazoo's order
    /// `ready` goes with the first to leave: a member that is cut off at that time may
    /// miss it, and wait for the next party.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.barrier.dialect = dialect;
        self
    }

    /// The data of the member's znode, for those who look who is there; kazoo's identifier.
    /// Default: none.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.barrier.data = data.into();
        self
    }

    /// The ACL of the member's znode and of `ready`; whoever takes part needs READ. Default:
    /// open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.barrier.acl = Some(acl);
        self
    }

    /// How long to wait for the others, each time. Default: as long as it takes.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.barrier.deadline = Some(deadline);
        self
    }

    /// The barrier.
    ///
    /// # Errors
    ///
    /// The path cannot name a barrier, the size is 0, or the dialect has no double barrier.
    pub fn build(self) -> Result<DoubleBarrier, Error> {
        check(&self.barrier.path)?;
        if self.barrier.size == 0 {
            return Err(Error::invalid("size", "a party has one member at least"));
        }
        match self.barrier.dialect {
            Dialect::Curator | Dialect::Kazoo => Ok(self.barrier),
            Dialect::GoZk | Dialect::ZkJava | Dialect::Any => Err(Error::invalid(
                "dialect",
                "Curator and kazoo alone have double barriers, and do not share one",
            )),
        }
    }
}
