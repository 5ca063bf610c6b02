//! Protected creates: a create whose lost answer can be recovered, because the
//! znode's name carries an id of its own (Curator's `_c_<uuid>-`).

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use uuid::Uuid;
use zk_env::sleep_until;
use zk_proto::{CreateOptions, ErrorCode, SessionId, Stat, path};

use crate::client::Client;
use crate::error::{Error, Outcome};
use crate::reaper::GuaranteedDelete;
use crate::reply::Reply;
use crate::session::Epoch;

/// Between attempts that were refused for the moment.
const PAUSE: Duration = Duration::from_millis(50);

/// The id in a protected znode's name, and how the name carries it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProtectedId {
    uuid: Uuid,
    style: Style,
}

/// Whose names they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Style {
    Curator,
    GoZk,
    Kazoo,
    ZkJava(SessionId),
}

impl ProtectedId {
    /// A new id, from the client's environment, in names as Curator writes them:
    /// `_c_<uuid>-<name>`.
    pub fn new(client: &Client) -> Self {
        Self::styled(client, Style::Curator)
    }

    /// A new id in names as go-zookeeper writes them: `_c_<32 hex digits>-<name>`.
    pub fn go_zk(client: &Client) -> Self {
        Self::styled(client, Style::GoZk)
    }

    /// A new id in names as kazoo writes them: `<32 hex digits><name>`.
    pub fn kazoo(client: &Client) -> Self {
        Self::styled(client, Style::Kazoo)
    }

    /// A new id in names that ZooKeeper's Java `WriteLock` takes for its own:
    /// `x-<session id>-<32 hex digits>-<name>`. `WriteLock` itself writes no digits, and
    /// so cannot tell two locks of one session apart; what it reads is the `x-` and
    /// the sequence after the last dash.
    pub fn zk_java(client: &Client) -> Self {
        Self::styled(client, Style::ZkJava(client.session_id()))
    }

    fn styled(client: &Client, style: Style) -> Self {
        let mut bytes = [0; 16];
        client.env().rng("zk-client-protected").fill(&mut bytes);
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Self { uuid, style }
    }

    /// `name` with the id in front.
    pub fn prefix(&self, name: &str) -> String {
        format!("{self}{name}")
    }

    /// The child that carries the id.
    pub fn find_in<'n>(&self, names: &'n [String]) -> Option<&'n String> {
        let prefix = self.to_string();
        names.iter().find(|name| name.starts_with(&prefix))
    }
}

/// What a name starts with.
impl fmt::Display for ProtectedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = &self.uuid;
        match self.style {
            Style::Curator => write!(f, "_c_{uuid}-"),
            Style::GoZk => write!(f, "_c_{}-", uuid.simple()),
            Style::Kazoo => write!(f, "{}", uuid.simple()),
            Style::ZkJava(session) => write!(f, "x-{}-{}-", session.0, uuid.simple()),
        }
    }
}

impl fmt::Debug for ProtectedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes care of what a create that was not seen through may have left behind.
struct Unfinished<'c> {
    client: &'c Client,
    parent: &'c str,
    id: ProtectedId,
    /// For an ephemeral: the epoch it would end with.
    epoch: Option<Epoch>,
    is_armed: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            let mut orphan = GuaranteedDelete::protected(self.parent, self.id);
            if let Some(epoch) = self.epoch {
                orphan = orphan.within(epoch);
            }
            self.client.guaranteed_delete(orphan);
        }
    }
}

impl Client {
    /// Creates a znode whose name starts with an id of its own, so that the answer
    /// can be recovered after a connection loss: `/a/lock-` becomes
    /// `/a/_c_<uuid>-lock-…`. Retries by itself until the handle's deadline.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), and `DeadlineExceeded` with an unknown outcome
    /// once the handle's deadline has passed. If the session expires meanwhile, an
    /// ephemeral's create fails with [`Error::EpochEnded`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no znode behind once the reaper has settled. So
    /// does an error.
    pub async fn create_protected(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Result<String, Error> {
        let Some(parent) = path::parent(path) else {
            return Err(Error::invalid("path", "the root cannot be created"));
        };
        let (id, name) = (ProtectedId::new(self), path::name(path));
        let options = options.into();
        let is_ephemeral = options.mode().is_ephemeral();
        let create = |path: &str| self.create(path, data.as_ref(), options.clone());
        let created =
            self.create_and_recover(id, parent, name, is_ephemeral, create, |path, _| path);
        self.before_deadline(created).await
    }

    /// As [`create_protected`](Self::create_protected), below `parent`, with an id and so a
    /// style of name of the caller's choice. Gives the path, the `Stat`, and the epoch the
    /// znode belongs to (of one that is not ephemeral: the epoch in which it was seen).
    ///
    /// An ephemeral found after a connection loss is taken for this client's only if
    /// it belongs to the live session.
    ///
    /// # Errors
    ///
    /// As `create_protected`.
    ///
    /// # Cancel safety
    ///
    /// As `create_protected`.
    pub async fn create2_protected(
        &self,
        id: ProtectedId,
        parent: &str,
        name: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Result<(String, Stat, Epoch), Error> {
        let options = options.into();
        let is_ephemeral = options.mode().is_ephemeral();
        let create = |path: &str| self.create2(path, data.as_ref(), options.clone());
        let found = |path, stat| (path, stat);
        let created = self.create_and_recover(id, parent, name, is_ephemeral, create, found);
        let (path, stat) = self.before_deadline(created).await?;
        match self.live_epoch(is_ephemeral.then_some(stat.ephemeral_owner)) {
            Some(epoch) => Ok((path, stat, epoch)),
            // The session is gone, and the znode with it.
            None => Err(Error::EpochEnded),
        }
    }

    /// The live session's epoch; of an ephemeral with this owner, only if it is that session's.
    fn live_epoch(&self, owner: Option<SessionId>) -> Option<Epoch> {
        let epoch = self.epoch();
        let Some(owner) = owner else {
            return Some(epoch);
        };
        // An unchanged epoch means that the id read in between belongs to it.
        (owner == self.session_id() && self.epoch() == epoch).then_some(epoch)
    }

    async fn before_deadline<T>(
        &self,
        creating: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (mut timer, at) = (self.env().timer(), self.env().now() + self.deadline());
        match select(pin!(creating), pin!(sleep_until(&mut *timer, at))).await {
            Either::Left((created, _)) => created,
            // What may be there by now, the reaper takes care of.
            Either::Right(_) => Err(Error::DeadlineExceeded {
                deadline: self.deadline(),
                outcome: Outcome::Unknown,
            }),
        }
    }
    async fn create_and_recover<T>(
        &self,
        id: ProtectedId,
        parent: &str,
        name: &str,
        is_ephemeral: bool,
        create: impl Fn(&str) -> Reply<T>,
        found: impl Fn(String, Stat) -> T,
    ) -> Result<T, Error> {
        let protected = path::join(parent, &id.prefix(name));
        let mut unfinished = Unfinished {
            client: self,
            parent,
            id,
            epoch: None,
            is_armed: false,
        };
        loop {
            self.ready().await?;
            let created = create(&protected);
            // Read after the call: the session it was made in, or a later one.
            let epoch = self.epoch();
            unfinished.epoch = is_ephemeral.then_some(epoch);
            unfinished.is_armed = true;
            let error = match created.await {
                Ok(created) => {
                    unfinished.is_armed = false;
                    return Ok(created);
                }
                Err(error) => error,
            };
            // What certainly was not applied leaves nothing to clean up.
            unfinished.is_armed = error.outcome() != Outcome::NotApplied;
            if error.is_session_over() {
                self.ended_with_a_create_under_way();
                return Err(error);
            }
            if error.is_retryable() {
                self.pause().await;
                continue;
            }
            if !error.is_outcome_unknown() {
                return Err(error);
            }
            if let Some((path, stat)) = self.find_protected(parent, id, is_ephemeral).await? {
                unfinished.is_armed = false;
                let probe = self.env().probe();
                probe.reached("client: protected create found again");
                return Ok(found(path, stat));
            }
            if is_ephemeral && self.epoch() != epoch {
                self.ended_with_a_create_under_way();
                return Err(Error::EpochEnded);
            }
        }
    }

    fn ended_with_a_create_under_way(&self) {
        let probe = self.env().probe();
        probe.reached("client: session ended with a protected create under way");
    }

    async fn pause(&self) {
        sleep_until(&mut *self.env().timer(), self.env().now() + PAUSE).await;
    }

    /// What the create made, if it did; an ephemeral only if it is this session's.
    async fn find_protected(
        &self,
        parent: &str,
        id: ProtectedId,
        is_ephemeral: bool,
    ) -> Result<Option<(String, Stat)>, Error> {
        // Or it appears after all when nobody looks any more, in front of the one made instead.
        self.settle_writes().await?;
        let idempotent = self.retrying(crate::RetryPolicy::new(u32::MAX));
        let children = idempotent.run(|client| client.get_children(parent, None));
        let children = children.await;
        let children = match children {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            children => children?,
        };
        let Some(name) = id.find_in(&children) else {
            return Ok(None);
        };
        let found = path::join(parent, name);
        let stat = idempotent.run(|client| client.exists(&found, None)).await?;
        let is_ours = |stat: &Stat| !is_ephemeral || stat.ephemeral_owner == self.session_id();
        Ok(stat.filter(is_ours).map(|stat| (found, stat)))
    }
}
