//! The shared heart: a place in line, taken and waited for.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use zk_client::{Acl, Client, CreateMode, CreateOptions, Epoch, ErrorCode, Reply, Watcher};
use zk_env::sleep_until;
use zk_proto::path;

use crate::deadline::Deadline;
use crate::decide::{Turn, decide};
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::{Layout, Role};
use crate::leader::handover::asks_to_yield;
use crate::ownership::FencingToken;
use crate::parents::make_anew;
use crate::proof::Proof;
use crate::znode::OwnZnode;

/// Between attempts that were refused for the moment.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Events a contender's watcher keeps: it looks at the first and starts over.
pub(crate) const EVENTS: usize = 4;

/// How to stand in line.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The names to write and to respect.
    pub layout: Layout,
    /// The znode's data.
    pub data: Bytes,
    /// The znode's ACL; the open one if `None`. Whoever may stand in this line needs READ.
    pub acl: Option<Vec<Acl>>,
}

impl Entry {
    /// With the open ACL.
    pub const fn new(layout: Layout, data: Bytes) -> Self {
        Self {
            layout,
            data,
            acl: None,
        }
    }

    fn options(&self) -> CreateOptions {
        let options = CreateOptions::from(CreateMode::EphemeralSequential);
        match &self.acl {
            Some(acl) => options.with_acl(acl.clone()),
            None => options,
        }
    }
}

/// What came of acquiring until told to stop.
pub(crate) enum Acquired<S> {
    Mine(Contender),
    /// The place is in line still; without one, the reaper has what a create may have left.
    Stopped(S, Option<Contender>),
}

/// A place in line: an ephemeral sequential znode below a parent, of one session epoch.
///
/// It survives connection losses, and ends with [`Error::EpochEnded`] when the session expires.
/// Dropping it at any point leaves no znode behind once the client's reaper has settled.
#[derive(Debug)]
pub struct Contender {
    client: Client,
    parent: String,
    entry: Entry,
    znode: OwnZnode,
}

impl Contender {
    /// Takes a place and waits for its turn, for as long as the deadline allows. If nobody is
    /// there it takes two round trips.
    ///
    /// A parent that is missing is made, as a container where the server has those; one whose
    /// sequences are used up is made anew as soon as it is empty.
    ///
    /// # Errors
    ///
    /// `DeadlineExceeded`, `SequenceExhausted`, `EpochEnded`, `Removed`, or `Client` for what waiting does
    /// not cure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place.
    pub async fn acquire(
        client: &Client,
        parent: &str,
        entry: &Entry,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let mut never = std::future::pending::<Infallible>();
        match Self::acquire_unless(client, parent, entry, deadline, &mut never).await? {
            Acquired::Mine(contender) => Ok(contender),
            Acquired::Stopped(never, _) => match never {},
        }
    }

    /// As [`acquire`](Self::acquire), until `stop` is ready: then the place is handed back, if
    /// it was taken, so that giving it up can be waited for.
    pub(crate) async fn acquire_unless<S>(
        client: &Client,
        parent: &str,
        entry: &Entry,
        deadline: Deadline,
        stop: &mut (impl Future<Output = S> + Unpin),
    ) -> Result<Acquired<S>, Error> {
        let is_exhausted = AtomicBool::new(false);
        let acquiring = async {
            loop {
                let mut contender = tokio::select! {
                    biased;
                    stopped = &mut *stop => return Ok(Acquired::Stopped(stopped, None)),
                    entered = Self::enter(client, parent, entry) => entered?,
                };
                let waited = tokio::select! {
                    biased;
                    stopped = &mut *stop => Err(stopped),
                    waited = contender.wait() => Ok(waited?),
                };
                match waited {
                    Ok(true) => return Ok(Acquired::Mine(contender)),
                    Ok(false) => {}
                    Err(stopped) => return Ok(Acquired::Stopped(stopped, Some(contender))),
                }
                tracing::warn!(path = parent, "sequence numbers are used up");
                is_exhausted.store(true, Ordering::Relaxed);
                contender.leave().await?;
                make_anew(client, parent).await?;
                is_exhausted.store(false, Ordering::Relaxed);
            }
        };
        let acquired = deadline.bound(client, acquiring).await;
        acquired.unwrap_or_else(|| {
            Err(if is_exhausted.load(Ordering::Relaxed) {
                exhausted(parent, deadline)
            } else {
                deadline.exceeded()
            })
        })
    }

    /// Takes a place and looks once whether it is its turn: `None` if it is not. The place is
    /// then given up again.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    pub async fn try_acquire(
        client: &Client,
        parent: &str,
        entry: &Entry,
        deadline: Deadline,
    ) -> Result<Option<Self>, Error> {
        let trying = async {
            let contender = Self::enter(client, parent, entry).await?;
            let turn = contender.turn().await?;
            match turn {
                Turn::Mine => return Ok(Some(contender)),
                Turn::Missing => return Err(contender.removed()),
                Turn::Behind(_) | Turn::Exhausted => contender.leave().await?,
            }
            if turn == Turn::Exhausted {
                return Err(exhausted(parent, deadline));
            }
            Ok(None)
        };
        let tried = deadline.bound(client, trying).await;
        tried.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    /// Takes a place at the end of the line: optimistically, in one round trip; parents are
    /// made only if they are missing.
    ///
    /// # Errors
    ///
    /// `EpochEnded`, or `Client` for what waiting does not cure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no znode behind but parents.
    pub async fn enter(client: &Client, parent: &str, entry: &Entry) -> Result<Self, Error> {
        loop {
            let id = entry.layout.dialect().new_id(client);
            let sent = client.env().boot_now();
            let created = client
                .create2_protected(
                    id,
                    parent,
                    entry.layout.name(),
                    &entry.data,
                    entry.options(),
                )
                .await;
            match created {
                Ok(created) => {
                    return Ok(Self {
                        client: client.clone(),
                        parent: parent.to_owned(),
                        entry: entry.clone(),
                        znode: OwnZnode::new(client, created, sent),
                    });
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    let parents = entry.layout.dialect().parents();
                    parents.create(client, parent).await?;
                }
                Err(error) if error.is_session_over() => return Err(Error::while_waiting(error)),
                // The deadline of a single call, or the circumstances: the znode, if there is
                // one, is the reaper's by now.
                Err(error) if error.is_retryable() || error.is_outcome_unknown() => {
                    pause(client).await;
                }
                Err(error) => return Err(Error::while_waiting(error)),
            }
        }
    }

    /// Waits for its turn: true when it has come, false if the parent's sequences are used up.
    ///
    /// Watches the one znode ahead that blocks it, with `get_data`: a watch by `exists` would stay
    /// behind on a name that never returns.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// The place is kept: waiting can go on.
    pub async fn wait(&mut self) -> Result<bool, Error> {
        loop {
            match self.turn().await? {
                Turn::Mine => return Ok(true),
                Turn::Exhausted => return Ok(false),
                Turn::Missing => return Err(self.removed()),
                Turn::Behind(name) => {
                    self.wait_behind(&name).await?;
                    let probe = self.client.env().probe();
                    if probe.has_planted("recipes: not looked again after waiting") {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Whose turn it is, by one look at the children.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn turn(&self) -> Result<Turn, Error> {
        let children = self.children(None).await?;
        let turn = decide(&children, self.name(), &self.entry.layout);
        tracing::debug!(
            path = self.path(),
            ?turn,
            contenders = children.len(),
            "whose turn"
        );
        for name in self.entry.layout.foreign(&children) {
            let probe = self.client.env().probe();
            probe.reached("recipes: foreign child in line");
            tracing::debug!(parent = self.parent, name, "a child that is no contender");
        }
        Ok(turn)
    }

    /// The parent's children, whatever it takes to read them; a watch is left if asked for.
    /// For recipes with a rule of their own.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn children(&self, watcher: Option<&Watcher>) -> Result<Vec<String>, Error> {
        let children = self.read(|client| client.get_children(&self.parent, watcher));
        match children.await {
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::NoNode) => {
                Err(self.removed())
            }
            children => children,
        }
    }

    /// Waits until the child `name` is gone or changed, or the connection was lost and is
    /// there again.
    async fn wait_behind(&mut self, name: &str) -> Result<(), Error> {
        let ahead = path::join(&self.parent, name);
        let watcher = Watcher::with_capacity(EVENTS);
        let probe = self.client.env().probe();
        let watch =
            Some(&watcher).filter(|_| !probe.has_planted("recipes: predecessor not watched"));
        match self.read(|client| client.get_data(&ahead, watch)).await {
            Err(Error::Client(error)) if error.code() == Some(ErrorCode::NoNode) => {
                probe.reached("recipes: predecessor gone before it was watched");
                Ok(())
            }
            Err(error) => Err(error),
            Ok((data, _)) if self.is_to_yield(&data) => self.stand_anew().await,
            Ok(_) => self.changed(&watcher).await,
        }
    }

    /// Whether the one ahead leads, and hands over to somebody behind this contender.
    fn is_to_yield(&self, data: &[u8]) -> bool {
        let layout = &self.entry.layout;
        layout.role() == Role::Latch && asks_to_yield(data, self.name(), layout)
    }

    /// Goes to the end of the line: by a new znode, and so with a new token.
    async fn stand_anew(&mut self) -> Result<(), Error> {
        let anew = Self::enter(&self.client, &self.parent, &self.entry).await?;
        if anew.epoch() != self.epoch() {
            return Err(Error::EpochEnded);
        }
        tracing::info!(path = anew.path(), "makes way for a planned handover");
        std::mem::replace(self, anew).leave().await
    }

    /// Waits for an event, or for the connection to be lost and found again.
    ///
    /// # Errors
    ///
    /// The session expired, or the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn changed(&self, watcher: &Watcher) -> Result<(), Error> {
        let mut session = self.client.state();
        let reconnected = async {
            let is_over = session
                .wait_for(|state| !state.is_connected())
                .await
                .is_err();
            if is_over
                || session
                    .wait_for(|state| state.is_connected())
                    .await
                    .is_err()
            {
                // The client is closed, which the watcher tells.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            event = watcher.next() => match event {
                Some(event) if event.is_session_expired() => Err(Error::EpochEnded),
                Some(_) => Ok(()),
                None => Err(Error::Client(zk_client::Error::Closed)),
            },
            () = reconnected => Ok(()),
        }
    }

    /// A read through connection losses, within the epoch.
    ///
    /// # Errors
    ///
    /// `EpochEnded`, or `Client` with the server's verdict.
    pub async fn read<T>(&self, read: impl Fn(&Client) -> Reply<T>) -> Result<T, Error> {
        loop {
            self.znode.check_epoch()?;
            self.client.ready().await?;
            let answer = read(&self.client).await;
            self.znode.check_epoch()?;
            match answer {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retryable() && !error.is_session_over() => {
                    pause(&self.client).await;
                }
                Err(error) => return Err(Error::while_waiting(error)),
            }
        }
    }

    /// Gives up the place, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// `EpochEnded` if the session is over; otherwise the delete is not proven yet, and the
    /// reaper goes on with it. That the znode was gone is none.
    pub async fn leave(self) -> Result<(), Error> {
        match self.znode.delete().await {
            Err(Error::Lost(crate::Why::EpochEnded)) => Err(Error::EpochEnded),
            Err(Error::Lost(_)) => Ok(()),
            left => left,
        }
    }

    /// The ownership that has come with the turn: the caller has seen to it that it has. Without
    /// a `proof`, the one that suits the server.
    #[must_use = "dropping the guard releases it"]
    pub fn own(self, proof: Option<Proof>) -> Guard {
        Guard::over(self.znode, self.entry.data, proof)
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The place's znode.
    pub fn path(&self) -> &str {
        self.znode.path()
    }

    /// The znode's name.
    pub fn name(&self) -> &str {
        path::name(self.znode.path())
    }

    /// The znode whose children stand in line.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The token an ownership by this znode will have.
    pub const fn fencing_token(&self) -> FencingToken {
        FencingToken::new(self.znode.token())
    }

    /// The session epoch it ends with.
    pub const fn epoch(&self) -> Epoch {
        self.znode.epoch()
    }

    pub(crate) fn removed(&self) -> Error {
        Error::Removed {
            path: self.path().into(),
        }
    }
}

pub(crate) fn exhausted(parent: &str, deadline: Deadline) -> Error {
    Error::SequenceExhausted {
        path: parent.into(),
        waited: deadline.allowed(),
    }
}

pub(crate) async fn pause(client: &Client) {
    let env = client.env();
    sleep_until(&mut *env.timer(), env.now() + PAUSE).await;
}
